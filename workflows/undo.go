package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// What was done is taken back by undoing its execution at Sysdig, which is an
// execution of its own and followed to its end. An analyst who may approve can
// ask for it with the signal undo while the incident is open; a route can have it
// done by itself, see confirm. A freeze stops nothing of it: whoever froze may
// want to take back what was done.

// lastAction is the last action that was carried out, nil for none.
func (r *response) lastAction() *signals.Executed {
	if len(r.page.Actions) == 0 {
		return nil
	}
	return &r.page.Actions[len(r.page.Actions)-1]
}

// takenBack reports whether the last action was undone.
func (r *response) takenBack() bool {
	last := r.lastAction()
	return last != nil && last.UndoneBy != ""
}

// undoable is why the last action cannot be undone: a container or a process
// that was killed stays so, and a capture changes nothing.
func (r *response) undoable() error {
	last := r.lastAction()
	switch {
	case last == nil && !r.containedAt.IsZero():
		return refused(metrics.NotApplicable, "%s cannot be undone", r.action) // carried by an earlier version
	case last == nil:
		return refused(metrics.TooEarly, "nothing was done yet that could be undone")
	case r.page.Outcome != "":
		return refused(metrics.TooLate, "too late: the incident is closing as %s; once it is closed, ask for the undo by hand", r.page.Outcome)
	case last.Observed:
		return refused(metrics.NotApplicable, "%s was not carried out: there is nothing to undo", last.Action)
	case last.UndoneBy != "":
		return refused(metrics.NotApplicable, "%s was undone already, by %s", last.Action, last.UndoneBy)
	case r.undoing:
		return refused(metrics.NotApplicable, "%s is being undone", last.Action)
	}
	if action, known := catalogue.Find(last.Action); known && action.UndoneBy == "" {
		return refused(metrics.NotApplicable, "%s cannot be undone", last.Action)
	}
	return nil
}

// takeUndo has the last action undone, beside whatever the playbook does. While
// the incident asks whether to keep it, or to undo it, it is an answer.
func (r *response) takeUndo(ctx workflow.Context, m *message, order signals.Instruction) {
	err := r.undoable()
	var asked *ballot
	switch {
	case err != nil:
	case r.open && asksToUndo(r.approval):
		asked = &ballot{m.analyst, r.approval.request.Action == actionUndo}
		err = r.approval.check(*asked)
	default:
		err = r.routeApproval().entitled(m.analyst)
	}
	if err != nil {
		r.refuse(ctx, m, err)
		return
	}
	text := "undo " + r.lastAction().Action + because(order.Reason) + m.alias()
	r.countedSignal(ctx, m, text)
	r.announce(ctx, activities.ChangeDecision, m.analyst, signals.KindDecision, "%s", text)
	if asked != nil {
		r.approval.count(*asked)
		return
	}
	r.undoing = true
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		// Its failure is in the war room.
		if r.undo(ctx, m.analyst) == nil && r.takenBack() && r.open && asksToUndo(r.approval) {
			r.approval.count(ballot{m.analyst, r.approval.request.Action == actionUndo}) // asked meanwhile
		}
		r.undoing = false
	})
}

// asksToUndo reports whether a request is about taking the last action back.
func asksToUndo(a *approval) bool {
	return a.request.Action == actionKeep || a.request.Action == actionUndo
}

// routeApproval is an approval as the route asks for it, which says who is
// entitled: whoever may approve the action may take it back.
func (r *response) routeApproval() *approval {
	return &approval{policy: r.in.Route.Approval, approvers: r.in.Approvers}
}

// undo undoes the last action, for the analysts who want it, nobody where the
// route does it by itself, and follows that to its end.
func (r *response) undo(ctx workflow.Context, analysts ...string) error {
	var a *activities.Activities
	// Another action may be carried out meanwhile, and be the last one then.
	at := len(r.page.Actions) - 1
	last := r.page.Actions[at]
	info := workflow.GetInfo(ctx)
	// What may have been undone already is looked for under the same caller ID.
	again := r.undoLost
	if !again {
		r.undos++
	}
	claim := r.claim(last.Action)
	claim.Undo, claim.ApprovedBy = true, analysts
	by := actorFirebreak
	if len(analysts) > 0 {
		by = strings.Join(analysts, " and ")
	}
	in := activities.ActionInput{
		Action:   last.Action,
		CallerID: signals.CallerID(info.WorkflowExecution.ID, info.FirstRunID, fmt.Sprintf("undo %s %d", last.ExecutionID, r.undos)),
		Undo:     last.ExecutionID, Tenant: r.in.Tenant, Since: r.openedAt, Resumed: r.reset || again, Claim: claim,
	}
	r.log(ctx, actorFirebreak, signals.KindAction, "undoing %s: execution %s, caller ID %s", last.Action, last.ExecutionID, in.CallerID)
	var done activities.Execution
	err := unanswered(r.claiming(&in.Claim, func() error {
		return r.do(acting(ctx, "Undo "+last.Action), a.ExecuteAction, in, &done)
	}))
	countAction(ctx, last.Action, metrics.Undo, done, err)
	r.undoLost = isAmbiguous(err)
	switch {
	case r.undoLost:
		r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindAction, "undo of %s: Sysdig cannot say whether it ran: %s", last.Action, describe(err))
		return err
	case err != nil:
		r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindAction, "%s was not undone: %s", last.Action, describe(err))
		return err
	case done.Observed:
		r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindAction, "%s was not undone: %s", last.Action, dryRun)
		return nil
	}
	r.page.Actions[at].UndoneBy, r.page.Actions[at].UndoID = by, done.ID
	r.announce(ctx, activities.ChangeResult, actorSysdig, signals.KindAction, "%s undone, %s: execution %s", last.Action, done.Status, done.ID)
	return nil
}

// confirm asks, where the route says so, whether a containment is to be kept, and
// undoes it otherwise: when an analyst says so, or nobody answers. It returns how
// the incident ends, "" if it goes on because the containment is kept. When the
// undo fails, an analyst is asked whether to try again.
func (r *response) confirm(ctx workflow.Context, action *catalogue.Action) signals.State {
	after := r.in.Route.AutoUndoAfter
	if after == 0 || action.UndoneBy == "" {
		return ""
	}
	if last := r.lastAction(); !r.resuming && (last == nil || last.Observed) {
		return "" // there is nothing to undo
	}
	ends := signals.Expired
	var by []string
	failed := r.resuming && r.page.Pending != nil && r.page.Pending.Action == actionUndo
	if !failed {
		v := r.ask(ctx, keepRequest(r.page.Incident, r.lastAction(), time.Duration(after)), r.keeping(after))
		if v == approved {
			return ""
		}
		if ends = v.outcome(); v == rejected && ctx.Err() == nil {
			by = append(by, r.approval.by)
		}
	}
	for {
		if !failed {
			if r.next != nil {
				return ends // it moves on
			}
			// Also where nobody is asked any more, because the workflow was cancelled:
			// then as if nobody had answered.
			undoing, _ := workflow.NewDisconnectedContext(ctx)
			_ = workflow.Await(undoing, func() bool { return !r.undoing }) // by a signal
			if r.takenBack() {
				return ends
			}
			if r.failed = r.undo(undoing, by...); r.failed == nil {
				return ends
			}
		}
		failed = false
		if v := r.ask(ctx, undoRequest(r.page.Incident, r.lastAction()), r.in.Route.Approval); v != approved {
			return r.deniedOutcome(v)
		}
		by = r.approval.have
	}
}

// keeping is how it is asked whether to keep a containment: as the route asks for
// it, but of one, and in time.
func (r *response) keeping(after incident.Duration) incident.Approval {
	policy := r.in.Route.Approval
	policy.Mode, policy.ExpireAfter = incident.ModeOne, after
	if policy.RemindEvery >= after {
		policy.RemindEvery = 0
	}
	if policy.EscalateAfter >= after {
		policy.EscalateAfter = 0
	}
	return policy
}

// undoRequest words the question whether to take an action back.
func undoRequest(inc incident.Incident, last *signals.Executed) question {
	return question{
		action: actionUndo, target: inc.Target(), parameters: map[string]any{"action": last.Action, "execution": last.ExecutionID},
		text: fmt.Sprintf("undo %s of %s, execution %s", last.Action, inc.Target(), last.ExecutionID), waiting: signals.AwaitingApproval,
	}
}

// keepRequest words the question whether a containment is to be kept.
func keepRequest(inc incident.Incident, last *signals.Executed, after time.Duration) question {
	q := question{action: actionKeep, target: inc.Target(), waiting: signals.AwaitingApproval}
	if last != nil {
		q.parameters = map[string]any{"action": last.Action, "execution": last.ExecutionID}
		q.text = fmt.Sprintf("keep %s of %s? Without an answer it is undone after %s", last.Action, inc.Target(), after)
	}
	return q
}
