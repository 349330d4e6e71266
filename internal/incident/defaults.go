package incident

import (
	"cmp"
	"slices"
	"time"
)

// What a route leaves out.
const (
	defaultRemindEvery = Duration(15 * time.Minute)
	defaultExpireAfter = Duration(24 * time.Hour)
	defaultCapture     = Duration(15 * time.Second)
	defaultCoolDown    = Duration(30 * time.Second)
)

// DefaultMaxProcessAge is shorter than a busy host is likely to take to use a process
// ID again.
const DefaultMaxProcessAge = Duration(time.Hour)

// DefaultApproval asks one analyst, reminds every 15 minutes, does not
// escalate, and denies after 24 hours.
func DefaultApproval() Approval {
	return Approval{Mode: ModeOne, RemindEvery: defaultRemindEvery, ExpireAfter: defaultExpireAfter}
}

// DefaultCorrelateBy tells incidents apart by their container and its host.
func DefaultCorrelateBy() []string { return []string{"host.name", "container.id"} }

// WithDefaults is the route with everything filled that it leaves out. What an
// approval leaves out is as in [DefaultApproval], what a save approval leaves
// out as in the approval.
func (r Route) WithDefaults() Route {
	if len(r.CorrelateBy) == 0 {
		r.CorrelateBy = DefaultCorrelateBy()
	}
	r.CorrelateBy = slices.Clone(r.CorrelateBy)
	r.Approval = r.Approval.withDefaults(DefaultApproval())
	r.SaveApproval = r.SaveApproval.withDefaults(r.Approval)
	r.Capture.Duration = cmp.Or(r.Capture.Duration, defaultCapture)
	r.Capture.Scope = cmp.Or(r.Capture.Scope, ScopeContainer)
	if r.CoolDown == nil {
		coolDown := defaultCoolDown
		r.CoolDown = &coolDown
	}
	if r.Playbook == playbookRespond {
		r.Action = cmp.Or(r.Action, ActionAuto)
	}
	if r.mayKillProcess() {
		r.MaxProcessAge = cmp.Or(r.MaxProcessAge, DefaultMaxProcessAge)
	}
	return r
}

// withDefaults fills what a leaves out from d. Mode none keeps its durations: a
// playbook that may act without asking still asks when a field is missing or
// an action failed. A default reminder or escalation that would come after the
// expiry is left out.
func (a Approval) withDefaults(d Approval) Approval {
	if d.Mode == ModeNone && !a.isZero() {
		d.Mode = ModeOne // whoever writes down how to be asked wants to be asked
	}
	a.Mode = cmp.Or(a.Mode, d.Mode)
	if len(a.Groups) == 0 {
		a.Groups = d.Groups
	}
	if len(a.EscalateTo) == 0 {
		a.EscalateTo = d.EscalateTo
	}
	a.ExpireAfter = cmp.Or(a.ExpireAfter, d.ExpireAfter)
	if a.RemindEvery == 0 && d.RemindEvery < a.ExpireAfter {
		a.RemindEvery = d.RemindEvery
	}
	if a.EscalateAfter == 0 && d.EscalateAfter < a.ExpireAfter {
		a.EscalateAfter = d.EscalateAfter
	}
	return a
}

// isZero reports whether nothing was written down.
func (a Approval) isZero() bool {
	return a.Mode == "" && len(a.Groups) == 0 && a.RemindEvery == 0 && a.EscalateAfter == 0 &&
		len(a.EscalateTo) == 0 && a.ExpireAfter == 0
}
