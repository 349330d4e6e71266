package command

import (
	"fmt"
	"strconv"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"firebreak/signals"
)

// retrying returns the steps of a run that failed and are tried again, as Temporal
// knows them now. The page's own steps, reported, may be some attempts behind, but
// have the names for people.
func retrying(whole *workflowservice.DescribeWorkflowExecutionResponse, reported []signals.Retry) []signals.Retry {
	steps := map[string]string{}
	for i := range reported {
		steps[reported[i].ActivityID] = reported[i].Step
	}
	var all []signals.Retry
	for _, a := range whole.GetPendingActivities() {
		if a.GetLastFailure() == nil {
			continue
		}
		all = append(all, signals.Retry{
			ActivityID: a.GetActivityId(), Activity: a.GetActivityType().GetName(), Step: steps[a.GetActivityId()],
			Failures: int(a.GetAttempt()) - 1, Failure: signals.CleanFailure(a.GetLastFailure().GetMessage()),
			FailedAt: timeOf(a.GetLastAttemptCompleteTime()), NextAttempt: timeOf(a.GetNextAttemptScheduleTime()), GivesUpAt: timeOf(a.GetExpirationTime()),
		})
	}
	return all
}

// timeOf returns the time of a timestamp, zero for none.
func timeOf(at *timestamppb.Timestamp) time.Time {
	if at == nil {
		return time.Time{}
	}
	return at.AsTime()
}

// writeRetrying shows the steps that are tried again.
func writeRetrying(t *table, all []signals.Retry) {
	for i := range all {
		r := &all[i]
		t.indent = ""
		t.row("retrying", stepOf(r))
		t.indent = "  "
		t.row("failed", strconv.Itoa(r.Failures)+" "+attempts(r.Failures)+lastAt(r))
		t.row("failure", r.Failure)
		if r.NextAttempt.IsZero() {
			t.row("next", "under way")
		} else {
			t.row("next", timestamp(r.NextAttempt))
		}
		if !r.GivesUpAt.IsZero() {
			t.row("gives up", timestamp(r.GivesUpAt))
		}
	}
	t.indent = ""
}

func stepOf(r *signals.Retry) string {
	if r.Step == "" {
		return r.Activity
	}
	return fmt.Sprintf("%s (%s)", r.Step, r.Activity)
}

func attempts(n int) string {
	if n == 1 {
		return "attempt"
	}
	return "attempts"
}

func lastAt(r *signals.Retry) string {
	if r.FailedAt.IsZero() {
		return ""
	}
	return ", last at " + timestamp(r.FailedAt)
}
