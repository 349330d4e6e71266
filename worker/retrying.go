package worker

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"firebreak/signals"
)

// reportBudget bounds how long a failed attempt takes to report itself.
const reportBudget = 2 * time.Second

// signaler sends signals to workflows.
type signaler interface {
	SignalWorkflow(ctx context.Context, workflowID, runID, name string, arg any) error
}

// reportRetries has every activity whose attempt fails, and will be repeated,
// report that to its workflow, see [signals.Retrying].
type reportRetries struct {
	interceptor.WorkerInterceptorBase
	temporal signaler
	log      *slog.Logger
}

func (r *reportRetries) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &reporting{interceptor.ActivityInboundInterceptorBase{Next: next}, r}
}

type reporting struct {
	interceptor.ActivityInboundInterceptorBase
	*reportRetries
}

// ExecuteActivity runs the activity. The report is sent before the failure, so
// that it comes before everything that the next attempt does.
func (r *reporting) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	result, err := r.Next.ExecuteActivity(ctx, in)
	if err == nil {
		return result, nil
	}
	info := activity.GetInfo(ctx)
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return result, err // the next worker goes on at once
	default:
	}
	retry, again := nextAttempt(&info, err, time.Now())
	if !again || !signals.ReportsRetry(retry.Failures) {
		return result, err
	}
	// The attempt may be over because its time is.
	signal, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportBudget)
	defer cancel()
	if problem := r.temporal.SignalWorkflow(signal, info.WorkflowExecution.ID, info.WorkflowExecution.RunID, signals.Retrying, retry); problem != nil {
		r.log.DebugContext(ctx, "A failed attempt was not reported.", "incident", info.WorkflowExecution.ID, "error", problem)
	}
	return result, err
}

// nextAttempt describes a failed attempt, and when the server begins the next one.
// It is false if there will be no next attempt.
func nextAttempt(info *activity.Info, err error, now time.Time) (signals.Retry, bool) {
	var app *temporal.ApplicationError
	isApp := errors.As(err, &app)
	policy := info.RetryPolicy
	switch {
	case info.IsLocalActivity, policy == nil, errors.Is(err, context.Canceled), temporal.IsCanceledError(err):
		return signals.Retry{}, false
	case isApp && app.NonRetryable(), policy.MaximumAttempts > 0 && info.Attempt >= policy.MaximumAttempts:
		return signals.Retry{}, false
	}
	backoff := float64(policy.InitialInterval) * math.Pow(policy.BackoffCoefficient, float64(info.Attempt-1))
	wait := policy.MaximumInterval
	if backoff < float64(wait) {
		wait = time.Duration(backoff)
	}
	text := err.Error()
	if isApp {
		text = app.Message()
		if asked := app.NextRetryDelay(); asked > 0 {
			wait = asked
		}
	}
	retry := signals.Retry{
		ActivityID: info.ActivityID, Activity: info.ActivityType.Name, Failures: int(info.Attempt), Failure: signals.CleanFailure(text),
		FailedAt: now.UTC(), NextAttempt: now.Add(wait).UTC(),
	}
	if info.ScheduleToCloseTimeout > 0 {
		retry.GivesUpAt = info.ScheduledTime.Add(info.ScheduleToCloseTimeout).UTC()
		if !retry.NextAttempt.Before(retry.GivesUpAt) {
			return signals.Retry{}, false
		}
	}
	return retry, true
}
