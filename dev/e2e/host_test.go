package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// eventOf is an event of testdata/hosts in a container that no other test has. The
// host keeps its name: the incident's ID has the container.
func eventOf(t *testing.T, file string, container string) event {
	t.Helper()
	raw, err := os.ReadFile("testdata/hosts/" + file)
	require.NoError(t, err)
	var batch []event
	if json.Unmarshal(raw, &batch) != nil {
		batch = make([]event, 1)
		require.NoError(t, json.Unmarshal(raw, &batch[0]))
	}
	e := batch[0]
	for key, value := range map[string]string{"id": random(16), "containerId": container} {
		if _, has := e[key]; has {
			e[key] = value
		}
	}
	for _, fields := range []any{e["output_fields"], e["content"]} {
		if of, is := fields.(map[string]any); is {
			if nested, is := of["fields"].(map[string]any); is {
				of = nested
			}
			of["container.id"] = container
		}
	}
	return e
}

func hasEntry(page signals.Page, part string) bool {
	for _, entry := range page.WarRoom {
		if strings.Contains(entry.Text, part) {
			return true
		}
	}
	return false
}

const twoRoutes = `
  - {name: kill, when: 'incident.rule.name.contains("crypto miners")', playbook: crypto-miner, cool_down: 100ms, approval: {mode: none}}
  - {name: capture, when: "true", playbook: capture, capture: {duration: 5s}, approval: {mode: none}, save_approval: {mode: none}}`

// Cloned machines share a MAC address, and Sysdig lists only the one that connected
// last. Nothing is done on that one for the other's event, by no playbook.
func TestEventOfAClonedMachineDoesNotReachAnother(t *testing.T) {
	t.Parallel()
	host := newHost()
	f := prepare(t, shared, twoRoutes, sysdigtest.Options{}, host)
	f.sysdig.SetHosts([]sysdigtest.Host{{
		Name: "k8s-worker-1", MAC: "52:54:00:12:34:56", ID: "aaaa000011112222333344445555666677778888999900001111222233334444", AgentID: 101,
		Cluster: "demo-eks-cluster", Containers: host.Containers,
	}})
	f.starter()
	f.worker()

	capture := eventOf(t, "shared-mac.json", random(6))
	kill := eventOf(t, "shared-mac.json", random(6))
	kill["content"].(map[string]any)["ruleName"] = minerRule
	for action, e := range map[string]event{"host.agent_id": capture, "host.id": kill} {
		i := f.open(e)
		i.awaitState(signals.NeedsFields)
		page := i.show()
		require.Equal(t, action, page.Pending.Parameters["missing"])
		for _, value := range []string{
			"connected agent 101 (k8s-worker-1) has the same MAC address, but is another host",
			"host name k8s-worker-2 of the event, k8s-worker-1 of the agent", "agent ID 102 of the event, 101 of the agent",
		} {
			require.True(t, hasEntry(page, value), "%s: %v", value, page.WarRoom)
		}
		i.reject()
		require.Equal(t, signals.Rejected, i.page().Outcome)
	}
	require.Zero(t, f.sysdig.Requests(http.MethodPost, ""))
	require.Empty(t, f.sysdig.Ledger())
}

func TestCaptureIsTakenByTheAgentThatCameBack(t *testing.T) {
	t.Parallel()
	host := sysdigtest.DefaultHosts()[0]
	host.Containers = []string{random(6)}
	f := prepare(t, shared, `[{name: capture, when: "true", playbook: capture, capture: {duration: 5s}, save_approval: {mode: none}}]`,
		sysdigtest.Options{CaptureSize: 4 << 10}, newHost())
	f.sysdig.SetHosts([]sysdigtest.Host{host})
	f.starter()
	f.worker()
	i := f.open(eventOf(t, "agent-reconnected.json", host.Containers[0]))
	i.awaitRequest("CAPTURE")
	require.True(t, hasEntry(i.show(), "agent ID 13530 of the event, 58014837 connected now"), "%v", i.show().WarRoom)
	i.approve()
	page := i.page()
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, 1, f.sysdig.Ledger().Count(func(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Capture }))
}

// Falco in a container without the host's name reports the container's ID as its
// hostname. Nothing is guessed; an analyst names the host.
func TestUnknownHostNameIsAskedFor(t *testing.T) {
	t.Parallel()
	host := newHost()
	f := prepare(t, shared, `[{name: kill, when: "true", playbook: crypto-miner, cool_down: 100ms}]`, sysdigtest.Options{}, host)
	f.starter()
	f.worker()
	i := f.open(eventOf(t, "hostname-is-container.json", host.Containers[0]))
	i.amend("host.id", host.ID)
	i.awaitRequest("KILL_CONTAINER")
	page := i.show()
	require.True(t, hasEntry(page, "none of the 1 connected agents is this host"))
	require.True(t, hasEntry(page, "KILL_CONTAINER container "+host.Containers[0]+" on "+host.Name), "%v", page.WarRoom)
	i.approve()
	i.contained()
}

// A SIEM writes null as a text. No container has that name: nothing is done before an
// analyst names the container.
func TestContainerCalledNullIsAskedFor(t *testing.T) {
	t.Parallel()
	f := install(t, shared, twoRoutes, sysdigtest.Options{})
	f.worker()
	e := newEvent(t, f.host, minerRule)
	e["containerId"] = "null"
	e["content"].(map[string]any)["fields"].(map[string]any)["container.id"] = "null"
	i := f.open(e)
	i.awaitState(signals.NeedsFields)
	page := i.show()
	require.Equal(t, "container.id", page.Pending.Parameters["missing"])
	require.NotContains(t, page.WorkflowID, "null")
	require.False(t, strings.HasSuffix(page.WorkflowID, ":host"), page.WorkflowID)
	require.Empty(t, f.sysdig.Ledger())
	i.amend("container.id", f.host.Containers[0])
	require.Equal(t, signals.Contained, i.page().Outcome)
	require.Equal(t, 1, f.sysdig.Ledger().Killed(f.host.Containers[0]))
}
