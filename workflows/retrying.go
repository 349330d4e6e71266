package workflows

import (
	"slices"
	"strconv"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"firebreak/signals"
)

// executor runs an activity with the options of the context, and waits for it.
type executor func(ctx workflow.Context, activity, in, out any) error

// execute is the executor that shows nothing of retries.
func execute(ctx workflow.Context, activity, in, out any) error {
	return workflow.ExecuteActivity(ctx, activity, in).Get(ctx, out)
}

// steps are the activities of a run.
type steps struct {
	// begun counts them, and running names those that have not ended, by their IDs.
	begun   int
	running map[string]string
}

// do runs an activity and waits for it. While it is retried, the page shows what
// failed last and when the next attempt is: the worker reports each failed attempt
// by the signal Retrying. A timer that looked after every activity would cost
// events in every incident; a report costs them only when something fails.
func (r *response) do(ctx workflow.Context, activity, in, out any) error {
	r.steps.begun++
	id := strconv.Itoa(r.steps.begun)
	options := workflow.GetActivityOptions(ctx)
	options.ActivityID = id
	if r.steps.running == nil {
		r.steps.running = map[string]string{}
	}
	r.steps.running[id] = options.Summary
	err := execute(workflow.WithActivityOptions(ctx, options), activity, in, out)
	delete(r.steps.running, id)
	if i := r.retry(id); i >= 0 {
		r.page.Retrying = slices.Delete(r.page.Retrying, i, i+1)
		r.refresh(ctx)
	}
	return err
}

// retry returns the index in the page of the step with that ID, -1 for none.
func (r *response) retry(id string) int {
	return slices.IndexFunc(r.page.Retrying, func(s signals.Retry) bool { return s.ActivityID == id })
}

// slowRetry is from when on the first failure of a step is worth an entry in the
// war room. Most steps succeed when they are tried again a second later.
const slowRetry = 10 * time.Second

// addRetry shows that an attempt of a step failed. The signal says nothing that
// counts: anyone who can send signals can send one. One about a step that has ended,
// or never began, is ignored.
func (r *response) addRetry(ctx workflow.Context, raw converter.RawValue) {
	retry, err := signals.DecodeRetry(raw)
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindRefused, "%s did not count: %s", signals.Retrying, err)
		return
	}
	name, running := r.steps.running[retry.ActivityID]
	if !running {
		return
	}
	retry.Step = name
	if i := r.retry(retry.ActivityID); i >= 0 {
		r.page.Retrying[i] = retry
	} else {
		r.page.Retrying = append(r.page.Retrying, retry)
	}
	r.refresh(ctx)
	// At 2, 4, 8, … failures, as for a flood of events.
	if n := retry.Failures; n&(n-1) == 0 && (n > 1 || retry.NextAttempt.Sub(workflow.Now(ctx)) >= slowRetry) {
		r.log(ctx, actorFirebreak, signals.KindRetry, "%s: attempt %d failed: %s; next attempt %s%s", retry.Step, n, retry.Failure,
			retry.NextAttempt.UTC().Format(time.RFC3339), until(retry.GivesUpAt))
	}
}

func until(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return ", the last before " + at.UTC().Format(time.RFC3339)
}
