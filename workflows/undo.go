package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
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
		return fmt.Errorf("%s cannot be undone", r.action) // carried by an earlier version
	case last == nil:
		return errors.New("nothing was done yet that could be undone")
	case r.page.Outcome != "":
		return fmt.Errorf("too late: the incident is closing as %s; once it is closed, ask for the undo by hand", r.page.Outcome)
	case last.Observed:
		return fmt.Errorf("%s was not carried out: there is nothing to undo", last.Action)
	case last.UndoneBy != "":
		return fmt.Errorf("%s was undone already, by %s", last.Action, last.UndoneBy)
	case r.undoing:
		return fmt.Errorf("%s is being undone", last.Action)
	}
	if action, known := catalogue.Find(last.Action); known && action.UndoneBy == "" {
		return fmt.Errorf("%s cannot be undone", last.Action)
	}
	return nil
}

// takeUndo has the last action undone, beside whatever the playbook does. While
// the incident asks whether to keep it, it is an answer.
func (r *response) takeUndo(ctx workflow.Context, m *message, order signals.Instruction) {
	err := r.undoable()
	if err == nil {
		err = r.undoer().entitled(m.analyst)
	}
	if err != nil {
		r.refuse(ctx, m, err)
		return
	}
	text := "undo " + r.lastAction().Action + because(order.Reason) + m.alias()
	r.acknowledge(m, true, text)
	r.announce(ctx, activities.ChangeDecision, m.analyst, signals.KindDecision, "%s", text)
	if r.open && r.approval.request.Action == actionKeep {
		r.approval.count(ballot{analyst: m.analyst})
		return
	}
	r.undoing = true
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		_ = r.undo(ctx, m.analyst) // its failure is in the war room
		r.undoing = false
	})
}

// undoer is an approval that the entitlement to undo is checked with: whoever may
// approve the action may take it back.
func (r *response) undoer() *approval {
	return &approval{policy: r.in.Route.Approval, approvers: r.in.Approvers}
}

// undo undoes the last action, for the analysts who want it, nobody where the
// route does it by itself, and follows that to its end.
func (r *response) undo(ctx workflow.Context, analysts ...string) error {
	var a *activities.Activities
	at := len(r.page.Actions) - 1 // another may follow before it is undone
	last := &r.page.Actions[at]
	info := workflow.GetInfo(ctx)
	r.undos++
	claim := r.claim(last.Action)
	claim.Undo, claim.ApprovedBy = true, analysts
	by := actorFirebreak
	if len(analysts) > 0 {
		by = strings.Join(analysts, " and ")
	}
	in := activities.ActionInput{
		Action:   last.Action,
		CallerID: signals.CallerID(info.WorkflowExecution.ID, info.FirstRunID, fmt.Sprintf("undo %s %d", last.ExecutionID, r.undos)),
		Undo:     last.ExecutionID, Tenant: r.in.Tenant, Resumed: r.reset, Claim: claim,
	}
	r.log(ctx, actorFirebreak, signals.KindAction, "undoing %s: execution %s, caller ID %s", last.Action, last.ExecutionID, in.CallerID)
	var done activities.Execution
	err := unanswered(r.claiming(&in.Claim, func() error {
		return workflow.ExecuteActivity(acting(ctx, "Undo "+last.Action), a.ExecuteAction, in).Get(ctx, &done)
	}))
	if err != nil {
		r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindAction, "%s was not undone: %s", last.Action, describe(err))
		return err
	}
	if done.Observed {
		r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindAction, "%s was not undone: %s", last.Action, dryRun)
		return nil
	}
	r.page.Actions[at].UndoneBy, r.page.Actions[at].UndoID = by, done.ID
	r.announce(ctx, activities.ChangeResult, actorSysdig, signals.KindAction, "%s undone, %s: execution %s", last.Action, done.Status, done.ID)
	return nil
}

// confirm asks, where the route says so, whether a containment is to be kept that
// would be undone otherwise. It returns approved if it is kept, and else why it
// was undone. An undo that fails is tried again after the same time, or when
// somebody says so.
func (r *response) confirm(ctx workflow.Context, action *catalogue.Action) verdict {
	after := r.in.Route.AutoUndoAfter
	if after == 0 || action.UndoneBy == "" {
		return approved
	}
	if last := r.lastAction(); !r.resuming && (last == nil || last.Observed) {
		return approved // there is nothing to undo
	}
	policy := r.in.Route.Approval
	policy.Mode, policy.ExpireAfter = incident.ModeOne, after
	if policy.RemindEvery >= after {
		policy.RemindEvery = 0
	}
	if policy.EscalateAfter >= after {
		policy.EscalateAfter = 0
	}
	for {
		v := r.ask(ctx, keepRequest(r.page.Incident, r.lastAction(), time.Duration(after)), policy)
		if v == approved || v == movedOn {
			return v
		}
		var by []string
		if v == rejected {
			by = append(by, r.approval.by)
		}
		if r.undo(ctx, by...) == nil {
			return v
		}
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
