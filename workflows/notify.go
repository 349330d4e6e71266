package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/signals"
)

// announce writes into the war room what people are also to be notified of.
func (r *response) announce(ctx workflow.Context, change activities.ChangeKind, actor string, kind signals.Kind, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.log(ctx, actor, kind, "%s", text)
	if !r.in.Notify || r.resuming || r.next != nil {
		return
	}
	r.news = append(r.news, activities.Change{Kind: change, At: workflow.Now(ctx).UTC(), Actor: actor, Text: signals.Clip(text, maxEntry)})
}

// notifier notifies people of what was announced, beside the playbook: one
// message of all that changed since the last one. Nobody waits for it but the
// end of the incident, and that not for long.
func (r *response) notifier(ctx workflow.Context) {
	if !r.in.Notify {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			if workflow.Await(ctx, func() bool { return len(r.news) > 0 }) != nil {
				return
			}
			r.notifying = true
			// What happens at once is one message, also if the host is compared between.
			breathe(ctx)
			_ = workflow.Await(ctx, func() bool { return !r.locating })
			r.notify(ctx)
			r.notifying = false
		}
	})
}

// notify sends one message. What could not be delivered is in the war room, and
// changes nothing else.
func (r *response) notify(ctx workflow.Context) {
	var a *activities.Activities
	n := activities.Notification{
		WorkflowID: r.page.WorkflowID, RunID: r.page.RunID, Playbook: r.page.Playbook, Route: r.page.Route,
		Rule: r.page.Incident.Rule.Name, Target: r.page.Incident.Target(),
		Severity: int(r.page.Incident.Severity), SeverityLabel: r.page.Incident.SeverityLabel,
		State: r.page.State, Changes: r.news, NeedsFields: r.page.State == signals.NeedsFields,
	}
	if r.page.Pending != nil {
		pending := *r.page.Pending
		n.Pending = &pending
		if r.approval.clock.Escalated {
			n.Groups = r.approval.policy.EscalateTo
		}
	}
	r.news = nil
	var failures []string
	err := r.do(notifying(ctx, "Notify of "+string(n.Changes[len(n.Changes)-1].Kind)), a.Notify, n, &failures)
	if err != nil {
		failures = append(failures, describe(err))
	}
	for _, failure := range failures {
		r.log(ctx, actorFirebreak, signals.KindNotification, "notification failed: %s", failure)
	}
}

// notifyPatience is how long an incident that closes waits for notifications
// that are on their way. It is longer than it takes to notice that the worker
// which was to send them has died, and short because the incident still takes
// events meanwhile.
const notifyPatience = 2 * heartbeat

// notified waits until everybody was notified, or the patience is over.
func (r *response) notified(ctx workflow.Context) {
	done := func() bool { return len(r.news) == 0 && !r.notifying }
	if done() {
		return
	}
	ok, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: notifyPatience, TimerOptions: workflow.TimerOptions{Summary: "notifications"},
	}, done)
	if err == nil && !ok {
		r.log(ctx, actorFirebreak, signals.KindNotification, "notification failed: not delivered within %s of the close", notifyPatience)
	}
}
