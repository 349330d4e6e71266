package activities_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
)

const sharedMAC = "52:54:00:12:34:56"

func TestHostIsJudgedByAllItsIdentifiers(t *testing.T) {
	t.Parallel()
	worker1 := sysdigtest.Host{Name: "k8s-worker-1", MAC: sharedMAC, ID: "h-1", AgentID: 101, Cluster: "demo"}
	prefixed := func(name, id string, agent int64) sysdigtest.Host {
		return sysdigtest.Host{Name: name, MAC: name + "-" + sharedMAC, ID: id, AgentID: agent}
	}
	gke := sysdigtest.Host{Name: "gke-vd1o", MAC: "42:01:0a:80:00:05", ID: "h-gke", AgentID: 58014837, Cluster: "prod"}
	for name, test := range map[string]struct {
		agents []sysdigtest.Host
		in     activities.EnrichInput
		// want is the agent ID that is found, "" for none; says is what the conflict
		// names.
		want string
		says []string
	}{
		"a cloned machine that is not listed": {
			[]sysdigtest.Host{worker1},
			activities.EnrichInput{HostName: "k8s-worker-2", MAC: sharedMAC, AgentID: "102"},
			"",
			[]string{
				"connected agent 101 (k8s-worker-1) has the same MAC address", "host name k8s-worker-2 of the event, k8s-worker-1 of the agent",
				"agent ID 102 of the event, 101 of the agent",
			},
		},
		"a cloned machine, agent ID unknown": {
			[]sysdigtest.Host{worker1}, activities.EnrichInput{HostName: "k8s-worker-2", MAC: sharedMAC}, "", []string{"host name k8s-worker-2"},
		},
		"a cloned machine, name unknown": {
			[]sysdigtest.Host{worker1}, activities.EnrichInput{MAC: sharedMAC, AgentID: "102"}, "", []string{"agent ID 102 of the event, 101 of the agent"},
		},
		"both cloned machines are listed": {
			[]sysdigtest.Host{worker1, {Name: "k8s-worker-2", MAC: sharedMAC, ID: "h-2", AgentID: 102}},
			activities.EnrichInput{HostName: "k8s-worker-2", MAC: sharedMAC, AgentID: "102"},
			"102", nil,
		},
		"a prefix tells machines apart": {
			[]sysdigtest.Host{prefixed("k8s-worker-1", "h-1", 101), prefixed("k8s-worker-2", "h-2", 102)},
			activities.EnrichInput{MAC: "K8S-WORKER-2-52-54-00-12-34-56"},
			"102", nil,
		},
		"the prefix of a machine that is not listed": {
			[]sysdigtest.Host{prefixed("k8s-worker-1", "h-1", 101)},
			activities.EnrichInput{MAC: "k8s-worker-2-" + sharedMAC, HostName: "k8s-worker-2", AgentID: "102"},
			"", nil,
		},
		"a name that agrees, a prefix that does not": {
			[]sysdigtest.Host{prefixed("k8s-worker-1", "h-1", 101)},
			activities.EnrichInput{MAC: "k8s-worker-2-" + sharedMAC, HostName: "k8s-worker-1"},
			"",
			[]string{"MAC address k8s-worker-2-"},
		},
		"a bare MAC does not find a prefixed one": {
			[]sysdigtest.Host{prefixed("k8s-worker-1", "h-1", 101)}, activities.EnrichInput{MAC: sharedMAC}, "", nil,
		},
		"a bare MAC does not contradict a prefixed one": {
			[]sysdigtest.Host{prefixed("k8s-worker-1", "h-1", 101)}, activities.EnrichInput{MAC: sharedMAC, HostName: "k8s-worker-1"}, "101", nil,
		},
		"an agent that came back": {
			[]sysdigtest.Host{gke}, activities.EnrichInput{HostName: "gke-vd1o.internal", MAC: "42-01-0A-80-00-05", AgentID: "13530"}, "58014837", nil,
		},
		"an agent that came back, by host ID alone": {
			[]sysdigtest.Host{gke}, activities.EnrichInput{HostID: "H-GKE", AgentID: "13530"}, "58014837", nil,
		},
		"an agent that came back with another host ID": {
			[]sysdigtest.Host{gke}, activities.EnrichInput{HostID: "h-old", HostName: "gke-vd1o", MAC: gke.MAC, AgentID: "13530"}, "58014837", nil,
		},
		"another host ID of the same agent": {
			[]sysdigtest.Host{gke},
			activities.EnrichInput{HostID: "h-old", HostName: "gke-vd1o", MAC: gke.MAC, AgentID: "58014837"},
			"",
			[]string{"host ID h-old of the event, h-gke of the agent"},
		},
		"another host ID, agent ID unknown": {
			[]sysdigtest.Host{gke}, activities.EnrichInput{HostID: "h-old", HostName: "gke-vd1o", MAC: gke.MAC}, "", []string{"host ID h-old"},
		},
		"an agent ID that is connected elsewhere": {
			[]sysdigtest.Host{gke, {Name: "other", MAC: "42:01:0a:80:00:06", ID: "h-6", AgentID: 13530}},
			activities.EnrichInput{HostName: "gke-vd1o", MAC: gke.MAC, AgentID: "13530"},
			"",
			[]string{"agent ID 13530 of the event"},
		},
		"a host ID that is connected elsewhere": {
			[]sysdigtest.Host{gke, {Name: "other", MAC: "42:01:0a:80:00:06", ID: "h-6", AgentID: 6}},
			activities.EnrichInput{HostID: "h-6", HostName: "gke-vd1o", MAC: gke.MAC, AgentID: "13530"},
			"",
			[]string{"host ID h-6 of the event, h-gke of the agent"},
		},
		"a name that another agent has": {
			[]sysdigtest.Host{{MAC: gke.MAC, ID: "h-gke", AgentID: 1}, {Name: "gke-vd1o", ID: "h-7", AgentID: 7}},
			activities.EnrichInput{HostName: "gke-vd1o", MAC: gke.MAC},
			"",
			[]string{"host name gke-vd1o of the event, none of the agent"},
		},
		"by agent ID alone":         {[]sysdigtest.Host{gke}, activities.EnrichInput{AgentID: "58014837"}, "58014837", nil},
		"an agent ID and its name":  {[]sysdigtest.Host{gke}, activities.EnrichInput{AgentID: "58014837", HostName: "web-1"}, "", []string{"host name web-1"}},
		"a name, no agent has it":   {[]sysdigtest.Host{gke}, activities.EnrichInput{HostName: "ff5809b3eaba"}, "", nil},
		"no agents":                 {[]sysdigtest.Host{}, activities.EnrichInput{HostName: "gke-vd1o"}, "", nil},
		"supplied, of another host": {[]sysdigtest.Host{worker1}, activities.EnrichInput{HostID: "h-1", HostName: "k8s-worker-2", MAC: sharedMAC, Vouched: true}, "101", nil},
		"supplied, not listed":      {[]sysdigtest.Host{worker1}, activities.EnrichInput{HostID: "h-2", HostName: "k8s-worker-2", MAC: sharedMAC, Vouched: true}, "", nil},
		"supplied, of two hosts": {
			[]sysdigtest.Host{worker1, gke},
			activities.EnrichInput{HostID: "h-1", AgentID: "58014837", Vouched: true},
			"",
			[]string{"host ID h-1 is that of connected agent 101 (k8s-worker-1)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{Hosts: test.agents})
			found, err := run[activities.Enrichment](b, a.LocateHost, test.in)
			require.NoError(t, err)
			require.Equal(t, test.want, found.Host.AgentID, found.Note)
			require.NotEmpty(t, found.Note)
			require.Equal(t, test.want == "" && test.says != nil, found.Conflict != "", found.Conflict)
			for _, says := range test.says {
				require.Contains(t, found.Conflict, says)
			}
			if test.want == "" {
				require.Zero(t, found.Host)
				require.Zero(t, found.Tenant)
				require.Empty(t, found.Cluster)
			}
		})
	}
}

func TestAgentSuppliesItsCluster(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	found, err := run[activities.Enrichment](b, a.Enrich, activities.EnrichInput{HostID: nodeHost})
	require.NoError(t, err)
	require.Equal(t, "gke-alliances-demo-6", found.Cluster)
}

func TestIncidentsShareOneListOfAgents(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	for range 20 {
		_, err := run[activities.Enrichment](b, a.Enrich, activities.EnrichInput{HostID: nodeHost})
		require.NoError(t, err)
		_, err = run[activities.Enrichment](b, a.LocateHost, activities.EnrichInput{HostName: "unknown"})
		require.NoError(t, err)
	}
	require.Equal(t, 1, b.sysdig.Requests(http.MethodGet, "/api/agents/connected"))
	require.Equal(t, 1, b.sysdig.Requests(http.MethodGet, "/api/users/me"))
}

func nodeAddress() activities.Address {
	return activities.Address{Host: incident.Host{
		ID: nodeHost, Name: "gke-cluster-gcp-demo-san-default-pool-66250c41-vd1o", MAC: "42:01:0a:80:00:05", AgentID: "58014837",
	}}
}

func TestActionOnAnotherHostIsNotSubmitted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*activities.ActionInput)
		want   string // the error's type, "" for none
	}{
		"the same host":    {func(*activities.ActionInput) {}, ""},
		"no host is known": {func(in *activities.ActionInput) { in.Address = activities.Address{} }, ""},
		"a host that is not listed": {func(in *activities.ActionInput) {
			in.Address.Host = incident.Host{Name: "gone"}
			in.Parameters["host.id"] = "h"
		}, ""},
		"the agent came back":        {func(in *activities.ActionInput) { in.Address.Host.AgentID = "1" }, ""},
		"another name":               {func(in *activities.ActionInput) { in.Address.Host.Name = "node-2" }, activities.ErrHost},
		"another MAC":                {func(in *activities.ActionInput) { in.Address.Host.MAC = "42:01:0a:80:00:06" }, activities.ErrHost},
		"parameters of another host": {func(in *activities.ActionInput) { in.Parameters["host.id"] = sysdigtest.DefaultHosts()[1].ID }, activities.ErrHost},
		"another name, as supplied": {func(in *activities.ActionInput) {
			in.Address.Host.Name, in.Address.Vouched = "node-2", true
		}, activities.ErrHost},
		"it came back with another host ID": {func(in *activities.ActionInput) {
			in.Address.Host.AgentID, in.Parameters["host.id"] = "1", "h-old"
		}, activities.ErrHost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			in := kill()
			in.Address = nodeAddress()
			test.change(&in)
			_, err := run[activities.Execution](b, a.ExecuteAction, in)
			if test.want == "" {
				require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, executions))
				return
			}
			require.Equal(t, test.want, final(t, err))
			require.Zero(t, b.sysdig.Requests(http.MethodPost, executions))
		})
	}
}

func TestActionGoesOnWithoutTheListOfAgents(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sysdigtest.Fault{
		"forbidden": {Path: "/api/agents", Status: http.StatusForbidden},
		"down":      {Path: "/api/agents", Status: http.StatusBadGateway},
		"cut off":   {Path: "/api/agents", Truncate: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			b.sysdig.Fault(fault)
			in := kill()
			in.Address = nodeAddress()
			done, err := run[activities.Execution](b, a.ExecuteAction, in)
			require.NoError(t, err)
			require.Equal(t, "COMPLETED", done.Status)
		})
	}
}

func TestCaptureIsAskedOfTheAgentThatIsConnectedNow(t *testing.T) {
	t.Parallel()
	node := sysdigtest.DefaultHosts()[0]
	node.MAC = "42-01-0A-80-00-05" // the capture is addressed as Sysdig spells it
	b := newBench(t, sysdigtest.Options{Hosts: []sysdigtest.Host{node}})
	in := captureOfNode()
	in.AgentID, in.CustomerID = "13530", "1"
	in.Address = nodeAddress()
	in.Address.Host.AgentID = "13530"
	capture, err := run[activities.Capture](b, a.CreateCapture, in)
	require.NoError(t, err)
	require.Equal(t, "58014837", capture.AgentID)
	done, err := run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: capture})
	require.NoError(t, err, "the agent begins it")
	require.Positive(t, done.Size)
}

func TestCaptureOfAnotherHostIsNotCreated(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{Hosts: []sysdigtest.Host{{Name: "k8s-worker-1", MAC: sharedMAC, ID: "h-1", AgentID: 101}}})
	in := captureOfNode()
	in.HostName, in.MAC, in.AgentID = "k8s-worker-2", sharedMAC, "102"
	in.Address.Host = incident.Host{Name: in.HostName, MAC: in.MAC, AgentID: in.AgentID}
	_, err := run[activities.Capture](b, a.CreateCapture, in)
	require.Equal(t, activities.ErrHost, final(t, err))
	require.ErrorContains(t, err, "host name k8s-worker-2 of the event, k8s-worker-1 of the agent")
	require.Zero(t, b.sysdig.Requests(http.MethodPost, "/api/v1/captures"))
}

func TestEventOfAnotherHostAtSysdigIsAConflict(t *testing.T) {
	t.Parallel()
	event := detection(t, "one", 0, "node-2", "")
	b := newBench(t, sysdigtest.Options{Events: []json.RawMessage{event}})
	found, err := run[activities.Enrichment](b, a.Enrich, activities.EnrichInput{HostName: "node-1", EventID: "one"})
	require.NoError(t, err)
	require.Equal(t, "the event at Sysdig is of another host: host name node-1 as received, node-2 at Sysdig", found.Conflict)
}
