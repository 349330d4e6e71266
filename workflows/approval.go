package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/internal/report"
	"firebreak/signals"
)

// verdict is what became of a request.
type verdict string

const (
	undecided verdict = ""
	approved  verdict = "approved"
	rejected  verdict = "rejected"
	expired   verdict = "expired"
	// movedOn is no verdict: another run goes on waiting for one.
	movedOn verdict = "moved on"
)

// outcome is how an incident ends whose request was not approved.
func (v verdict) outcome() signals.State {
	if v == rejected {
		return signals.Rejected
	}
	return signals.Expired
}

// approval is one request and the decisions about it: a plain state machine
// that knows neither signals nor timers.
type approval struct {
	request signals.Request
	// policy is how it is asked for, and approvers who there is to ask.
	policy    incident.Approval
	approvers signals.Approvers
	// requester is who asked for a manual action, "" for a playbook's own.
	requester string
	clock     clock
	verdict   verdict
	// have are the analysts who approved, by the one whose decision was last.
	have []string
	by   string
}

func newApproval(request signals.Request, policy incident.Approval, approvers signals.Approvers, requester string) *approval {
	a := &approval{request: request, policy: policy, approvers: approvers, requester: requester, have: []string{}}
	switch policy.Mode {
	case incident.ModeNone:
		a.verdict = approved
	case incident.ModeTwo:
		a.request.Need = 2
	default:
		a.request.Need = 1
	}
	return a
}

// ballot is a decision of somebody who is known by now: what the payload claims
// has been weighed before.
type ballot struct {
	analyst string
	approve bool
}

// check returns why a decision does not count.
func (a *approval) check(b ballot) error {
	if a.verdict != undecided {
		return refused(metrics.TooLate, "too late: %s", a.became())
	}
	if err := a.entitled(b.analyst); err != nil {
		return err
	}
	switch {
	case !b.approve:
		return nil
	case a.request.Action == actionAmend:
		return refused(metrics.NotApplicable, "nothing can be approved while fields are missing: supply them with amend, or reject")
	case a.requester != "" && strings.EqualFold(b.analyst, a.requester):
		return refused(metrics.OwnRequest, "%s asked for it: somebody else must approve", signals.Clip(b.analyst, maxQuoted))
	case slices.ContainsFunc(a.have, func(name string) bool { return strings.EqualFold(name, b.analyst) }):
		return refused(metrics.AlreadyApproved, "%s has approved already: %d different analysts are needed", signals.Clip(b.analyst, maxQuoted), a.request.Need)
	default:
		return nil
	}
}

// count counts a decision that was checked: one rejection ends it, and so does
// the last approval that is needed.
func (a *approval) count(b ballot) {
	a.by = b.analyst
	if !b.approve {
		a.verdict = rejected
		return
	}
	a.have = append(a.have, b.analyst)
	if len(a.have) >= a.request.Need {
		a.verdict = approved
	}
}

// entitled checks that an analyst may decide.
func (a *approval) entitled(analyst string) error {
	if a.approvers.Trust == signals.TrustOpen || a.approvers.Trust == "" {
		return nil
	}
	// Anything but open is checked, so that a level this version does not know
	// lets nobody in by accident.
	if slices.Contains(a.members(), analyst) {
		return nil
	}
	why := "not in the list of approvers"
	switch later := a.approvers.Members(a.policy.EscalateTo); {
	case len(a.policy.EscalateTo) > 0 && !a.clock.Escalated && slices.Contains(later, analyst):
		why = "the request is not escalated to " + strings.Join(a.policy.EscalateTo, ", ") + " yet"
	case len(a.policy.Groups) > 0:
		why = "not in " + strings.Join(a.asked(), ", ")
	}
	return refused(metrics.NotEntitled, "analyst %q is not entitled: %s", signals.Clip(analyst, maxQuoted), why)
}

// asked are the groups that are asked by now; none means all.
func (a *approval) asked() []string { return a.policy.Asked(a.clock.Escalated) }

// members are the analysts who may decide by now, where trust is not open.
func (a *approval) members() []string { return a.approvers.Members(a.asked()) }

// standing is how the request stands, for the incident's page.
func (a *approval) standing() report.Asked {
	s := report.Asked{Since: a.clock.Asked, Who: a.policy.Groups, Reminders: a.clock.Reminders, Trust: a.approvers.Trust}
	if a.approvers.Trust != signals.TrustOpen && a.approvers.Trust != "" {
		s.Analysts = a.members()
	}
	if every := time.Duration(a.policy.RemindEvery); every > 0 {
		if at := a.clock.Asked.Add(time.Duration(a.clock.Reminders+1) * every); at.Before(a.request.ExpiresAt) {
			s.RemindsAt = at
		}
	}
	switch after := time.Duration(a.policy.EscalateAfter); {
	case a.clock.Escalated:
		s.Escalated = append([]string{}, a.policy.EscalateTo...)
	case after > 0:
		s.EscalatesAt = a.clock.Asked.Add(after)
	}
	return s
}

// became says what became of the request, for whoever answers it again.
func (a *approval) became() string {
	switch {
	case a.verdict == undecided:
		return fmt.Sprintf("request %s is pending", a.request.ID)
	case a.verdict == expired:
		return fmt.Sprintf("request %s (%s) has expired", a.request.ID, a.request.Action)
	case a.by == "":
		return fmt.Sprintf("request %s (%s) needed no approval", a.request.ID, a.request.Action)
	case a.verdict == approved && len(a.have) > 1:
		return fmt.Sprintf("request %s (%s) was already approved by %s", a.request.ID, a.request.Action, strings.Join(a.have, " and "))
	default:
		return fmt.Sprintf("request %s (%s) was already %s by %s", a.request.ID, a.request.Action, a.verdict, a.by)
	}
}

// clock is how long a decision has been waited for.
type clock struct {
	Asked time.Time `json:"asked"`
	// Reminders counts those that are due no more.
	Reminders int  `json:"reminders,omitzero"`
	Escalated bool `json:"escalated,omitzero"`
}

// due is something to do about a request that nobody has answered.
type due string

const (
	dueExpiry     due = "approval expires"
	dueEscalation due = "escalation"
	dueReminder   due = "reminder"
)

// next is when there is something to do about the unanswered request, and what.
// Of two at a time the expiry comes first, and the escalation before a
// reminder.
func (a *approval) next() (time.Time, due) {
	next, what := a.request.ExpiresAt, dueExpiry
	if every := time.Duration(a.policy.RemindEvery); every > 0 {
		if at := a.clock.Asked.Add(time.Duration(a.clock.Reminders+1) * every); at.Before(next) {
			next, what = at, dueReminder
		}
	}
	if after := time.Duration(a.policy.EscalateAfter); after > 0 && !a.clock.Escalated {
		if at := a.clock.Asked.Add(after); !at.After(next) && at.Before(a.request.ExpiresAt) {
			next, what = at, dueEscalation
		}
	}
	return next, what
}

// pass lets the time of what was due pass. Reminders that were missed while no
// worker ran are not made up for.
func (a *approval) pass(what due, now time.Time) {
	switch what {
	case dueExpiry:
		a.verdict = expired
	case dueEscalation:
		a.clock.Escalated = true
	case dueReminder:
		a.clock.Reminders = int(now.Sub(a.clock.Asked) / time.Duration(a.policy.RemindEvery))
	}
}

// desk is where decisions arrive: the request that is pending, and what became
// of the earlier ones. It is as plain as an approval.
type desk struct {
	// approval is the current request, or the last one; nil before the first.
	approval *approval
	// open says that it waits for a decision.
	open bool
	// decided holds what became of earlier requests, by request ID, and last the
	// latest of them.
	decided map[string]string
	last    string
	// asks counts the requests, so that each has an ID of its own.
	asks int
}

// standing is how the pending request stands; it is zero where there is none.
func (d *desk) standing() report.Asked {
	if !d.open {
		return report.Asked{}
	}
	return d.approval.standing()
}

// answers checks that a decision is about the pending request.
func (d *desk) answers(decision signals.Decision) error {
	if !d.open {
		switch {
		case decision.Request != "" && d.decided[decision.Request] != "":
			return refused(metrics.TooLate, "too late: %s", d.decided[decision.Request])
		case d.last != "":
			return refused(metrics.TooLate, "too late: %s", d.decided[d.last])
		default:
			return refused(metrics.TooEarly, "too early: nothing waits for a decision yet")
		}
	}
	switch pending := d.approval.request.ID; {
	case decision.Request == "" || decision.Request == pending:
		return nil
	case d.decided[decision.Request] != "":
		return refused(metrics.TooLate, "too late: %s; pending is %s", d.decided[decision.Request], pending)
	default:
		return refused(metrics.WrongRequest, "wrong request %q: pending is %s", signals.Clip(decision.Request, maxQuoted), pending)
	}
}

// settle closes the current request, and returns its verdict.
func (d *desk) settle() verdict {
	d.decided[d.approval.request.ID] = d.approval.became()
	d.last = d.approval.request.ID
	d.open = false
	return d.approval.verdict
}
