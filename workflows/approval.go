package workflows

import (
	"errors"
	"fmt"
	"slices"

	"firebreak/internal/incident"
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
	request   signals.Request
	approvers signals.Approvers
	verdict   verdict
	// have are the analysts who approved, by the one whose decision was last.
	have []string
	by   string
}

func newApproval(request signals.Request, mode incident.Mode, approvers signals.Approvers) *approval {
	request.Need = 1
	a := &approval{request: request, approvers: approvers, have: []string{}}
	if mode == incident.ModeNone {
		a.request.Need = 0
		a.verdict = approved
	}
	return a
}

// decide counts one decision, or returns why it does not count. The first valid
// decision stands.
func (a *approval) decide(d signals.Decision, approve bool) error {
	if a.verdict != undecided {
		return fmt.Errorf("too late: %s", a.became())
	}
	if err := entitled(a.approvers, d.Analyst); err != nil {
		return err
	}
	if approve && a.request.Action == actionAmend {
		return errors.New("nothing can be approved while fields are missing: supply them with amend, or reject")
	}
	a.by = d.Analyst
	if !approve {
		a.verdict = rejected
		return nil
	}
	a.have = append(a.have, d.Analyst)
	if len(a.have) >= a.request.Need {
		a.verdict = approved
	}
	return nil
}

// entitled checks that an analyst may decide.
func entitled(approvers signals.Approvers, analyst string) error {
	if approvers.Trust == signals.TrustOpen || approvers.Trust == "" {
		return nil
	}
	// Anything but open is checked, so that a level this version does not know
	// lets nobody in by accident.
	if !slices.Contains(approvers.Analysts, analyst) {
		return fmt.Errorf("analyst %q is not entitled: not in the list of approvers", signals.Clip(analyst, maxQuoted))
	}
	return nil
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
	default:
		return fmt.Sprintf("request %s (%s) was already %s by %s", a.request.ID, a.request.Action, a.verdict, a.by)
	}
}
