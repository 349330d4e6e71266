package e2e_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	domain "firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// verified has only the Temporal server's word count. mallory can signal as well
// as the others, but is no approver.
const verified = `approvals: {trust: verified, groups: {soc: [ann, bob]}}`

// pair is a route for which two of them must agree.
const pair = `
  - {name: crypto-miner, when: "true", playbook: crypto-miner, approval: two, cool_down: 100ms}
`

// authenticated is an installation whose Temporal authenticates, and which counts
// nothing else.
func authenticated(t *testing.T, routes string) (*installation, *process) {
	t.Helper()
	f := prepare(t, ownTemporal(t, "ann", "bob", "mallory"), routes, sysdigtest.Options{}, newHost())
	f.configure(verified)
	f.starter()
	return f, f.worker()
}

func TestTwoAuthenticatedAnalystsDecideAndNobodyInTheirNames(t *testing.T) {
	t.Parallel()
	f, _ := authenticated(t, pair)
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	require.Equal(t, []string{"jwt starter"}, i.senders(signals.Events))
	approve := func(principal, claimed string) result {
		return f.runAs(principal, firebreak(), "approve", i.WorkflowID, "--analyst", claimed, "--reason", "confirmed")
	}

	nobody := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Equal(t, 1, nobody.code, nobody.stdout)
	require.Contains(t, nobody.stdout, "unauthorized")
	spoofed := approve("mallory", "ann")
	require.Equal(t, 1, spoofed.code, spoofed.stdout)
	require.Contains(t, spoofed.stdout, `analyst "mallory" is not entitled`)

	first := approve("ann", "ceo")
	require.Zero(t, first.code, first.stdout)
	require.Contains(t, first.stdout, "approved KILL_CONTAINER (1 of 2): confirmed")
	require.Contains(t, first.stdout, "ann")
	again := approve("ann", "bob")
	require.Equal(t, 1, again.code, again.stdout)
	require.Contains(t, again.stdout, "ann has approved already: 2 different analysts are needed")
	require.Equal(t, []string{"ann"}, i.show().Pending.Have)
	require.Zero(t, f.killed())

	second := approve("bob", "bob")
	require.Zero(t, second.code, second.stdout)
	page := i.contained()
	require.Equal(t, 1, f.killed())
	require.Equal(t, []string{"jwt mallory", "jwt ann", "jwt ann", "jwt bob"}, i.senders(signals.Approve), "nobody's is not in the history")
	for _, entry := range page.WarRoom {
		require.NotContains(t, []string{"ceo"}, entry.Actor)
	}
	require.True(t, told(page, signals.KindDecision, `approved KILL_CONTAINER (1 of 2): confirmed (sent in the name of "ceo")`))
}

func TestADecisionCountsWhileTheWorkerThatVetsItDies(t *testing.T) {
	t.Parallel()
	f, worker := authenticated(t, routes)
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	worker.kill()
	sent := f.runAs("mallory", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x", "--wait", "1s")
	require.Equal(t, 1, sent.code, sent.stdout)
	sent = f.runAs("ann", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x", "--wait", "1s")
	require.Equal(t, 1, sent.code, "nobody answers yet: %s", sent.stdout)
	f.worker()
	page := i.contained()
	require.True(t, told(page, signals.KindRefused, `approve did not count: analyst "mallory" is not entitled: not in the list of approvers`))
	require.Equal(t, 1, f.killed())
}

// TestWhoMayStartWorkflowsMayNotAct is about somebody who, with Temporal's
// permission to write, starts a playbook whose route asks nobody.
func TestWhoMayStartWorkflowsMayNotAct(t *testing.T) {
	t.Parallel()
	f, _ := authenticated(t, routes)
	inc := domain.Incident{
		ID: "forged", Rule: domain.Rule{Name: minerRule}, Host: domain.Host{ID: f.host.ID, Name: f.host.Name},
		Container: domain.Container{ID: f.host.Containers[0]},
	}
	inc.Derive()
	in := signals.Input{Route: domain.Route{Name: "crypto-miner", Playbook: "crypto-miner", Approval: domain.Approval{Mode: domain.ModeNone}}}
	run, err := f.temporal.SignalWithStartWorkflow(f.ctx, "crypto-miner:mine", signals.Events, signals.EventBatch{Events: []domain.Incident{inc}},
		client.StartWorkflowOptions{TaskQueue: f.host.Name}, signals.WorkflowCryptoMiner, in)
	require.NoError(t, err)
	i := &incident{installation: f, reference: reference{WorkflowID: run.GetID(), RunID: run.GetRunID()}}
	i.awaitRequest("KILL_CONTAINER")
	require.True(t, told(i.show(), signals.KindAction, "KILL_CONTAINER was not carried out: the incident was opened with trust open, and this worker wants verified"))
	// From now on it asks as the worker wants to be allowed.
	i.approve()
	i.await("a stranger's approval is refused", func() bool {
		return told(i.show(), signals.KindRefused, `analyst "admin" is not entitled: not in the list of approvers`)
	})
	require.Empty(t, f.sysdig.Ledger())
}

// TestATrustThatNobodyKnowsIsNone is about somebody who starts an incident whose
// trust is none of those there are, and so not checked by it as verified is.
func TestATrustThatNobodyKnowsIsNone(t *testing.T) {
	t.Parallel()
	f, _ := authenticated(t, routes)
	inc := domain.Incident{
		ID: "forged", Rule: domain.Rule{Name: minerRule}, Host: domain.Host{ID: f.host.ID, Name: f.host.Name},
		Container: domain.Container{ID: f.host.Containers[0]},
	}
	inc.Derive()
	in := signals.Input{
		Route:     domain.Route{Name: "crypto-miner", Playbook: "crypto-miner"},
		Approvers: signals.Approvers{Trust: "Verified", Analysts: []string{"ann"}},
	}
	run, err := f.temporal.SignalWithStartWorkflow(f.ctx, "crypto-miner:mine", signals.Events, signals.EventBatch{Events: []domain.Incident{inc}},
		client.StartWorkflowOptions{TaskQueue: f.host.Name}, signals.WorkflowCryptoMiner, in)
	require.NoError(t, err)
	i := &incident{installation: f, reference: reference{WorkflowID: run.GetID(), RunID: run.GetRunID()}}
	i.awaitRequest("KILL_CONTAINER")
	f.runAs("mallory", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x")
	i.await("the approval is refused", func() bool {
		return told(i.show(), signals.KindRefused, `approve did not count: analyst "mallory" is not entitled`)
	})
	ann := f.runAs("ann", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x")
	require.Zero(t, ann.code, ann.stdout)
	i.await("it is not carried out", func() bool {
		return f.killed() > 0 || told(i.show(), signals.KindAction, "KILL_CONTAINER was not carried out: the incident was opened with trust Verified, and this worker wants verified")
	})
	require.Zero(t, f.killed())
}

// TestWhatIsCarriedComesFromNobodyElse is about somebody who starts an incident
// that was approved already, and has Temporal's cron start it again.
func TestWhatIsCarriedComesFromNobodyElse(t *testing.T) {
	t.Parallel()
	f, _ := authenticated(t, routes)
	const request = `{"request":"abc","action":"KILL_CONTAINER","need":1,"have":["ann"],"parameters":{"host.id":"$HOST","container.id":"$BOX"}}`
	carried := strings.NewReplacer("$REQUEST", request).Replace(
		`{"page":{"state":"awaiting-approval","playbook":"crypto-miner","route":"crypto-miner","events":{"count":1},"pending":$REQUEST},` +
			`"action":"KILL_CONTAINER","approval":{"request":$REQUEST,"verdict":"approved","have":["ann"],"by":"ann"}}`)
	carried = strings.NewReplacer("$HOST", f.host.ID, "$BOX", f.host.Containers[0]).Replace(carried)
	in := signals.Input{
		Route:     domain.Route{Name: "crypto-miner", Playbook: "crypto-miner"},
		Approvers: signals.Approvers{Trust: signals.TrustVerified, Analysts: []string{"ann"}}, Carried: []byte(carried),
	}
	_, err := f.temporal.ExecuteWorkflow(f.ctx, client.StartWorkflowOptions{
		ID: "crypto-miner:mine", TaskQueue: f.host.Name, CronSchedule: "@every 1s",
	}, signals.WorkflowCryptoMiner, in)
	require.NoError(t, err)
	runs := map[string]bool{}
	f.await("a third run", func() bool {
		run, err := f.temporal.DescribeWorkflowExecution(f.ctx, "crypto-miner:mine", "")
		require.NoError(t, err)
		runs[run.GetWorkflowExecutionInfo().GetExecution().GetRunId()] = true
		return f.killed() > 0 || len(runs) == 3
	})
	require.Zero(t, f.killed())
}

// TestAResetPassesNoDecisionOffAsItsOwn is about a reset, with which Temporal
// repeats the signals of the run before in the name of whoever resets.
func TestAResetPassesNoDecisionOffAsItsOwn(t *testing.T) {
	t.Parallel()
	f, _ := authenticated(t, routes)
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	refused := f.runAs("mallory", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x")
	require.Equal(t, 1, refused.code, refused.stdout)
	token, err := f.temporal.token("ann")
	require.NoError(t, err)
	ann, err := client.DialContext(f.ctx, client.Options{
		HostPort: f.temporal.address, Credentials: client.NewAPIKeyStaticCredentials(token), ConnectionOptions: client.ConnectionOptions{TLSDisabled: true},
		Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	defer ann.Close()
	// Back to the task that asked: what came after it is repeated.
	completed := int64(0)
	for _, event := range i.events() {
		if event.GetWorkflowExecutionSignaledEventAttributes().GetSignalName() == signals.Approve {
			break
		}
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			completed = event.GetEventId()
		}
	}
	reset, err := ann.ResetWorkflowExecution(f.ctx, &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &common.WorkflowExecution{WorkflowId: i.WorkflowID, RunId: i.RunID},
		Reason: "a test", RequestId: "reset-1", WorkflowTaskFinishEventId: completed,
	})
	require.NoError(t, err)
	again := &incident{installation: f, reference: reference{WorkflowID: i.WorkflowID, RunID: reset.GetRunId()}}
	require.Equal(t, []string{"jwt ann"}, again.senders(signals.Approve), "what Temporal says now")
	again.await("the repeated approval is refused", func() bool { return told(again.show(), signals.KindRefused, "unverified") })
	require.NotNil(t, again.show().Pending)
	require.Zero(t, f.killed())
	mine := f.runAs("ann", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Zero(t, mine.code, mine.stdout)
	again.contained()
	require.Equal(t, 1, f.killed())
}

func TestOnlyApproversFreeze(t *testing.T) {
	t.Parallel()
	f, _ := authenticated(t, routes)
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	refused := f.runAs("mallory", firebreak(), "freeze", "--analyst", "ann", "--reason", "mischief", "--task-queue", f.host.Name)
	require.Equal(t, 1, refused.code, refused.stdout)
	require.Contains(t, refused.stdout, `analyst "mallory" is not entitled`)
	frozen := f.runAs("bob", firebreak(), "freeze", "--analyst", "bob", "--reason", "maintenance", "--task-queue", f.host.Name)
	require.Zero(t, frozen.code, frozen.stdout)
	f.await("containment is frozen", func() bool { return f.guard() == signals.GuardFrozen })
	approved := f.runAs("ann", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Equal(t, 1, approved.code, approved.stdout)
	require.Contains(t, approved.stdout, "containment is frozen by bob since ")
	require.Zero(t, f.killed())
}

func TestADecisionOfTheTemporalCommandCarriesWhoSentIt(t *testing.T) {
	t.Parallel()
	cli := temporalCommand(t)
	f, _ := authenticated(t, routes)
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	sent := f.runAs("ann", cli, "workflow", "signal", "-w", i.WorkflowID, "--name", signals.Approve,
		"--input", `{"analyst":"ceo","reason":"confirmed miner"}`)
	require.Zero(t, sent.code, sent.stderr)
	i.contained()
	require.Equal(t, []string{"jwt ann"}, i.senders(signals.Approve))
}

// senders are the type and name of the principal of each signal of a name, as
// the Temporal server authenticated them.
func (i *incident) senders(signal string) []string {
	i.t.Helper()
	var senders []string
	history := i.temporal.GetWorkflowHistory(i.ctx, i.WorkflowID, i.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(i.t, err)
		if event.GetWorkflowExecutionSignaledEventAttributes().GetSignalName() == signal {
			senders = append(senders, event.GetPrincipal().GetType()+" "+event.GetPrincipal().GetName())
		}
	}
	return senders
}
