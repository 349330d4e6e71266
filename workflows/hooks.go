package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/signals"
)

// A route can have other vendors called: when the incident was opened, after a
// containment, and when its outcome is known. A call runs beside the playbook,
// which waits for none of them but at its end, so that the report tells what
// became of each; what fails is in the war room and changes nothing.

// call calls hooks, each once more for every moment that comes again, as the
// close of an incident does that was reopened.
func (r *response) call(ctx workflow.Context, moment activities.Moment, names []string) {
	if len(names) == 0 || r.resuming || r.next != nil {
		return
	}
	r.calls++
	info := workflow.GetInfo(ctx)
	event := activities.HookEvent{
		Moment: moment, WorkflowID: r.page.WorkflowID, RunID: r.page.RunID, Playbook: r.page.Playbook, Route: r.page.Route,
		State: string(r.page.State), Outcome: string(r.page.Outcome), Evidence: r.page.Evidence, Incident: r.page.Incident,
	}
	if last := r.lastAction(); last != nil {
		event.Action, event.Parameters = last.Action, last.Parameters
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	for _, name := range names {
		in := activities.HookInput{Hook: name, Event: event, Key: signals.CallerID(
			info.WorkflowExecution.ID, info.FirstRunID, fmt.Sprintf("hook %s %s %d", name, moment, r.calls),
		)}
		r.calling++
		workflow.Go(ctx, func(ctx workflow.Context) {
			var a *activities.Activities
			var answer activities.HookAnswer
			err := r.do(calling(ctx, fmt.Sprintf("Call hook %s: %s", name, moment)), a.CallHook, in, &answer)
			countHook(ctx, name, moment, err)
			result := answer.Status
			switch {
			case err != nil:
				result = "failed, " + describe(err)
			case answer.Excerpt != "":
				result += ": " + answer.Excerpt
			}
			r.log(ctx, "hook "+name, signals.KindAction, "%s: %s", moment, result)
			r.calling--
		})
	}
}

// contained calls the hooks of a containment. One that only took something, or
// that undoes another, is none; nor is a capture.
func (r *response) contained(ctx workflow.Context) {
	action, known := catalogue.Find(r.approval.request.Action)
	if !known {
		action = r.described
	}
	if action != nil && action.Contains() {
		r.call(ctx, activities.MomentContained, r.in.Route.OnContained)
	}
}

// closed calls the hooks of the end, and waits until those of every moment have
// ended: each has its deadline.
func (r *response) closed(ctx workflow.Context) {
	r.call(ctx, activities.MomentClosed, r.in.Route.OnClosed)
	if r.calling > 0 {
		_ = workflow.Await(ctx, func() bool { return r.calling == 0 })
	}
}
