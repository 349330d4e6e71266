package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/metrics"
	"firebreak/internal/report"
	"firebreak/signals"
)

// execute carries out the approved request, with the parameters that were
// approved, and follows the execution to its end. An error is for good: what
// can be retried without a human already was.
func (r *response) execute(ctx workflow.Context) error {
	if r.resuming {
		return nil
	}
	var a *activities.Activities
	request := r.approval.request
	info := workflow.GetInfo(ctx)
	in := activities.ActionInput{
		Action:     request.Action,
		CallerID:   signals.CallerID(info.WorkflowExecution.ID, info.FirstRunID, request.ID),
		Parameters: request.Parameters,
		Tenant:     r.in.Tenant,
		Since:      r.openedAt,
		Forced:     r.forced,
		Resumed:    r.reset,
		Address:    r.address(),
		Claim:      r.claim(request.Action),
	}
	if request.Action == actionKillProcess {
		in.NotAfter = r.seenAt().Add(r.maxProcessAge())
	}
	r.log(ctx, actorFirebreak, signals.KindAction, "%s with %s, caller ID %s", request.Action, report.Parameters(request.Parameters), in.CallerID)
	var done activities.Execution
	err := unanswered(r.claiming(&in.Claim, func() error {
		return r.do(acting(ctx, request.Action+" "+r.page.Incident.Target()), a.ExecuteAction, in, &done)
	}))
	countAction(ctx, request.Action, metrics.Execute, done, err)
	if err != nil {
		return err
	}
	r.failed, r.demanded, r.returned = nil, nil, false
	r.containedAt = workflow.Now(ctx)
	r.page.Actions = append(r.page.Actions, signals.Executed{
		Action: request.Action, ExecutionID: done.ID, Parameters: request.Parameters, At: r.containedAt.UTC(), Observed: done.Observed,
	})
	if done.Observed {
		r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindAction, "%s was not carried out: %s", request.Action, dryRun)
		return nil
	}
	adopted := ""
	if done.Adopted {
		adopted = ", submitted earlier and adopted"
	}
	r.announce(ctx, activities.ChangeResult, actorSysdig, signals.KindAction, "%s %s: execution %s%s", request.Action, done.Status, done.ID, adopted)
	r.contained(ctx)
	return nil
}

// unseen reports whether no event tells of the target, which is only what somebody
// says who asks for an action by hand.
func (r *response) unseen() bool {
	return r.page.Playbook == signals.PlaybookManual && (r.page.Incident.ID == "" || r.page.Incident.ID == r.page.WorkflowID)
}

// dryRun is why nothing was done that the war room tells of otherwise.
const dryRun = "this worker only observes"

// claim is what the worker is told of who approved an action. Where it has rules
// that look at the incident, such as policies, it is told of that, too, whole, for
// they may look at anything.
func (r *response) claim(action string) approvals.Claim {
	claim := approvals.Claim{Route: r.page.Route, Playbook: r.page.Playbook, Trust: r.in.Approvers.Trust, Action: action, Requester: r.requester, Unseen: r.unseen()}
	if r.in.Approvers.Policies {
		whole := r.page.Incident
		claim.Incident = &whole
	}
	if r.approval != nil {
		claim.ApprovedBy = r.approval.have
	}
	return claim
}

// claiming carries out what is claimed. Where the worker has rules that look at the
// incident, which the starter did not know of, it says so before it does anything:
// it is told of the incident then, and asked again.
func (r *response) claiming(claim *approvals.Claim, act func() error) error {
	err := act()
	if applicationErrorType(err) == activities.ErrIncidentWanted && claim.Incident == nil {
		r.in.Approvers.Policies = true
		whole := r.page.Incident
		claim.Incident = &whole
		err = act()
	}
	return err
}

// lazyState is how long an action may take before lists of incidents show that
// it is under way. Most take less, and then showing it would cost more than the
// action.
const lazyState = time.Second

// during carries an action out, and shows the incident in a state meanwhile: on
// its page at once, in lists when it takes a while.
func (r *response) during(ctx workflow.Context, state signals.State, act func(workflow.Context) error) error {
	if r.resuming {
		return act(ctx)
	}
	r.page.State = state
	r.refresh(ctx)
	waiting, stop := workflow.WithCancel(ctx)
	over := false
	workflow.Go(waiting, func(ctx workflow.Context) {
		timer := workflow.NewTimerWithOptions(ctx, lazyState, workflow.TimerOptions{Summary: "shown in lists as " + string(state)})
		// Both may come with one task: what is over is not shown any more.
		if timer.Get(ctx, nil) == nil && !over {
			r.setState(ctx, state)
		}
	})
	err := act(ctx)
	over = true
	stop()
	return err
}

// unanswered makes an end without an answer an ambiguous one: after a deadline
// or a cancellation nobody here can say whether the action took effect.
func unanswered(err error) error {
	var timeout *temporal.TimeoutError
	var canceled *temporal.CanceledError
	if applicationErrorType(err) == activities.ErrCaptureTurn {
		return err // nothing was submitted
	}
	if errors.As(err, &timeout) || errors.As(err, &canceled) {
		return temporal.NewNonRetryableApplicationError(describe(err), activities.ErrAmbiguous, err)
	}
	return err
}

// returns watches for the same detection during the cool-down, and reports
// whether it came back.
func (r *response) returns(ctx workflow.Context) bool {
	coolDown := time.Duration(*r.in.Route.CoolDown)
	if coolDown == 0 {
		return false
	}
	switch r.leg(stepWatch) {
	case behind:
		return true // or the playbook would have ended
	case ahead:
		r.log(ctx, actorFirebreak, signals.KindCheck, "watching %s for the same detection", coolDown)
		r.setState(ctx, signals.Watching)
		r.watchUntil = workflow.Now(ctx).Add(coolDown)
	case here:
	}
	for {
		woken, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      r.watchUntil.Sub(workflow.Now(ctx)),
			TimerOptions: workflow.TimerOptions{Summary: "cool-down ends"},
		}, func() bool { return r.returned || r.takenBack() || r.full(ctx) })
		if err != nil {
			r.log(ctx, actorFirebreak, signals.KindCheck, "the workflow was cancelled while watching")
			return false
		}
		r.drain(ctx)
		if r.returned {
			return true
		}
		if r.takenBack() {
			return false
		}
		if !woken {
			r.log(ctx, actorFirebreak, signals.KindCheck, "the detection did not return")
			return false
		}
		// Not with what was just read and is still being vetted.
		if r.full(ctx) && r.moveOn(ctx) {
			return false
		}
	}
}

// wasReset reports whether the run repeats an earlier one's history, whose
// actions may have been carried out.
func wasReset(info *workflow.Info) bool {
	return info.OriginalRunID != "" && info.OriginalRunID != info.WorkflowExecution.RunID
}
