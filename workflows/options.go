package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/signals"
)

// Activities fail over fast and are patient in total: a worker that died is
// noticed after a missed heartbeat, a Sysdig that is down is retried until the
// deadline, and only then is a human asked.
const (
	heartbeat       = 10 * time.Second
	lookupAttempt   = 30 * time.Second
	lookupDeadline  = 2 * time.Minute
	actDeadline     = 30 * time.Minute
	queueDeadline   = 6 * time.Hour                    // captures of one host wait their turn, uploads included
	hurryDeadline   = 10 * time.Minute                 // where containment waits for that
	captureDeadline = activities.MaxUpload + time.Hour // beyond what AwaitCapture waits
	saveDeadline    = 2 * time.Hour                    // a file of any size; stalls end sooner
	storeAtOnce     = 3 * time.Second                  // well within a workflow task's 10 s
	storeAttempt    = time.Minute
	storeDeadline   = 15 * time.Minute
	notifyAttempt   = 5 * time.Minute // a storm's messages wait for each other
	notifyDeadline  = 10 * time.Minute
	hookAttempt     = 30 * time.Second
	hookDeadline    = 10 * time.Minute
)

func retries() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second}
}

// lookup is for reading from Sysdig.
func lookup(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: lookupAttempt, ScheduleToCloseTimeout: lookupDeadline,
		RetryPolicy: retries(), Summary: signals.Clip(summary, maxSummary),
	})
}

// acting is for what takes effect and is followed to its end.
func acting(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: actDeadline, ScheduleToCloseTimeout: actDeadline,
		HeartbeatTimeout: heartbeat, RetryPolicy: retries(), Summary: signals.Clip(summary, maxSummary),
	})
}

// patient is for what takes effect, may have to wait for others, and is followed to
// its end, within a deadline of its own.
func patient(ctx workflow.Context, deadline time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: deadline, ScheduleToCloseTimeout: deadline,
		HeartbeatTimeout: heartbeat, RetryPolicy: retries(), Summary: signals.Clip(summary, maxSummary),
	})
}

// atOnce is for what is tried within the workflow task, once.
func atOnce(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: storeAtOnce, ScheduleToCloseTimeout: storeAtOnce,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}, Summary: signals.Clip(summary, maxSummary),
	})
}

// askWorker asks the worker something that it mostly knows by itself: within the
// workflow task if it can answer at once, and else with an activity's patience.
func askWorker(ctx workflow.Context, do executor, summary string, activity, in, out any) error {
	if workflow.ExecuteLocalActivity(atOnce(ctx, summary), activity, in).Get(ctx, out) == nil {
		return nil
	}
	return do(lookup(ctx, summary), activity, in, out)
}

// notifying is for telling people, which has workers of its own: a channel that
// hangs takes no slot from an action.
func notifying(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           signals.NotificationQueue(workflow.GetInfo(ctx).TaskQueueName),
		StartToCloseTimeout: notifyAttempt, ScheduleToCloseTimeout: notifyDeadline,
		HeartbeatTimeout: heartbeat, RetryPolicy: retries(), Summary: signals.Clip(summary, maxSummary),
	})
}

// calling is for hooks.
func calling(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: hookAttempt, ScheduleToCloseTimeout: hookDeadline,
		HeartbeatTimeout: heartbeat, RetryPolicy: retries(), Summary: signals.Clip(summary, maxSummary),
	})
}

// storing is for small files of evidence.
func storing(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: storeAttempt, ScheduleToCloseTimeout: storeDeadline,
		RetryPolicy: retries(), Summary: signals.Clip(summary, maxSummary),
	})
}
