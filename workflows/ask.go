package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// ask waits until the request is decided. Reminders, escalation and expiry are
// durable timers; an unanswered request expires, which denies it. The approved
// request stays in r.approval: what is executed is what was approved.
func (r *response) ask(ctx workflow.Context, q question, policy incident.Approval) verdict {
	r.asks++
	request, err := signals.NewRequest(q.action, q.target, q.parameters, r.asks)
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindCheck, "%s cannot be asked for: %s", q.action, err)
		return rejected
	}
	r.approval = newApproval(request, policy.Mode, r.in.Approvers)
	if r.approval.verdict == approved {
		r.log(ctx, actorFirebreak, signals.KindRequest, "%s: the route needs no approval", q.text)
		r.decide(ctx)
		return approved
	}
	text := q.text
	if r.failed != nil {
		text = "try again after the failure? " + text
	} else if r.returned {
		text = "the detection returned after it was contained. " + text
	}
	r.wait(ctx, text, q.waiting, policy)
	return r.decide(ctx)
}

// decide settles the current request, and returns its verdict.
func (r *response) decide(ctx workflow.Context) verdict {
	r.decided[r.approval.request.ID] = r.approval.became()
	r.last = r.approval.request.ID
	r.page.Pending = nil
	r.refresh(ctx)
	return r.approval.verdict
}

// wait publishes the request and waits for its decision.
func (r *response) wait(ctx workflow.Context, text string, state signals.State, policy incident.Approval) {
	a := r.approval
	asked := workflow.Now(ctx)
	expiry := asked.Add(time.Duration(policy.ExpireAfter))
	a.request.ExpiresAt = expiry.UTC()
	pending := a.request
	r.page.Pending = &pending
	r.log(ctx, actorFirebreak, signals.KindRequest, "%s (request %s, expires %s)", text, a.request.ID, expiry.UTC().Format(time.RFC3339))
	r.setState(ctx, state)

	escalation := time.Duration(policy.EscalateAfter)
	for reminders := 1; a.verdict == undecided; {
		next, summary := expiry, "approval expires"
		if every := time.Duration(policy.RemindEvery); every > 0 {
			if at := asked.Add(time.Duration(reminders) * every); at.Before(next) {
				next, summary = at, fmt.Sprintf("reminder %d", reminders)
			}
		}
		if escalation > 0 {
			if at := asked.Add(escalation); !at.After(next) && at.Before(expiry) {
				next, summary = at, "escalation"
			}
		}
		_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      next.Sub(workflow.Now(ctx)),
			TimerOptions: workflow.TimerOptions{Summary: summary},
		}, func() bool { return a.verdict != undecided })
		if err != nil {
			// Cancelled from outside: nobody approved.
			a.verdict, a.by = rejected, "cancellation of the workflow"
			r.log(ctx, actorFirebreak, signals.KindDecision, "%s denied: the workflow was cancelled", a.request.Action)
			return
		}
		// A decision that waited with the timer counts before the deadline does.
		r.drain(ctx)
		if a.verdict != undecided {
			return
		}
		waited := next.Sub(asked).Round(time.Second)
		switch now := workflow.Now(ctx); {
		case now.Before(next):
			// Woken by something else.
		case summary == "escalation":
			escalation = 0
			r.log(ctx, actorFirebreak, signals.KindReminder, "escalated: nobody answered request %s for %s", a.request.ID, waited)
		case next.Equal(expiry):
			a.verdict = expired
			r.log(ctx, actorFirebreak, signals.KindDecision, "%s denied: nobody answered request %s for %s", a.request.Action, a.request.ID, waited)
		default:
			// Those that were missed while no worker ran are not made up for.
			reminders = int(now.Sub(asked)/time.Duration(policy.RemindEvery)) + 1
			r.log(ctx, actorFirebreak, signals.KindReminder, "still waiting for a decision on request %s (%s), for %s", a.request.ID, a.request.Action, waited)
		}
	}
}

// answers checks that a decision is about the pending request.
func (r *response) answers(d signals.Decision) error {
	if r.page.Pending == nil || r.approval == nil {
		switch {
		case d.Request != "" && r.decided[d.Request] != "":
			return fmt.Errorf("too late: %s", r.decided[d.Request])
		case r.last != "":
			return fmt.Errorf("too late: %s", r.decided[r.last])
		default:
			return errors.New("too early: nothing waits for a decision yet")
		}
	}
	switch pending := r.approval.request.ID; {
	case d.Request == "" || d.Request == pending:
		return nil
	case r.decided[d.Request] != "":
		return fmt.Errorf("too late: %s; pending is %s", r.decided[d.Request], pending)
	default:
		return fmt.Errorf("wrong request %q: pending is %s", signals.Clip(d.Request, maxQuoted), pending)
	}
}

// question is a decision to ask for.
type question struct {
	action     string
	target     string
	parameters map[string]any
	// text says what would be done, in plain words.
	text string
	// waiting is the incident's state meanwhile.
	waiting signals.State
}

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
