package command

import (
	"fmt"
	"strconv"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"firebreak/signals"
)

// retrying returns the steps of a run that failed and are tried again, as Temporal
// knows them now. Reported are those that the run's page tells of: it has their
// names, but may be some attempts behind.
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
		r := signals.Retry{
			ActivityID: a.GetActivityId(), Activity: a.GetActivityType().GetName(), Step: steps[a.GetActivityId()],
			Failures: int(a.GetAttempt()) - 1, Failure: signals.CleanFailure(a.GetLastFailure().GetMessage()),
		}
		for _, at := range []struct {
			from *timestamppb.Timestamp
			set  func()
		}{
			{a.GetLastAttemptCompleteTime(), func() { r.FailedAt = a.GetLastAttemptCompleteTime().AsTime() }},
			{a.GetNextAttemptScheduleTime(), func() { r.NextAttempt = a.GetNextAttemptScheduleTime().AsTime() }},
			{a.GetExpirationTime(), func() { r.GivesUpAt = a.GetExpirationTime().AsTime() }},
		} {
			if at.from != nil {
				at.set()
			}
		}
		all = append(all, r)
	}
	return all
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
