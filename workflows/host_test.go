package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

const (
	contradiction = "connected agent 101 (k8s-worker-1) has the same MAC address, but is another host: " +
		"host name k8s-worker-2 of the event, k8s-worker-1 of the agent, agent ID 102 of the event, 101 of the agent"
	disputedHost = "h-of-k8s-worker-2"
)

// cloned is an event of a machine that shares its MAC address with another one,
// which alone is connected.
func cloned() incident.Incident {
	event := miner()
	event.Host = incident.Host{Name: "k8s-worker-2", MAC: "52:54:00:12:34:56", AgentID: "102"}
	event.Tenant = incident.Tenant{}
	return event
}

// disputed is what the worker says of the host of cloned, until an analyst supplies
// its ID.
func disputed(in activities.EnrichInput) (activities.Enrichment, error) {
	if in.Vouched {
		return activities.Enrichment{Note: "none of the 1 connected agents has the ID that an analyst supplied"}, nil
	}
	return activities.Enrichment{Conflict: contradiction, Note: contradiction, Tenant: incident.Tenant{ID: "55001"}}, nil
}

func newDisputedBench(t *testing.T) *bench {
	b := newBench(t)
	b.enrich = func() (activities.Enrichment, error) { return disputed(activities.EnrichInput{}) }
	b.locate = disputed
	return b
}

func TestContradictedHostIsAskedFor(t *testing.T) {
	t.Parallel()
	whole := cloned()
	whole.Host.ID, whole.Tenant.ID = "h-of-another", "55001"
	respond := func(action string) signals.Input {
		return input(incident.Route{Name: "r", Action: action, Approval: incident.Approval{Mode: incident.ModeNone}})
	}
	for name, test := range map[string]struct {
		playbook any
		in       signals.Input
		event    incident.Incident
		missing  string
	}{
		"capture, fields are missing":     {workflows.Capture, respond(""), cloned(), "host.agent_id"},
		"capture, everything is there":    {workflows.Capture, respond(""), whole, "host.agent_id"},
		"kill, fields are missing":        {workflows.CryptoMiner, respond(""), cloned(), "host.id"},
		"kill, everything is there":       {workflows.CryptoMiner, respond(""), whole, "host.id"},
		"stop, everything is there":       {workflows.Respond, respond("STOP_CONTAINER"), whole, "host.id"},
		"quarantine, everything is there": {workflows.Respond, respond("FILE_QUARANTINE"), withFile(whole), "host.id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newDisputedBench(t)
			b.capture = func(activities.CaptureInput) (activities.Capture, error) {
				t.Error("a capture was asked for")
				return activities.Capture{}, nil
			}
			later := test.event
			later.ID = "event-2"
			// A second event says the same of its host, which settles nothing.
			b.at(time.Minute, signals.Events, signals.EventBatch{Events: []incident.Incident{later}})
			b.at(time.Hour, signals.Reject, signals.Decision{Analyst: "ann", Reason: "no such host"})
			page := b.run(test.playbook, test.in, test.event)
			require.Equal(t, signals.Rejected, page.Outcome)
			require.Empty(t, b.executed)
			require.Contains(t, room(page), contradiction)
			require.Contains(t, room(page), "please amend: "+test.missing)
			require.Equal(t, 1, strings.Count(room(page), "please amend"))
			require.Contains(t, room(page), "agent ID 102 is not used")
			require.Equal(t, incident.Host{Name: "k8s-worker-2", MAC: "52:54:00:12:34:56"}, page.Incident.Host, "what hooks are sent")
		})
	}
}

func input(route incident.Route) signals.Input {
	route.CoolDown = noCoolDown()
	return signals.Input{Route: route}
}

func withFile(event incident.Incident) incident.Incident {
	event.File.Path = "/tmp/xmrig"
	return event
}

func room(page signals.Page) string {
	var all strings.Builder
	for _, entry := range page.WarRoom {
		all.WriteString(entry.Text + "\n")
	}
	return all.String()
}

func TestAnalystSuppliesTheHostInDispute(t *testing.T) {
	t.Parallel()
	b := newDisputedBench(t)
	b.at(time.Minute, signals.Amend, signals.Amendment{Analyst: "ann", Fields: map[string]signals.Scalar{"host.id": disputedHost}})
	page := b.run(workflows.CryptoMiner, input(incident.Route{Name: "r", Approval: incident.Approval{Mode: incident.ModeNone}}), cloned())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, disputedHost, b.executed[0].Parameters["host.id"])
	require.Equal(t, activities.Address{
		Host: incident.Host{ID: disputedHost, Name: "k8s-worker-2", MAC: "52:54:00:12:34:56"}, Vouched: true,
	}, b.executed[0].Address)
}

// An analyst who supplies the ID of a host with another name has the incident name
// that host, and even a route that asks for nothing needs a decision.
func TestSuppliedHostIsTheOneThatIsNamed(t *testing.T) {
	t.Parallel()
	other := incident.Host{ID: "h1", Name: "k8s-worker-1", MAC: "52:54:00:12:34:56", AgentID: "101"}
	b := newDisputedBench(t)
	b.locate = func(in activities.EnrichInput) (activities.Enrichment, error) {
		if in.Vouched {
			return activities.Enrichment{Host: other, Note: "connected agent 101, as an analyst supplied its host ID"}, nil
		}
		return disputed(in)
	}
	b.at(time.Minute, signals.Amend, signals.Amendment{Analyst: "ann", Fields: map[string]signals.Scalar{"host.id": "h1"}})
	b.at(2*time.Minute, signals.Approve, signals.Decision{Analyst: "bob", Reason: "it is that one"})
	page := b.run(workflows.CryptoMiner, input(incident.Route{Name: "r", Approval: incident.Approval{Mode: incident.ModeNone}}), cloned())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Contains(t, room(page), "KILL_CONTAINER container 6949e5f10829 on k8s-worker-1")
	require.Contains(t, room(page), "host.name k8s-worker-2 of the event, k8s-worker-1 of the host that was supplied")
	require.Equal(t, other, b.executed[0].Address.Host)
	require.Equal(t, []string{"bob"}, b.executed[0].Claim.ApprovedBy)
}

func TestReconnectedAgentOutranksTheEvent(t *testing.T) {
	t.Parallel()
	event := miner()
	event.Host = incident.Host{Name: "node-1", MAC: "aa:bb:cc:dd:ee:01", AgentID: "13530"}
	event.Tenant.ID = "1"
	event.Kubernetes.Cluster = "old"
	b := newBench(t)
	b.locate = func(activities.EnrichInput) (activities.Enrichment, error) {
		return activities.Enrichment{
			Host:   incident.Host{ID: "host-1", Name: "node-1", MAC: "aa:bb:cc:dd:ee:01", AgentID: "58014837"},
			Tenant: incident.Tenant{ID: "55001"}, Cluster: "prod", Note: "connected agent 58014837, found by MAC address",
		}, nil
	}
	var asked activities.CaptureInput
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		asked = in
		return activities.Capture{ID: 7, Name: in.Name, Size: 100}, nil
	}
	none := incident.Approval{Mode: incident.ModeNone}
	page := b.run(workflows.Capture, input(incident.Route{Name: "r", Approval: none, SaveApproval: none}), event)
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, "58014837", asked.AgentID)
	require.Equal(t, "55001", asked.CustomerID)
	require.Equal(t, "host-1", page.Incident.Host.ID)
	require.Equal(t, "prod", page.Incident.Kubernetes.Cluster)
	for _, said := range []string{
		"agent ID 13530 of the event, 58014837 connected now", "customer 1 of the event, 55001 connected now", "cluster old of the event, prod connected now",
	} {
		require.Contains(t, room(page), said)
	}
}

// The agent came back with another host ID while the approval was waited for: what
// was approved is not carried out, and the request is asked again.
func TestHostThatChangedSinceTheApprovalIsAskedAgain(t *testing.T) {
	t.Parallel()
	event := miner()
	event.Host = incident.Host{ID: "host-1", Name: "node-1", MAC: "aa:bb:cc:dd:ee:01", AgentID: "1"}
	b := newBench(t)
	now := event.Host
	b.locate = func(activities.EnrichInput) (activities.Enrichment, error) {
		return activities.Enrichment{Host: now, Note: "connected agent " + now.AgentID}, nil
	}
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if in.Parameters["host.id"] != "host-2" {
			now.ID, now.AgentID = "host-2", "2"
			return activities.Execution{}, temporal.NewNonRetryableApplicationError("the host has changed", activities.ErrHost, nil)
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.at(time.Hour, signals.Approve, signals.Decision{Analyst: "ann", Reason: "miner"})
	b.at(2*time.Hour, signals.Approve, signals.Decision{Analyst: "bob", Reason: "still a miner"})
	page := b.run(workflows.CryptoMiner, input(incident.Route{Name: "r", Approval: incident.Approval{Mode: incident.ModeOne}}), event)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 2)
	require.Equal(t, []string{"bob"}, b.executed[1].Claim.ApprovedBy)
	require.NotEqual(t, b.executed[0].CallerID, b.executed[1].CallerID)
	require.Contains(t, room(page), "KILL_CONTAINER was not carried out: the host has changed")
	require.Contains(t, room(page), "host ID host-1 of the event, host-2 connected now; agent ID 1 of the event, 2 connected now")
}

func TestCaptureOfAReconnectedAgentSaysSo(t *testing.T) {
	t.Parallel()
	event := miner()
	event.Host = incident.Host{ID: "host-1", Name: "node-1", MAC: "aa:bb:cc:dd:ee:01", AgentID: "1"}
	event.Tenant.ID = "55001"
	b := newBench(t)
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		return activities.Capture{ID: 7, Name: in.Name, Size: 100, AgentID: "2"}, nil
	}
	none := incident.Approval{Mode: incident.ModeNone}
	page := b.run(workflows.Capture, input(incident.Route{Name: "r", Approval: none, SaveApproval: none}), event)
	require.Equal(t, signals.Captured, page.Outcome)
	require.Contains(t, room(page), "agent ID 1 when it was asked for, 2 connected now")
}

func TestRouteThatNamesAnotherHostIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.locate = func(in activities.EnrichInput) (activities.Enrichment, error) {
		require.Equal(t, "h-of-another", in.HostID)
		return activities.Enrichment{Conflict: "another host", Note: "another host"}, nil
	}
	b.at(time.Hour, signals.Reject, signals.Decision{Analyst: "ann", Reason: "no"})
	event := miner()
	event.Host = incident.Host{ID: "host-1", Name: "node-1"}
	page := b.run(workflows.Respond, input(incident.Route{
		Name: "r", Action: "KILL_CONTAINER", Parameters: map[string]string{"host.id": `"h-of-another"`}, Approval: incident.Approval{Mode: incident.ModeNone},
	}), event)
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Empty(t, b.executed)
	require.Contains(t, room(page), "host ID host-1 of the event, h-of-another of the route's parameters")
	require.Contains(t, room(page), "please amend: host.id")
}

func TestUnreadableListDoesNotHoldUpAnAction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.locate = func(activities.EnrichInput) (activities.Enrichment, error) {
		return activities.Enrichment{}, temporal.NewNonRetryableApplicationError("token refused", activities.ErrForbidden, nil)
	}
	event := miner()
	event.Host.ID = "host-1"
	page := b.run(workflows.CryptoMiner, input(incident.Route{Name: "r", Approval: incident.Approval{Mode: incident.ModeNone}}), event)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Contains(t, room(page), "going on with what is known of it: token refused")
}

func TestNoEntryOnFieldsIfNoneIsRequired(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	event := miner()
	event.Kubernetes = incident.Kubernetes{Cluster: "prod", Namespace: "shop"}
	page := b.run(workflows.Respond, input(incident.Route{
		Name: "r", Action: "DELETE_NETWORK_POLICY", Approval: incident.Approval{Mode: incident.ModeNone},
		Parameters: map[string]string{"kubernetes.cluster.name": `"prod"`, "kubernetes.namespace.name": `"shop"`, "network_policy_name": `"p"`},
	}), event)
	require.NotContains(t, room(page), "all required fields are there: \n")
}

// Who asks by hand names the host by one identifier, or by an incident's: it is
// compared all the same.
func TestContradictedHostIsAskedForByHand(t *testing.T) {
	t.Parallel()
	whole := cloned()
	whole.Host.ID, whole.Tenant.ID = "h-of-another", "55001"
	for name, in := range map[string]signals.ManualInput{
		"action":  {Action: "KILL_CONTAINER", Requester: "eve", Reason: "a miner", Incident: "capture:k8s-worker-2:6949e5f10829"},
		"host ID": {Action: "KILL_CONTAINER", Requester: "eve", Reason: "a miner", Incident: "capture:k8s-worker-2:6949e5f10829", Parameters: map[string]signals.Scalar{"host.id": "h-of-another"}},
		"capture": {Action: "CAPTURE", Requester: "eve", Reason: "a miner", Incident: "capture:k8s-worker-2:6949e5f10829", Capture: &incident.CaptureOptions{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newDisputedBench(t)
			b.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", signals.Told, mock.Anything).Return(nil).Maybe()
			about := whole
			b.at(time.Hour, signals.Reject, signals.Decision{Analyst: "ann", Reason: "no such host"})
			page := b.manual(in, activities.Manual{Incident: &about})
			require.Equal(t, signals.Rejected, page.Outcome)
			require.Empty(t, b.executed)
			require.Contains(t, room(page), contradiction)
			require.Contains(t, room(page), "please amend: host.")
		})
	}
}
