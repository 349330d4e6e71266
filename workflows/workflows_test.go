package workflows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// bench is a playbook in the time-skipping test environment, with Sysdig and
// the evidence store played by functions.
type bench struct {
	*testsuite.TestWorkflowEnvironment
	t *testing.T

	enrich func() (activities.Enrichment, error)
	// locate finds the host as it is asked for.
	locate  func(activities.EnrichInput) (activities.Enrichment, error)
	execute func(activities.ActionInput) (activities.Execution, error)
	capture func(activities.CaptureInput) (activities.Capture, error)
	await   func(activities.AwaitInput) (activities.Capture, error)
	save    func(activities.SaveInput) (activities.StoredFile, error)
	fetch   func(activities.FetchInput) (activities.StoredFile, error)
	report  func(signals.Page) error
	// vet knows of nobody who was authenticated, and of no freeze.
	vet    func(activities.VetInput) (activities.Vetting, error)
	choose func(activities.ApprovalInput) (incident.Approval, error)
	notify func(activities.Notification) ([]string, error)
	// related knows of no other event.
	related func(activities.RelatedInput) (activities.RelatedResult, error)

	executed []activities.ActionInput
	notified []activities.Notification
	fetched  []activities.FetchInput
	reported []signals.Page
	files    []activities.StoredFile // of the last report
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchWith(t, client.MetricsNopHandler)
}

// patience is how long a workflow task may compute. A second, the default, is too
// little on a busy machine for the largest incidents.
const patience = time.Minute

// newBenchWith is a bench that counts.
func newBenchWith(t *testing.T, counts client.MetricsHandler) *bench {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetMetricsHandler(counts)
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))

	b := &bench{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t}
	b.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience})
	b.enrich = func() (activities.Enrichment, error) {
		return activities.Enrichment{
			Host:   incident.Host{ID: "host-1", Name: "node-1", MAC: "aa:bb:cc:dd:ee:01", AgentID: "99001"},
			Tenant: incident.Tenant{ID: "55001"}, Note: "connected agent 99001",
		}, nil
	}
	b.locate = func(in activities.EnrichInput) (activities.Enrichment, error) {
		return activities.Enrichment{
			Host: incident.Host{ID: in.HostID, Name: in.HostName, MAC: in.MAC, AgentID: in.AgentID}, Note: "connected agent " + in.AgentID,
		}, nil
	}
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.await = func(in activities.AwaitInput) (activities.Capture, error) { return in.Capture, nil }
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		return activities.Capture{ID: 7, Name: in.Name, Size: 100}, nil
	}
	b.save = func(in activities.SaveInput) (activities.StoredFile, error) {
		file := activities.StoredFile{CaptureID: "7", ApprovedBy: in.ApprovedBy}
		file.Name, file.Size, file.SHA256 = in.Capture.Name+".scap", 100, "feed"
		return file, nil
	}
	b.fetch = func(in activities.FetchInput) (activities.StoredFile, error) {
		file := activities.StoredFile{ApprovedBy: in.ApprovedBy}
		file.Name, file.SHA256 = in.ExecutionID+".bin", "feed"
		return file, nil
	}
	b.report = func(signals.Page) error { return nil }
	b.vet = func(activities.VetInput) (activities.Vetting, error) { return activities.Vetting{}, nil }
	b.choose = func(in activities.ApprovalInput) (incident.Approval, error) { return in.Route, nil }
	b.notify = func(activities.Notification) ([]string, error) { return nil, nil }
	b.related = func(activities.RelatedInput) (activities.RelatedResult, error) {
		return activities.RelatedResult{}, nil
	}
	var a *activities.Activities
	b.RegisterActivity(a)
	b.OnActivity(a.Vet, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.VetInput) (activities.Vetting, error) { return b.vet(in) }).Maybe()
	b.OnActivity(a.ChooseApproval, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.ApprovalInput) (activities.Choice, error) {
			approval, err := b.choose(in)
			return activities.Choice{Approval: approval}, err
		}).Maybe()
	b.OnActivity(a.Notify, mock.Anything, mock.Anything).Return(
		func(_ context.Context, n activities.Notification) ([]string, error) {
			b.notified = append(b.notified, n)
			return b.notify(n)
		}).Maybe()
	b.OnActivity(a.Enrich, mock.Anything, mock.Anything).Return(
		func(context.Context, activities.EnrichInput) (activities.Enrichment, error) { return b.enrich() }).Maybe()
	b.OnActivity(a.LocateHost, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.EnrichInput) (activities.Enrichment, error) { return b.locate(in) }).Maybe()
	b.OnActivity(a.ExecuteAction, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.ActionInput) (activities.Execution, error) {
			b.executed = append(b.executed, in)
			return b.execute(in)
		}).Maybe()
	b.OnActivity(a.CreateCapture, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.CaptureInput) (activities.Capture, error) { return b.capture(in) }).Maybe()
	b.OnActivity(a.AwaitCapture, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.AwaitInput) (activities.Capture, error) { return b.await(in) }).Maybe()
	b.OnActivity(a.SaveCapture, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.SaveInput) (activities.StoredFile, error) { return b.save(in) }).Maybe()
	b.OnActivity(a.Related, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.RelatedInput) (activities.RelatedResult, error) {
			return b.related(in)
		}).Maybe()
	b.OnActivity(a.FetchResult, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.FetchInput) (activities.StoredFile, error) {
			b.fetched = append(b.fetched, in)
			return b.fetch(in)
		}).Maybe()
	b.OnActivity(a.StoreReport, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.ReportInput) ([]activities.StoredFile, error) {
			b.reported, b.files = append(b.reported, in.Page), in.Files
			file := activities.StoredFile{}
			file.Name = "manifest.json"
			return []activities.StoredFile{file}, b.report(in.Page)
		}).Maybe()
	return b
}

// at sends a signal after a time.
func (b *bench) at(after time.Duration, name string, payload any) {
	b.RegisterDelayedCallback(func() { b.SignalWorkflow(name, payload) }, after)
}

// run runs a playbook to its end and returns its page, also of a failed one.
func (b *bench) run(playbook any, in signals.Input, events ...incident.Incident) signals.Page {
	b.t.Helper()
	if len(events) > 0 {
		b.at(0, signals.Events, signals.EventBatch{Events: events})
	}
	b.ExecuteWorkflow(playbook, in)
	require.True(b.t, b.IsWorkflowCompleted(), "the playbook is stuck")
	var page signals.Page
	if err := b.GetWorkflowError(); err != nil {
		var app *temporal.ApplicationError
		require.ErrorAs(b.t, err, &app)
		require.True(b.t, app.HasDetails(), "%s", err)
		require.NoError(b.t, app.Details(&page))
		return page
	}
	require.NoError(b.t, b.GetWorkflowResult(&page))
	return page
}

// receipt is what became of a signal.
func (b *bench) receipt(id string) signals.Receipt {
	b.t.Helper()
	answer, err := b.QueryWorkflow(signals.QueryReceipt, id)
	require.NoError(b.t, err)
	var receipt signals.Receipt
	require.NoError(b.t, answer.Get(&receipt))
	return receipt
}

// refusal is an activity's error that is not retried.
func refusal(kind, text string, details ...any) error {
	return temporal.NewNonRetryableApplicationError(text, kind, nil, details...)
}

// miner is an event with every field CryptoMiner needs.
func miner() incident.Incident {
	inc := incident.Incident{
		ID: "event-1", Rule: incident.Rule{Name: "Detect crypto miners using the Stratum protocol"}, Severity: 0,
		Host:      incident.Host{ID: "host-1", Name: "node-1", MAC: "aa:bb:cc:dd:ee:01"},
		Container: incident.Container{ID: "6949e5f10829", Name: "web"},
		Process:   incident.Process{PID: 4711, Name: "xmrig"},
	}
	inc.Derive()
	return inc
}

func noCoolDown() *incident.Duration { return new(incident.Duration) }

func minerInput() signals.Input {
	return signals.Input{
		Route: incident.Route{Name: "crypto-miner", Playbook: "crypto-miner", CoolDown: noCoolDown()},
	}
}

func captureInput() signals.Input {
	return signals.Input{Route: incident.Route{Name: "capture", Playbook: "capture"}}
}

func decision(analyst string) signals.Decision {
	return signals.Decision{Analyst: analyst, Reason: "confirmed"}
}

// texts returns the war-room texts of a kind.
func texts(page signals.Page, kind signals.Kind) []string {
	found := []string{}
	for _, entry := range page.WarRoom {
		if entry.Kind == kind {
			found = append(found, entry.Text)
		}
	}
	return found
}

func TestCryptoMinerKillsTheContainerOnceApproved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
	require.Equal(t, "KILL_CONTAINER", b.executed[0].Action)
	require.Equal(t, map[string]any{"host.id": "host-1", "container.id": "6949e5f10829"}, b.executed[0].Parameters)
	require.LessOrEqual(t, len(b.executed[0].CallerID), 128)
	require.Equal(t, []string{"approved KILL_CONTAINER: confirmed"}, texts(page, signals.KindDecision))
	require.Nil(t, page.Pending)
	require.Len(t, b.reported, 1)
}

func TestCryptoMinerActsWithoutAskingWhereTheRouteSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
}

func TestCryptoMinerOnTheHostItselfKillsTheProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("ann"))
	event := miner()
	event.Container, event.HostLevel, event.OccurredAt = incident.Container{}, true, b.Now()
	page := b.run(workflows.CryptoMiner, minerInput(), event)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, "KILL_PROCESS", b.executed[0].Action)
	sent, err := json.Marshal(b.executed[0].Parameters)
	require.NoError(t, err)
	require.JSONEq(t, `{"host.id":"host-1","process.id":4711,"startTime":-1}`, string(sent))
}

func TestCryptoMinerDoesNothingBelowTheThreshold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limit := incident.Severity(3)
	in := minerInput()
	in.Route.MaxSeverity = &limit
	event := miner()
	event.Severity = 4
	page := b.run(workflows.CryptoMiner, in, event)
	require.Equal(t, signals.BelowThreshold, page.Outcome)
	require.Empty(t, b.executed)
}

func TestCryptoMinerRejectedKillsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Empty(t, b.executed)
}

func TestARejectionThatArrivesTogetherWithAnApprovalWins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.RegisterDelayedCallback(func() {
		b.SignalWorkflowSkippingWorkflowTask(signals.Approve, decision("ann"))
		b.SignalWorkflow(signals.Reject, decision("bob"))
	}, time.Minute)
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Empty(t, b.executed)
}

func TestAnUnansweredRequestRemindsEscalatesAndExpires(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval = incident.Approval{
		Mode: incident.ModeOne, RemindEvery: incident.Duration(15 * time.Minute),
		EscalateAfter: incident.Duration(30 * time.Minute), ExpireAfter: incident.Duration(time.Hour),
	}
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Expired, page.Outcome)
	require.Empty(t, b.executed)
	var id string
	for _, entry := range page.WarRoom {
		if entry.Kind == signals.KindRequest {
			id = entry.Text[len("KILL_CONTAINER container 6949e5f10829 on node-1 (request "):][:12]
		}
	}
	require.Equal(t, []string{
		"still waiting for a decision on request " + id + " (KILL_CONTAINER), for 15m0s",
		"escalated: nobody answered request " + id + " for 30m0s",
		"still waiting for a decision on request " + id + " (KILL_CONTAINER), for 30m0s",
		"still waiting for a decision on request " + id + " (KILL_CONTAINER), for 45m0s",
	}, texts(page, signals.KindReminder))
}

func TestMissingFieldsComeFromSysdig(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("ann"))
	event := miner()
	event.Host.ID = ""
	page := b.run(workflows.CryptoMiner, minerInput(), event)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, "host-1", b.executed[0].Parameters["host.id"])
}

func TestMissingFieldsComeFromAnAnalystWhenSysdigHasNone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.enrich = func() (activities.Enrichment, error) { return activities.Enrichment{Note: "no such agent"}, nil }
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": "host-9"}})
	b.at(3*time.Minute, signals.Approve, decision("ann"))
	event := miner()
	event.Host.ID = ""
	var waiting signals.Page
	b.RegisterDelayedCallback(func() { waiting = b.query() }, 90*time.Second)
	page := b.run(workflows.CryptoMiner, minerInput(), event)
	require.Equal(t, signals.NeedsFields, waiting.State)
	require.Equal(t, "AMEND", waiting.Pending.Action)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, "host-9", b.executed[0].Parameters["host.id"])
	require.Equal(t, []string{"approve did not count: nothing can be approved while fields are missing: supply them with amend, or reject"},
		texts(page, signals.KindRefused))
}

func (b *bench) query() signals.Page {
	value, err := b.QueryWorkflow(signals.QueryIncident)
	require.NoError(b.t, err)
	var page signals.Page
	require.NoError(b.t, value.Get(&page))
	return page
}

func TestMissingFieldsThatNobodySuppliesExpire(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.enrich = func() (activities.Enrichment, error) {
		return activities.Enrichment{}, temporal.NewNonRetryableApplicationError("token refused", activities.ErrForbidden, nil)
	}
	event := miner()
	event.Host.ID = ""
	page := b.run(workflows.CryptoMiner, minerInput(), event)
	require.Equal(t, signals.Expired, page.Outcome)
	require.Empty(t, b.executed)
}

func TestAFailedActionIsAskedAboutAgainAndMayThenSucceed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		if len(b.executed) == 1 {
			return activities.Execution{}, temporal.NewNonRetryableApplicationError("agent busy", activities.ErrFailed, nil)
		}
		return activities.Execution{ID: "x-2", Status: "COMPLETED"}, nil
	}
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 2)
	require.NotEqual(t, b.executed[0].CallerID, b.executed[1].CallerID, "a new intention needs a new caller ID")
}

func TestAFailedActionThatIsNotTriedAgainFailsTheIncident(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{}, temporal.NewNonRetryableApplicationError("agent busy", activities.ErrFailed, nil)
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Failed, page.Outcome)
	require.ErrorContains(t, b.GetWorkflowError(), "agent busy")
	require.Len(t, b.reported, 1)
}

func TestAnActionNobodyCanAccountForEndsAmbiguous(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{}, temporal.NewNonRetryableApplicationError("no answer", activities.ErrAmbiguous, nil)
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Ambiguous, page.Outcome)
	require.NoError(t, b.GetWorkflowError())
	require.Len(t, b.executed, 1, "it must not fire again by itself")
}

func TestADetectionThatReturnsReopensTheRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	coolDown := incident.Duration(10 * time.Minute)
	in.Route.CoolDown = &coolDown
	b.RegisterDelayedCallback(func() {
		late, again := miner(), miner()
		late.ID, late.OccurredAt = "event-2", b.Now().Add(-time.Hour)
		again.ID, again.OccurredAt = "event-3", b.Now()
		b.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{late}})
		require.Equal(t, signals.Watching, b.query().State, "an event from before the containment only arrived late")
		b.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{again}})
	}, 5*time.Minute)
	b.at(6*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 2)
	require.Equal(t, 3, page.Events.Count)
}

func TestCaptureIsTakenAndSavedOnceBothWereApproved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("bob"))
	page := b.run(workflows.Capture, captureInput(), miner())
	require.Equal(t, signals.Captured, page.Outcome)
	require.Len(t, page.Evidence, 2)
	require.Contains(t, page.Evidence[0], ".scap")
}

func TestWhatIsNoCaptureIsToldInTheWarRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("bob"))
	save := b.save
	b.save = func(in activities.SaveInput) (activities.StoredFile, error) {
		file, err := save(in)
		file.NotCapture = "it is empty: want a .scap file"
		return file, err
	}
	page := b.run(workflows.Capture, captureInput(), miner())
	require.True(t, slices.ContainsFunc(page.WarRoom, func(e signals.Entry) bool {
		return e.Kind == signals.KindEvidence &&
			strings.HasSuffix(e.Text, "what Sysdig gave for capture 7 is no capture: it is empty: want a .scap file")
	}))
}

func TestCaptureThatIsNotSavedStaysInSysdig(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Reject, decision("bob"))
	page := b.run(workflows.Capture, captureInput(), miner())
	require.Equal(t, signals.Captured, page.Outcome)
	require.Equal(t, []string{"manifest.json"}, page.Evidence)
}

func TestCaptureSavesWithoutAskingWhereTheRouteSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := captureInput()
	in.Route.Approval.Mode, in.Route.SaveApproval.Mode = incident.ModeNone, incident.ModeNone
	page := b.run(workflows.Capture, in, miner())
	require.Equal(t, signals.Captured, page.Outcome)
	require.Len(t, page.Evidence, 2)
}

// TestCaptureFirstNeedsNobodyAfterFieldsWereSupplied: who was asked for fields was
// not asked for the capture.
func TestCaptureFirstNeedsNobodyAfterFieldsWereSupplied(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.enrich = func() (activities.Enrichment, error) {
		return activities.Enrichment{Host: incident.Host{AgentID: "99001"}, Tenant: incident.Tenant{ID: "55001"}}, nil
	}
	var claims []approvals.Claim
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		claims = append(claims, in.Claim)
		return activities.Capture{ID: 7, Name: in.Name, Size: 100}, nil
	}
	in := minerInput()
	in.Route.CaptureFirst = true
	bare := miner()
	bare.Host.ID = ""
	b.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": "host-9"}})
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, bare)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, claims, 1)
	require.True(t, claims[0].First)
	require.False(t, b.executed[0].Claim.First)
}

func TestCaptureFirstTakesEvidenceBeforeItIsDestroyed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var order []string
	capture, execute := b.capture, b.execute
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		order = append(order, "capture")
		return capture(in)
	}
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		order = append(order, "kill")
		return execute(in)
	}
	in := minerInput()
	in.Route.CaptureFirst, in.Route.Approval.Mode = true, incident.ModeNone
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"capture", "kill"}, order)
	require.Len(t, page.Evidence, 2)
}

func TestACaptureThatFailsDoesNotHoldUpContainment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.capture = func(activities.CaptureInput) (activities.Capture, error) {
		return activities.Capture{}, temporal.NewNonRetryableApplicationError("captures are off", activities.ErrRefused, nil)
	}
	in := minerInput()
	in.Route.CaptureFirst, in.Route.Approval.Mode = true, incident.ModeNone
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
}

func TestAnEventIDCountsOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := miner()
	second.ID = "event-2"
	b.at(time.Minute, signals.Events, signals.EventBatch{Events: []incident.Incident{miner(), second}, Duplicates: 2})
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.EventCount{Count: 2, Duplicates: 3}, page.Events)
}

func TestACancelledIncidentKillsNothingAndStillReports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.RegisterDelayedCallback(b.CancelWorkflow, time.Minute)
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Empty(t, b.executed)
	require.Len(t, b.reported, 1)
}

func TestAnActionThatIsCancelledEndsAmbiguous(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	b.RegisterDelayedCallback(b.CancelWorkflow, time.Second+time.Millisecond)
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		return activities.Execution{}, temporal.NewApplicationError("Sysdig is down", "")
	}
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Ambiguous, page.Outcome)
	require.Len(t, b.reported, 1)
}
