package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"firebreak/internal/catalogue"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// respondRoute sends every event to one action, without asking.
func respondRoute(more string) string {
	return `[{name: act, when: "true", playbook: respond, cool_down: 100ms, approval: {mode: none}` + more + `}]`
}

// telling is an event with something for every parameter that an incident can
// tell.
func telling(t *testing.T, f *installation, rule string) event {
	t.Helper()
	e := newEvent(t, f.host, rule)
	labels, fields := e["labels"].(map[string]any), e["content"].(map[string]any)["fields"].(map[string]any)
	for name, value := range map[string]string{
		"kubernetes.cluster.name": "prod", "kubernetes.namespace.name": "shop", "kubernetes.pod.name": "web-1",
		"kubernetes.workload.name": "web", "kubernetes.workload.type": "deployment", "host.id": f.host.ID,
		"cloudProvider.name": "aws", "cloudProvider.account.id": "123456789012", "cloudProvider.region": "us-east-1",
		"aws.instanceId": "i-0abc",
	} {
		labels[name] = value
	}
	for name, value := range map[string]string{
		"fd.name": "/tmp/xmrig", "ct.user": "mallory", "ct.user.arn": "arn:aws:iam::123456789012:user/mallory", "ct.user.identitytype": "IAMUser",
	} {
		fields[name] = value
	}
	return e
}

// actions counts what was carried out of an action, well or not.
func (f *installation) actions(name string) int {
	return f.sysdig.Ledger().Count(func(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Action && e.Action == name })
}

// undone counts what was taken back.
func (f *installation) undone() int {
	return f.sysdig.Ledger().Count(func(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Undo && e.Failure == "" })
}

// The simulated Sysdig is strict: it refuses a parameter that is missing, one
// too many, and one of another type.
func TestARouteCarriesOutEveryActionOfTheCatalogueOnce(t *testing.T) {
	t.Parallel()
	var routes strings.Builder
	all := slices.DeleteFunc(catalogue.All(), func(a catalogue.Action) bool { return a.Undoes != "" }) // those are undone
	for _, action := range all {
		parameters := []string{}
		for _, name := range action.Nowhere() {
			value := `'"given"'`
			if p, _ := action.Parameter(name); p.Type == catalogue.Integer {
				value = `'1000000000'`
			}
			parameters = append(parameters, name+": "+value)
		}
		fmt.Fprintf(&routes, "\n  - {name: %s, when: 'incident.rule.name == %q', playbook: respond, action: %s, cool_down: 0s, approval: {mode: none}, parameters: {%s}}",
			action.Name, action.Name, action.Name, strings.Join(parameters, ", "))
	}
	f := install(t, shared, routes.String(), sysdigtest.Options{CaptureSize: 4 << 10})
	f.worker()
	for _, action := range all {
		i := f.open(telling(t, f, action.Name))
		require.Equal(t, "respond:"+action.Name+":"+f.host.Name+":"+f.host.Containers[0], i.WorkflowID)
	}
	for _, action := range all {
		// Several of them find the container in another state than they need.
		f.await(action.Name+" is carried out", func() bool { return f.actions(action.Name) > 0 })
		require.Equal(t, 1, f.actions(action.Name), action.Name)
	}
}

func TestWhatWasQuarantinedIsTakenBackByAnAnalystAlsoWhenTheWorkerDies(t *testing.T) {
	t.Parallel()
	f := install(t, shared, respondRoute(`, auto_undo_after: 1h, action: FILE_QUARANTINE`), sysdigtest.Options{})
	first := f.worker()
	i := f.open(telling(t, f, minerRule))
	i.awaitRequest("KEEP_CONTAINMENT")
	require.Equal(t, 1, f.actions("FILE_QUARANTINE"))

	undo := executions + "/*"
	f.sysdig.Fault(sysdigtest.Fault{Method: http.MethodDelete, Path: undo, Times: 1, Latency: time.Minute})
	i.signal(signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
	f.await("the undo is asked of Sysdig", func() bool { return f.sysdig.Requests(http.MethodDelete, undo) == 1 })
	first.kill()
	f.worker()
	page := i.page()
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Equal(t, "ann", page.Actions[0].UndoneBy)
	require.NotEmpty(t, page.Actions[0].UndoID)
	require.Equal(t, 1, f.undone())
	require.Equal(t, 1, f.sysdig.Requests(http.MethodDelete, undo), "the undo that was accepted is adopted")
	i.verify(page)
}

func TestAPausedContainerGoesOnUnlessAnAnalystConfirms(t *testing.T) {
	t.Parallel()
	f := install(t, shared, respondRoute(`, auto_undo_after: 1s, action: PAUSE_CONTAINER`), sysdigtest.Options{})
	f.worker()
	i := f.open(telling(t, f, minerRule))
	page := i.page()
	require.Equal(t, signals.Expired, page.Outcome)
	require.Equal(t, "firebreak", page.Actions[0].UndoneBy)
	require.Equal(t, 1, f.undone())

	kept := install(t, shared, respondRoute(`, auto_undo_after: 1h, action: PAUSE_CONTAINER`), sysdigtest.Options{})
	kept.worker()
	i = kept.open(telling(t, kept, minerRule))
	i.awaitRequest("KEEP_CONTAINMENT")
	i.approve()
	require.Equal(t, signals.Contained, i.page().Outcome)
	require.Zero(t, kept.undone())
}

func TestWhatAnActionFetchedIsStoredAsEvidence(t *testing.T) {
	t.Parallel()
	for action, name := range map[string]string{"FILE_ACQUIRE": ".bin", "GET_LOGS": ".json"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			f := install(t, shared, respondRoute(`, action: `+action), sysdigtest.Options{CaptureSize: 4 << 10})
			f.worker()
			i := f.open(telling(t, f, minerRule))
			page := i.page()
			require.Equal(t, signals.Captured, page.Outcome)
			require.True(t, slices.ContainsFunc(page.Evidence, func(file string) bool { return strings.HasSuffix(file, name) }), page.Evidence)
			i.verify(page)
		})
	}
}

func TestACloudDetectionIsAnsweredInTheCloud(t *testing.T) {
	t.Parallel()
	f := install(t, shared, respondRoute(`, action: IAM_QUARANTINE`), sysdigtest.Options{})
	f.worker()
	e := telling(t, f, "Attach administrator policy")
	for _, key := range []string{"agentId", "machineId", "hostMac", "containerId"} {
		delete(e, key)
	}
	labels := e["labels"].(map[string]any)
	for name := range labels {
		if strings.HasPrefix(name, "host.") || strings.HasPrefix(name, "kubernetes.") || strings.HasPrefix(name, "container.") {
			delete(labels, name)
		}
	}
	account := random(6) // an incident of its own
	labels["cloudProvider.account.id"] = account
	fields := e["content"].(map[string]any)["fields"].(map[string]any)
	delete(fields, "container.id")
	delete(fields, "user.name")
	i := f.open(e)
	require.Equal(t, "respond:act:"+account+":mallory", i.WorkflowID)
	require.Equal(t, signals.Contained, i.page().Outcome)
	ledger := f.sysdig.Ledger()
	require.Len(t, ledger, 1)
	require.Equal(t, map[string]any{
		"cloudProvider.name": "aws", "cloudProvider.account.id": account, "ct.user": "mallory",
		"ct.user.arn": "arn:aws:iam::123456789012:user/mallory", "ct.user.identitytype": "IAMUser",
	}, ledger[0].Parameters)
}

func TestACaptureGoesToTheCustomersStorageWhereTheRouteSaysSo(t *testing.T) {
	t.Parallel()
	f := install(t, shared, responseActionCapture, sysdigtest.Options{})
	f.worker()
	i := f.open(telling(t, f, minerRule))
	page := i.page()
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, 1, f.actions("CAPTURE"))
	require.True(t, told(page, signals.KindCapture, "is in the storage 77"))
}

// byHand starts a manual action.
func (f *installation) byHand(in signals.ManualInput) *incident {
	f.t.Helper()
	run, err := f.temporal.ExecuteWorkflow(f.ctx, client.StartWorkflowOptions{
		ID: in.WorkflowID() + ":" + f.host.Name, TaskQueue: f.host.Name,
	}, signals.WorkflowResponseAction, in)
	require.NoError(f.t, err)
	return &incident{installation: f, reference: reference{WorkflowID: run.GetID(), RunID: run.GetRunID()}}
}

func TestAnActionByHandNeedsSomebodyElseAndIsToldInItsIncident(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	f.worker()
	about := f.openMiner()
	about.awaitRequest("KILL_CONTAINER")
	// As anybody can type it for Temporal's own CLI.
	run, err := f.temporal.ExecuteWorkflow(f.ctx, client.StartWorkflowOptions{
		ID: "action:PAUSE_CONTAINER:" + f.host.Name, TaskQueue: f.host.Name,
	}, "ResponseAction", map[string]any{
		"action": "PAUSE_CONTAINER", "incident": about.WorkflowID, "requester": "ann", "reason": "until we know more",
	})
	require.NoError(t, err)
	i := &incident{installation: f, reference: reference{WorkflowID: run.GetID(), RunID: run.GetRunID()}}
	i.awaitRequest("PAUSE_CONTAINER")
	i.approve()
	i.await("her own approval is refused", func() bool { return told(i.show(), signals.KindRefused, "ann asked for it") })
	i.signal(signals.Approve, signals.Decision{Analyst: "bob", Reason: "agreed"})
	page := i.page()
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, 1, f.actions("PAUSE_CONTAINER"))
	i.verify(page)
	about.await("the incident was told", func() bool { return told(about.show(), signals.KindNote, "PAUSE_CONTAINER: contained") })
	about.reject()
	require.Equal(t, signals.Rejected, about.page().Outcome)
}
