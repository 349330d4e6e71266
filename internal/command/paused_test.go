package command_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"firebreak/signals"
)

// pausedIncident is an incident that is paused in Temporal: it answers no query,
// and takes signals all the same.
func pausedIncident() *fakeTemporal {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return &fakeTemporal{
		QueryFn: func(string, string) (any, error) { return nil, &temporal.QueryRejectedError{} },
		ReceiptFn: func(string, string, string) (signals.Receipt, error) {
			return signals.Receipt{}, &temporal.QueryRejectedError{}
		},
		SignalFn: func(string, string, string, any) error { return nil },
		DescribeFn: func(string, string) (*workflowpb.WorkflowExecutionInfo, error) {
			return execution{
				id: minerID, run: "run-1", status: enums.WORKFLOW_EXECUTION_STATUS_PAUSED,
				attributes: map[string]any{"IncidentState": "awaiting-approval", "IncidentRule": "a miner", "IncidentHost": "node-1"},
			}.info(), nil
		},
		DoingFn: func(answer *workflowservice.DescribeWorkflowExecutionResponse) {
			answer.WorkflowExtendedInfo = &workflowpb.WorkflowExecutionExtendedInfo{PauseInfo: &workflowpb.WorkflowExecutionPauseInfo{
				Identity: "ann@laptop", PausedTime: timestamppb.New(at), Reason: "maintenance",
			}}
		},
	}
}

func TestShowOfAPausedIncidentSaysSo(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run(t, pausedIncident(), "show", minerID)
	require.Equal(t, 0, code, stderr)
	for _, want := range []string{"awaiting-approval", "in Temporal, by ann@laptop", "2026-05-01 12:00:00Z", "maintenance", "a miner", "node-1"} {
		require.Contains(t, stdout, want)
	}
	code, stdout, stderr = run(t, pausedIncident(), "show", minerID, "--output", "json")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, `"paused": {
    "by": "ann@laptop",
    "since": "2026-05-01T12:00:00Z",
    "reason": "maintenance"
  }`)
}

func TestSignalToAPausedIncidentIsNotAwaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		code, stdout, _ := run(t, pausedIncident(), "approve", minerID, "--reason", "r")
		require.Equal(t, 1, code)
		require.Contains(t, stdout, "unanswered")
		require.Contains(t, stdout, "paused in Temporal")
		require.Zero(t, time.Since(began))
	})
}

func TestPausedIncidentIsListedAsOpen(t *testing.T) {
	t.Parallel()
	e := waiting(minerID, time.Time{})
	e.status = enums.WORKFLOW_EXECUTION_STATUS_PAUSED
	_, stdout, _ := run(t, listing(e), "incidents")
	require.Contains(t, stdout, "awaiting-approval (paused)")
	_, stdout, _ = run(t, listing(e), "incidents", "--output", "json")
	require.Contains(t, stdout, `"paused": true`)
}

// A run that was terminated before a task had processed a signal never answers
// for it.
func TestSignalThatATerminatedRunDidNotReadIsNotAwaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		temporal := pausedIncident()
		temporal.DoingFn = nil
		asked := 0
		temporal.ReceiptFn = func(string, string, string) (signals.Receipt, error) {
			asked++
			return signals.Receipt{}, nil
		}
		status := enums.WORKFLOW_EXECUTION_STATUS_RUNNING
		temporal.SignalFn = func(string, string, string, any) error {
			status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
			return nil
		}
		temporal.DescribeFn = func(string, string) (*workflowpb.WorkflowExecutionInfo, error) {
			return execution{id: minerID, run: "run-1", status: status}.info(), nil
		}
		code, stdout, _ := run(t, temporal, "approve", minerID, "--reason", "r")
		require.Equal(t, 1, code)
		require.Contains(t, stdout, "unanswered")
		require.Contains(t, stdout, "the incident is closed: it was ended before it read the signal")
		require.Equal(t, 2, asked, "once more after it was seen closed")
	})
}

func TestShowNamesStepsThatAreRetried(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	i := newIncident(nil)
	i.page.Retrying = []signals.Retry{
		{ActivityID: "7", Activity: "SaveCapture", Step: "Save the capture as evidence", Failures: 1, Failure: "old"},
		{ActivityID: "8", Activity: "CallHook", Step: "Call hook ticket: opened", Failures: 2, Failure: "over by now"},
	}
	fake := i.temporal()
	fake.DoingFn = func(answer *workflowservice.DescribeWorkflowExecutionResponse) {
		answer.PendingActivities = []*workflowpb.PendingActivityInfo{
			{
				ActivityId: "7", Attempt: 4, LastFailure: &failure.Failure{Message: "store capture:\nno space left on https://key:secret@s3.example/b?sig=secret"},
				LastAttemptCompleteTime: timestamppb.New(noon), NextAttemptScheduleTime: timestamppb.New(noon.Add(8 * time.Second)),
				ExpirationTime: timestamppb.New(noon.Add(30 * time.Minute)),
			},
			{ActivityId: "9", Attempt: 1},
		}
	}
	code, stdout, stderr := run(t, fake, "show", minerID)
	require.Equal(t, 0, code, stderr)
	for _, want := range []string{
		"Save the capture as evidence", "3 attempts, last at 2026-05-01 12:00:00Z", "no space left on https://s3.example/b\n",
		"2026-05-01 12:00:08Z", "2026-05-01 12:30:00Z",
	} {
		require.Contains(t, stdout, want)
	}
	require.NotContains(t, stdout, "over by now")
	require.NotContains(t, stdout, "secret")

	code, stdout, stderr = run(t, fake, "show", minerID, "--output", "json")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, `"failures": 3`)
	require.Contains(t, stdout, `"next_attempt": "2026-05-01T12:00:08Z"`)
	require.Contains(t, stdout, `"state": "awaiting-approval"`)
}
