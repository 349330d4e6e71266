package signals_test

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/signals"
)

func TestEventsOfOneTargetHaveOneWorkflowID(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		route incident.Route
		inc   incident.Incident
		want  string
	}{
		"container": {
			incident.Route{Playbook: "crypto-miner"},
			incident.Incident{Host: incident.Host{Name: "node-1"}, Container: incident.Container{ID: "6949e5f10829"}},
			"crypto-miner:node-1:6949e5f10829",
		},
		"host itself": {
			incident.Route{Playbook: "capture"}, incident.Incident{HostLevel: true, Host: incident.Host{Name: "node-1"}}, "capture:node-1:host",
		},
		"host by MAC address": {
			incident.Route{Playbook: "capture"}, incident.Incident{HostLevel: true, Host: incident.Host{MAC: "42:01:0a:80:00:05"}}, "capture:42:01:0a:80:00:05:host",
		},
		"container of an unknown host": {
			incident.Route{Playbook: "capture"}, incident.Incident{Container: incident.Container{ID: "6949e5f10829"}}, "capture:unknown:6949e5f10829",
		},
		"cloud account and user": {
			incident.Route{Playbook: "capture"},
			incident.Incident{Cloud: incident.Cloud{Account: "289645096542"}, User: "bob@example.com"},
			"capture:289645096542:bob@example.com",
		},
		"nothing known": {
			incident.Route{Playbook: "capture"}, incident.Incident{ID: "event-1"}, "capture:event:event-1",
		},
		"container unknown": {
			incident.Route{Playbook: "capture"}, incident.Incident{Host: incident.Host{Name: "node-1"}}, "capture:node-1:unknown",
		},
		"container unknown, name known": {
			incident.Route{Playbook: "capture"},
			incident.Incident{Host: incident.Host{Name: "node-1"}, Container: incident.Container{Name: "web"}},
			"capture:node-1:unknown@web",
		},
		"container unknown, pod known": {
			incident.Route{Playbook: "capture"},
			incident.Incident{Host: incident.Host{Name: "node-1"}, Kubernetes: incident.Kubernetes{Namespace: "shop", Pod: "host"}},
			"capture:node-1:unknown@shop@host",
		},
		"pod, no host": {
			incident.Route{Playbook: "capture"},
			incident.Incident{User: "ann", Cloud: incident.Cloud{Account: "1"}, Kubernetes: incident.Kubernetes{Namespace: "shop", Pod: "web-1"}},
			"capture:shop:web-1",
		},
		"user of a service": {
			incident.Route{Playbook: "capture"}, incident.Incident{User: "ann", Cloud: incident.Cloud{Provider: "okta"}}, "capture:okta:ann",
		},
		"user of a process on an unknown host": {
			incident.Route{Playbook: "capture"},
			incident.Incident{ID: "e", User: "root", Process: incident.Process{Name: "sh"}},
			"capture:event:e",
		},
		"host itself, of no name": {
			incident.Route{Playbook: "capture"}, incident.Incident{ID: "e", User: "root", HostLevel: true}, "capture:event:e",
		},
		"by the route's own fields": {
			incident.Route{Playbook: "crypto-miner", CorrelateBy: []string{"kubernetes.namespace", "kubernetes.workload_name"}},
			incident.Incident{Kubernetes: incident.Kubernetes{Namespace: "shop", WorkloadName: "web"}},
			"crypto-miner:shop:web",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, signals.WorkflowID(&test.route, "", &test.inc))
		})
	}
}

func TestAHostileHostNameMakesASafeIDOfItsOwn(t *testing.T) {
	t.Parallel()
	safe := regexp.MustCompile(`^[A-Za-z0-9._@:-]+$`)
	seen := map[string]string{}
	for _, host := range []string{
		"a/b", "a_b", "a b", "../..", "..", ".", "a'; rm -rf /", "{workflowId}", "node\n1", strings.Repeat("n", 500), strings.Repeat("n", 501),
		"нода", "\xff\xfe", "a\x00b",
	} {
		id := signals.WorkflowID(&incident.Route{Playbook: "capture"}, "", &incident.Incident{Host: incident.Host{Name: host}})
		require.Regexp(t, safe, id)
		require.Less(t, len(id), 250)
		require.NotContains(t, seen, id, "%q and %q meet", host, seen[id])
		seen[id] = host
	}
}

func TestARequestIsKnownByWhatWouldBeDone(t *testing.T) {
	t.Parallel()
	id := func(action, target string, parameters map[string]any, ask int) string {
		request, err := signals.NewRequest(action, target, parameters, ask)
		require.NoError(t, err)
		require.Len(t, request.ID, 12)
		return request.ID
	}
	kill := map[string]any{"host.id": "h", "container.id": "c"}
	first := id("KILL_CONTAINER", "c", kill, 1)
	require.Equal(t, first, id("KILL_CONTAINER", "c", map[string]any{"container.id": "c", "host.id": "h"}, 1))
	require.NotEqual(t, first, id("STOP_CONTAINER", "c", kill, 1))
	require.NotEqual(t, first, id("KILL_CONTAINER", "d", kill, 1))
	require.NotEqual(t, first, id("KILL_CONTAINER", "c", map[string]any{"host.id": "h", "container.id": "d"}, 1))
	require.NotEqual(t, first, id("KILL_CONTAINER", "c", kill, 2), "asked again is another request")
}

func TestACallerIDNamesOneIntendedExecution(t *testing.T) {
	t.Parallel()
	id := signals.CallerID("w", "r", "q")
	require.Regexp(t, `^firebreak-[0-9a-f]{32}$`, id)
	for _, other := range []string{signals.CallerID("v", "r", "q"), signals.CallerID("w", "s", "q"), signals.CallerID("w", "r", "p")} {
		require.NotEqual(t, id, other)
	}
	name := signals.CaptureName("w", "r", "q")
	require.Regexp(t, `^firebreak-[0-9a-f]{12}$`, name)
	for _, other := range []string{signals.CaptureName("v", "r", "q"), signals.CaptureName("w", "s", "q"), signals.CaptureName("w", "r", "p")} {
		require.NotEqual(t, name, other)
	}
}

func TestNoEventCanTakeTheWorkflowIDOfAnotherTenantsIncident(t *testing.T) {
	t.Parallel()
	id := func(tenant, host, container string, by ...string) string {
		return signals.WorkflowID(&incident.Route{Playbook: "crypto-miner", CorrelateBy: by}, tenant,
			&incident.Incident{Host: incident.Host{Name: host}, Container: incident.Container{ID: container}})
	}
	require.Equal(t, "crypto-miner:tenant=acme:node-1:6949e5f10829", id("acme", "node-1", "6949e5f10829"))
	seen := map[string]bool{}
	for _, other := range []string{
		id("acme", "node-1", "6949e5f10829"),
		id("umbrella", "node-1", "6949e5f10829"),
		id("", "node-1", "6949e5f10829"),
		id("", "acme:node-1", "6949e5f10829"),
		id("", "tenant=acme:node-1", "6949e5f10829"),
		id("acme", "node-1", "", "host.name"),
		id("", "acme", "node-1"),
		id("", "tenant=acme", "node-1"),
		id("", "acme", ""),
		id("acme", "", ""),
	} {
		require.NotContains(t, seen, other)
		seen[other] = true
	}
	require.Equal(t, "respond:quarantine:tenant=acme:node-1:unknown", signals.WorkflowID(
		&incident.Route{Playbook: "respond", Name: "quarantine"}, "acme", &incident.Incident{Host: incident.Host{Name: "node-1"}}))
}

func TestAManualActionIsAskedForInEachTenantByItself(t *testing.T) {
	t.Parallel()
	id := func(tenant, of string) string {
		in := signals.ManualInput{
			Action: "KILL_CONTAINER", Tenant: tenant, Incident: of,
			Parameters: map[string]signals.Scalar{"host.name": "node-1", "container.id": "6949e5f10829"},
		}
		return in.WorkflowID()
	}
	require.Regexp(t, "^action:KILL_CONTAINER:node-1:6949e5f10829:[0-9a-f]{12}$", id("", ""))
	require.Equal(t, id("", "")+":tenant=acme", id("acme", ""))
	of := "crypto-miner:tenant=acme:node-1:6949e5f10829"
	require.Equal(t, id("", of), id("acme", of), "an incident has its own")
}

func TestAManualActionHasTheIDOfWhatItIsAbout(t *testing.T) {
	t.Parallel()
	in := signals.ManualInput{
		Action: "KILL_CONTAINER", Incident: "crypto-miner:node-1:host",
		Parameters: map[string]signals.Scalar{"container.id": "../x", "host.name": "node-1", "host.id": "node-1", "reason": "mine"},
	}
	require.Regexp(t, `^action:KILL_CONTAINER:crypto-miner:node-1:host:node-1:\.\._x_[0-9a-f]{8}:[0-9a-f]{12}$`, in.WorkflowID())
	require.Regexp(t, `^action:KILL_CONTAINER:\.\._[0-9a-f]{8}$`, signals.ManualID("KILL_CONTAINER", ".."), "it names no folder that there is")
	in.Undo = "x-1"
	require.Equal(t, "action:KILL_CONTAINER:undo:x-1", in.WorkflowID(), "an execution is what it is, of whatever incident")
}

func TestFairnessKeyIsTheTenant(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 65)
	for name, test := range map[string]struct{ tenant, want string }{
		"no tenant":               {"", ""},
		"a name":                  {"acme", "acme"},
		"the longest name":        {long[:64], long[:64]},
		"a name that is too long": {long, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, signals.FairnessKey(test.tenant))
		})
	}
}

func TestManualActionsThatDifferInAnyParameterHaveTwoIDs(t *testing.T) {
	t.Parallel()
	type parameters = map[string]signals.Scalar
	snapshot := parameters{"kubernetes.cluster.name": "c", "kubernetes.namespace.name": "n", "kubernetes.persistentvolume.claim.name": "data-0"}
	with := func(name string, value signals.Scalar) parameters {
		all := maps.Clone(snapshot)
		all[name] = value
		return all
	}
	seen := map[string]string{}
	for name, in := range map[string]signals.ManualInput{
		"a claim":               {Action: "KUBERNETES_VOLUME_SNAPSHOT", Parameters: snapshot},
		"another claim":         {Action: "KUBERNETES_VOLUME_SNAPSHOT", Parameters: with("kubernetes.persistentvolume.claim.name", "data-1")},
		"a workload type":       {Action: "KUBERNETES_VOLUME_SNAPSHOT", Parameters: with("kubernetes.workload.type", "deployment")},
		"another workload type": {Action: "KUBERNETES_VOLUME_SNAPSHOT", Parameters: with("kubernetes.workload.type", "statefulset")},
		"a snapshot":            {Action: "KUBERNETES_DELETE_VOLUME_SNAPSHOT", Force: true, Parameters: with("kubernetes.volume.snapshot.name", "s-1")},
		"another snapshot":      {Action: "KUBERNETES_DELETE_VOLUME_SNAPSHOT", Force: true, Parameters: with("kubernetes.volume.snapshot.name", "s-2")},
		"a network policy":      {Action: "DELETE_NETWORK_POLICY", Force: true, Parameters: with("network_policy_name", "p-1")},
		"another policy":        {Action: "DELETE_NETWORK_POLICY", Force: true, Parameters: with("network_policy_name", "p-2")},
		"a region":              {Action: "FETCH_CLOUD_LOGS", Parameters: with("cloudProvider.region", "eu-1")},
		"another region":        {Action: "FETCH_CLOUD_LOGS", Parameters: with("cloudProvider.region", "eu-2")},
		"a time":                {Action: "FETCH_CLOUD_LOGS", Parameters: with("fromTimestamp", "1")},
		"another time":          {Action: "FETCH_CLOUD_LOGS", Parameters: with("fromTimestamp", "2")},
		"a container of a pod":  {Action: "GET_LOGS", Parameters: with("kubernetes.container.name", "web")},
		"another of the pod":    {Action: "GET_LOGS", Parameters: with("kubernetes.container.name", "db")},
		"an incident":           {Action: "GET_LOGS", Parameters: snapshot, Incident: "capture:node-1:host"},
		"a long text":           {Action: "FILE_ACQUIRE", Parameters: with("path.absolute", signals.Scalar(strings.Repeat("a", 500)))},
		"another long text":     {Action: "FILE_ACQUIRE", Parameters: with("path.absolute", signals.Scalar(strings.Repeat("a", 499)+"b"))},
		"a capture":             {Action: "CAPTURE", Parameters: snapshot, Capture: &incident.CaptureOptions{Filter: "a"}},
		"another capture":       {Action: "CAPTURE", Parameters: snapshot, Capture: &incident.CaptureOptions{Filter: "b"}},
	} {
		id := in.WorkflowID()
		require.Empty(t, seen[id], name)
		seen[id] = name
		require.LessOrEqual(t, len(id), 255)

		again := in
		again.Parameters, again.Requester, again.Reason, again.Force = maps.Clone(in.Parameters), "bob", "as well", !in.Force
		require.Equal(t, id, again.WorkflowID(), "the same again")
	}
}

func TestUndoActionIsRefusedByItself(t *testing.T) {
	t.Parallel()
	in := signals.ManualInput{Action: "START_CONTAINER", Requester: "ann"}
	require.ErrorContains(t, in.Check(), "START_CONTAINER takes STOP_CONTAINER back")
	require.ErrorContains(t, in.Check(), "firebreak undo")
	in.Force = true
	require.NoError(t, in.Check())
	in = signals.ManualInput{Action: "UNDO_SOMETHING_NEW", Requester: "ann"}
	require.ErrorContains(t, in.Check(), "firebreak undo")
	in = signals.ManualInput{Action: "STOP_CONTAINER", Undo: "x-1", Requester: "ann"}
	require.NoError(t, in.Check(), "that is how it is done")
}
