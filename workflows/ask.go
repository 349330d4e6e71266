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

// question is a decision to ask for.
type question struct {
	action     string
	target     string
	parameters map[string]any
	// text says what would be done, in plain words.
	text string
	// seenAt is when the process to kill was last known to have its ID.
	seenAt time.Time
	// waiting is the incident's state meanwhile.
	waiting signals.State
}

// ask waits until the request is decided. Reminders, escalation and expiry are
// durable timers; an unanswered request expires, which denies it. The approved
// request stays in r.approval: what is executed is what was approved.
func (r *response) ask(ctx workflow.Context, q question, policy incident.Approval) verdict {
	switch r.leg(q.action) {
	case behind:
		return approved
	case ahead:
		if v := r.put(ctx, q, policy); v != undecided {
			return v
		}
	case here:
	}
	return r.wait(ctx)
}

// put puts the question. It is decided at once where the route needs no
// approval.
func (r *response) put(ctx workflow.Context, q question, policy incident.Approval) verdict {
	r.asks++
	request, err := signals.NewRequest(q.action, q.target, q.parameters, r.asks)
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindCheck, "%s cannot be asked for: %s", q.action, err)
		return rejected
	}
	request.SeenAt = q.seenAt.UTC()
	chosen := r.policy(ctx, q.action, policy)
	if chosen.Protected != "" {
		r.failed = nil
		r.log(ctx, actorFirebreak, signals.KindCheck, "%s", chosen.Protected)
		return rejected
	}
	r.approval = newApproval(request, chosen.Approval, r.in.Approvers, r.requester)
	if r.approval.verdict == approved {
		r.log(ctx, actorFirebreak, signals.KindRequest, "%s: the route needs no approval", q.text)
		return r.decide(ctx)
	}
	text := q.text
	if r.failed != nil {
		text = "try again after the failure? " + text
	} else if r.returned {
		text = "the detection returned after it was contained. " + text
	}
	r.publish(ctx, text, q.waiting)
	return undecided
}

// policy returns how a decision is asked for: as the route says, unless the worker
// has a policy for the action. A person always decides after a failure or a return,
// so that nothing loops by itself, and after an analyst stated the process again or
// named another host, which one person alone must not have acted on; saving a capture
// that was taken then needs no further decision. The worker may also answer that the
// target is protected, and that no decision is needed.
func (r *response) policy(ctx workflow.Context, action string, p incident.Approval) activities.Choice {
	choice := activities.Choice{Approval: p}
	switch {
	case r.demanded != nil:
		// What the worker found missing when it was to act.
		choice.Approval = *r.demanded
	case r.in.Approvers.Policies:
		var a *activities.Activities
		in := activities.ApprovalInput{Action: action, Incident: r.page.Incident, Route: p, Contains: r.containing(action), Unseen: r.unseen()}
		const summary = "Find the policy for the action"
		var chosen activities.Choice
		if err := askWorker(ctx, r.do, summary, a.ChooseApproval, in, &chosen); err != nil {
			// The worker checks once more before it acts.
			r.log(ctx, actorFirebreak, signals.KindCheck, "no policy found for %s, asking as the route says: %s", action, describe(err))
			chosen = choice
		}
		choice = chosen
	}
	doubtful := r.returned || r.killing.late || r.host == hostReplaced
	if choice.Mode == incident.ModeNone && (r.failed != nil || doubtful && action != actionSaveCapture) {
		choice.Mode = incident.ModeOne
	}
	return choice
}

// decide settles the current request, and returns its verdict.
func (r *response) decide(ctx workflow.Context) verdict {
	v := r.settle()
	r.page.Pending = nil
	r.refresh(ctx)
	return v
}

// publish makes the request known, and starts its clock.
func (r *response) publish(ctx workflow.Context, text string, state signals.State) {
	a := r.approval
	a.clock = clock{Asked: workflow.Now(ctx)}
	a.request.ExpiresAt = a.clock.Asked.Add(time.Duration(a.policy.ExpireAfter)).UTC()
	r.open = true
	workflow.GetLogger(ctx).Info("request asked", "request", a.request.ID, "action", a.request.Action, "state", string(state))
	pending := a.request
	r.page.Pending = &pending
	r.page.State = state // as whoever is notified will see it
	r.announce(ctx, activities.ChangeRequest, actorFirebreak, signals.KindRequest, "%s (request %s, %sexpires %s)",
		text, a.request.ID, putTo(a), a.request.ExpiresAt.Format(time.RFC3339))
	r.setState(ctx, state)
	r.lookAround(ctx)
}

// putTo says whom a request asks, if that is not just anybody.
func putTo(a *approval) string {
	text := ""
	if a.request.Need > 1 {
		text = fmt.Sprintf("needs %d different analysts, ", a.request.Need)
	}
	if len(a.policy.Groups) > 0 {
		text += "asked: " + strings.Join(a.policy.Groups, ", ") + ", "
	}
	return text
}

// wait waits for the decision on the published request.
func (r *response) wait(ctx workflow.Context) verdict {
	a := r.approval
	if a.clock.Escalated {
		markEscalated(ctx) // an earlier run was marked
	}
	for a.verdict == undecided {
		next, what := a.next()
		summary := string(what)
		if what == dueReminder {
			summary = fmt.Sprintf("%s %d", what, a.clock.Reminders+1)
		}
		_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      next.Sub(workflow.Now(ctx)),
			TimerOptions: workflow.TimerOptions{Summary: summary},
		}, func() bool { return a.verdict != undecided || r.full(ctx) })
		if err != nil {
			// Cancelled from outside: nobody approved.
			a.verdict, a.by = rejected, "cancellation of the workflow"
			r.announce(ctx, activities.ChangeDecision, actorFirebreak, signals.KindDecision, "%s denied: the workflow was cancelled", a.request.Action)
			break
		}
		// A decision that waited with the timer counts before the deadline does, if
		// it was sent before it.
		r.catchUp(ctx)
		if a.verdict != undecided {
			break
		}
		if now := workflow.Now(ctx); now.Before(next) {
			// Woken by something else.
			if r.full(ctx) && r.moveOn(ctx) {
				return movedOn
			}
			continue
		}
		r.pass(ctx, what, next)
		r.idle = false
	}
	r.countDecided(ctx)
	return r.decide(ctx)
}

// pass does what is due about an unanswered request.
func (r *response) pass(ctx workflow.Context, what due, at time.Time) {
	a := r.approval
	waited := at.Sub(a.clock.Asked).Round(time.Second)
	a.pass(what, workflow.Now(ctx))
	switch what {
	case dueEscalation:
		count(ctx, metrics.Escalations, 1, metrics.LabelPlaybook, r.page.Playbook)
		markEscalated(ctx)
		to := ""
		if len(a.policy.EscalateTo) > 0 {
			to = " to " + strings.Join(a.policy.EscalateTo, ", ")
		}
		r.announce(ctx, activities.ChangeEscalation, actorFirebreak, signals.KindReminder, "escalated%s: nobody answered request %s for %s", to, a.request.ID, waited)
	case dueExpiry:
		r.announce(ctx, activities.ChangeDecision, actorFirebreak, signals.KindDecision, "%s denied: nobody answered request %s for %s", a.request.Action, a.request.ID, waited)
	case dueReminder:
		count(ctx, metrics.Reminders, 1, metrics.LabelPlaybook, r.page.Playbook)
		r.announce(ctx, activities.ChangeReminder, actorFirebreak, signals.KindReminder, "still waiting for a decision on request %s (%s), for %s", a.request.ID, a.request.Action, waited)
	}
}

// markEscalated marks the run as one in which a request was escalated, so that
// those can be counted which wait all the same. Histories of earlier versions are
// not marked.
func markEscalated(ctx workflow.Context) {
	workflow.GetVersion(ctx, signals.ChangeEscalated, workflow.DefaultVersion, 1)
}

// contains reports whether the pending request is about a containment, which a
// freeze stops.
func (r *response) contains() bool { return r.containing(r.approval.request.Action) }

// containing reports whether an action is the incident's response action, and
// contains.
func (r *response) containing(name string) bool {
	if name != r.action {
		return false
	}
	action, known := catalogue.Find(name)
	return !known || action.Contains()
}

// withhold takes what the worker demands before it acts from its refusal.
func (r *response) withhold(err error) {
	var demanded incident.Approval
	var approvers signals.Approvers
	if app := applicationError(err); app != nil && app.Type() == activities.ErrNotPermitted && app.HasDetails() && app.Details(&demanded, &approvers) == nil {
		// An incident that was opened under another configuration asks from now on
		// as this one says, or nobody could ever do as the worker demands.
		r.demanded, r.in.Approvers = &demanded, approvers
	}
}

// isWithheld reports whether an action was not carried out because the worker
// may not do it now: nothing was asked of Sysdig.
func isWithheld(err error) bool {
	kind := applicationErrorType(err)
	return kind == activities.ErrFrozen || kind == activities.ErrNotPermitted || kind == activities.ErrProtected || kind == activities.ErrHost
}

// isProtected reports whether an action was not carried out because its target is
// never contained: nobody has to be asked again.
func isProtected(err error) bool { return applicationErrorType(err) == activities.ErrProtected }

func pastTense(name string) string {
	if name == signals.Approve {
		return "approved"
	}
	return "rejected"
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
