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
	switch r.leg(q.action) {
	case behind:
		return approved
	case ahead:
		if v := r.put(ctx, q, policy); v != undecided {
			return v
		}
	case here:
	}
	return r.wait(ctx, policy)
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
	r.approval = newApproval(request, policy.Mode, r.in.Approvers)
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
	r.publish(ctx, text, q.waiting, policy)
	return undecided
}

// decide settles the current request, and returns its verdict.
func (r *response) decide(ctx workflow.Context) verdict {
	r.decided[r.approval.request.ID] = r.approval.became()
	r.last = r.approval.request.ID
	r.page.Pending = nil
	r.refresh(ctx)
	return r.approval.verdict
}

// clock is how long a decision has been waited for.
type clock struct {
	Asked time.Time `json:"asked"`
	// Reminders counts those that are due no more.
	Reminders int  `json:"reminders,omitzero"`
	Escalated bool `json:"escalated,omitzero"`
}

// publish makes the request known, and starts its clock.
func (r *response) publish(ctx workflow.Context, text string, state signals.State, policy incident.Approval) {
	a := r.approval
	r.clock = clock{Asked: workflow.Now(ctx)}
	a.request.ExpiresAt = r.clock.Asked.Add(time.Duration(policy.ExpireAfter)).UTC()
	pending := a.request
	r.page.Pending = &pending
	r.log(ctx, actorFirebreak, signals.KindRequest, "%s (request %s, expires %s)", text, a.request.ID, a.request.ExpiresAt.Format(time.RFC3339))
	r.setState(ctx, state)
}

// next is when there is something to do about an unanswered request, and what.
func (c clock) next(expiry time.Time, policy incident.Approval) (next time.Time, summary string) {
	next, summary = expiry, "approval expires"
	if every := time.Duration(policy.RemindEvery); every > 0 {
		if at := c.Asked.Add(time.Duration(c.Reminders+1) * every); at.Before(next) {
			next, summary = at, fmt.Sprintf("reminder %d", c.Reminders+1)
		}
	}
	if after := time.Duration(policy.EscalateAfter); after > 0 && !c.Escalated {
		if at := c.Asked.Add(after); !at.After(next) && at.Before(expiry) {
			next, summary = at, summaryEscalation
		}
	}
	return next, summary
}

const summaryEscalation = "escalation"

// wait waits for the decision on the published request.
func (r *response) wait(ctx workflow.Context, policy incident.Approval) verdict {
	a, expiry := r.approval, r.approval.request.ExpiresAt
	for a.verdict == undecided {
		next, summary := r.clock.next(expiry, policy)
		_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      next.Sub(workflow.Now(ctx)),
			TimerOptions: workflow.TimerOptions{Summary: summary},
		}, func() bool { return a.verdict != undecided || r.full(ctx) })
		if err != nil {
			// Cancelled from outside: nobody approved.
			a.verdict, a.by = rejected, "cancellation of the workflow"
			r.log(ctx, actorFirebreak, signals.KindDecision, "%s denied: the workflow was cancelled", a.request.Action)
			break
		}
		// A decision that waited with the timer counts before the deadline does.
		r.drain(ctx)
		if a.verdict != undecided {
			break
		}
		waited := next.Sub(r.clock.Asked).Round(time.Second)
		switch now := workflow.Now(ctx); {
		case now.Before(next):
			// Woken by something else.
			if r.full(ctx) && r.moveOn(ctx) {
				return movedOn
			}
			continue
		case summary == summaryEscalation:
			r.clock.Escalated = true
			r.log(ctx, actorFirebreak, signals.KindReminder, "escalated: nobody answered request %s for %s", a.request.ID, waited)
		case next.Equal(expiry):
			a.verdict = expired
			r.log(ctx, actorFirebreak, signals.KindDecision, "%s denied: nobody answered request %s for %s", a.request.Action, a.request.ID, waited)
		default:
			// Those that were missed while no worker ran are not made up for.
			r.clock.Reminders = int(now.Sub(r.clock.Asked) / time.Duration(policy.RemindEvery))
			r.log(ctx, actorFirebreak, signals.KindReminder, "still waiting for a decision on request %s (%s), for %s", a.request.ID, a.request.Action, waited)
		}
		r.idle = false
	}
	return r.decide(ctx)
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
