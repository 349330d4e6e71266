package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdk "go.temporal.io/sdk/worker"

	"firebreak/signals"
	"firebreak/worker"
)

func TestNextAttemptIsWhatTheServerWillDo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	info := func(attempt int32) activity.Info {
		return activity.Info{
			ActivityID: "7", ActivityType: activity.Type{Name: "SaveCapture"}, Attempt: attempt,
			ScheduledTime: now.Add(-time.Minute), ScheduleToCloseTimeout: 30 * time.Minute,
			RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
		}
	}
	full := errors.New("store capture: no space left on device")
	for name, c := range map[string]struct {
		attempt int32
		change  func(*activity.Info)
		err     error
		wait    time.Duration // 0: there is no further attempt
	}{
		"first":              {1, nil, full, time.Second},
		"third":              {3, nil, full, 4 * time.Second},
		"tenth":              {10, nil, full, 30 * time.Second},
		"thousandth":         {1000, nil, full, 30 * time.Second},
		"a delay of its own": {1, nil, temporal.NewApplicationErrorWithOptions("busy", "busy", temporal.ApplicationErrorOptions{NextRetryDelay: 7 * time.Minute}), 7 * time.Minute},
		"its own time is up": {1, nil, context.DeadlineExceeded, time.Second},
		"final":              {1, nil, temporal.NewNonRetryableApplicationError("no", "refused", nil), 0},
		"cancelled":          {1, nil, context.Canceled, 0},
		"cancelled by name":  {1, nil, temporal.NewCanceledError(), 0},
		"the delay is too long": {
			1, nil, temporal.NewApplicationErrorWithOptions("busy", "busy", temporal.ApplicationErrorOptions{NextRetryDelay: time.Hour}), 0,
		},
		"a local activity": {1, func(i *activity.Info) { i.IsLocalActivity = true }, full, 0},
		"no policy":        {1, func(i *activity.Info) { i.RetryPolicy = nil }, full, 0},
		"the last attempt": {3, func(i *activity.Info) { i.RetryPolicy.MaximumAttempts = 3 }, full, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := info(c.attempt)
			if c.change != nil {
				c.change(&i)
			}
			retry, again := worker.NextAttempt(&i, c.err, now)
			require.Equal(t, c.wait != 0, again)
			if again {
				require.Equal(t, int(c.attempt), retry.Failures)
				require.Equal(t, c.wait, retry.NextAttempt.Sub(retry.FailedAt))
				require.Equal(t, now.Add(29*time.Minute), retry.GivesUpAt)
				require.NotEmpty(t, retry.Failure)
			}
		})
	}
}

// reports are the signals that were sent.
type reports struct {
	workflowID, runID, name string
	sent                    []signals.Retry
	err                     error
}

func (r *reports) SignalWorkflow(ctx context.Context, workflowID, runID, name string, arg any) error {
	r.workflowID, r.runID, r.name = workflowID, runID, name
	r.sent = append(r.sent, arg.(signals.Retry))
	return errors.Join(r.err, ctx.Err())
}

// withPolicy gives activities the retry policy that a server sends with each attempt.
type withPolicy struct {
	interceptor.WorkerInterceptorBase
}

func (withPolicy) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &initialized{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type initialized struct {
	interceptor.ActivityInboundInterceptorBase
}

func (i *initialized) Init(outbound interceptor.ActivityOutboundInterceptor) error {
	return i.Next.Init(&informed{interceptor.ActivityOutboundInterceptorBase{Next: outbound}})
}

type informed struct {
	interceptor.ActivityOutboundInterceptorBase
}

func (i *informed) GetInfo(ctx context.Context) activity.Info {
	info := i.Next.GetInfo(ctx)
	info.RetryPolicy = &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second}
	info.WorkflowExecution.ID, info.WorkflowExecution.RunID = "capture:node-1:host", "run-1"
	info.ScheduleToCloseTimeout = 0
	return info
}

func TestFailedAttemptReportsItselfToItsWorkflow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails, signalFails error
		reported           int
	}{
		"it fails":                       {errors.New("no space left on device"), nil, 1},
		"it fails, and Temporal is away": {errors.New("no space left on device"), errors.New("away"), 1},
		"it fails for good":              {temporal.NewNonRetryableApplicationError("refused", "refused", nil), nil, 0},
		"it succeeds":                    {nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestActivityEnvironment()
			got := &reports{err: c.signalFails}
			env.SetWorkerOptions(sdk.Options{Interceptors: []interceptor.WorkerInterceptor{
				worker.ReportRetries(got, slog.New(slog.DiscardHandler)), &withPolicy{},
			}})
			env.RegisterActivityWithOptions(func(context.Context) error { return c.fails }, activity.RegisterOptions{Name: "SaveCapture"})
			_, err := env.ExecuteActivity("SaveCapture")
			if c.fails == nil {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.fails.Error(), "the failure is as it was")
			}
			require.Len(t, got.sent, c.reported)
			if c.reported > 0 {
				require.Equal(t, []string{"capture:node-1:host", "run-1", signals.Retrying}, []string{got.workflowID, got.runID, got.name})
				require.Equal(t, "no space left on device", got.sent[0].Failure)
				require.Equal(t, 1, got.sent[0].Failures)
			}
		})
	}
}
