package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The playbooks a route may name. They are those of package signals, which
// imports this one.
const (
	playbookCapture     = "capture"
	playbookCryptoMiner = "crypto-miner"
	playbookRespond     = "respond"
)

// The bounds of a system capture; 300 s is Sysdig's own maximum.
const (
	minCapture = Duration(time.Second)
	maxCapture = Duration(300 * time.Second)
)

// RouteError is one thing wrong with one route.
type RouteError struct {
	// Index is the route's place among the routes, and Name its name.
	Index int
	Name  string
	// Field is the key that is wrong, as in YAML: "approval.mode".
	Field string
	// Reason says what was found and what is accepted.
	Reason string
}

// Error names the route, the field and the reason.
func (e *RouteError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("routes[%d]: %s: %s", e.Index, e.Field, e.Reason)
	}
	return fmt.Sprintf("route %q: %s: %s", e.Name, e.Field, e.Reason)
}

// check collects what is wrong with a route as it was written, before its
// defaults are filled. The condition is checked by compiling it.
func (r *Route) check(index int) []error {
	var problems []error
	wrong := func(field, format string, args ...any) {
		problems = append(problems, &RouteError{Index: index, Name: r.Name, Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	if strings.TrimSpace(r.Name) == "" {
		wrong("name", "it is empty; want a name that tells the route from the others")
	}
	switch r.Playbook {
	case playbookCapture, playbookCryptoMiner, playbookRespond:
	default:
		wrong("playbook", "%q: want %s, %s or %s", r.Playbook, playbookCapture, playbookCryptoMiner, playbookRespond)
	}
	for i, path := range r.CorrelateBy {
		if _, known := findField(path); !known {
			wrong(fmt.Sprintf("correlate_by[%d]", i), "%q is no field of an incident; want some of %s", path, strings.Join(FieldPaths(), ", "))
		} else if slices.Index(r.CorrelateBy, path) < i {
			wrong(fmt.Sprintf("correlate_by[%d]", i), "%q is there twice", path)
		}
	}
	if r.MaxSeverity != nil && !r.MaxSeverity.Valid() {
		wrong("max_severity", "%d: want %d..%d", *r.MaxSeverity, WorstSeverity, MildestSeverity)
	}
	if r.CoolDown != nil && *r.CoolDown < 0 {
		wrong("cool_down", "%s: want 0s or more", *r.CoolDown)
	}
	r.checkAction(wrong)
	r.Capture.check(wrong)
	r.Approval.check("approval", DefaultApproval(), wrong)
	r.SaveApproval.check("save_approval", r.Approval.withDefaults(DefaultApproval()), wrong)
	return problems
}

// check reports what can never happen as it is written. It compares durations
// that the route itself states: a default reminder that comes later than a
// short expiry is no mistake of anybody's.
func (a Approval) check(field string, defaults Approval, wrong func(field, format string, args ...any)) {
	switch a.Mode {
	case "", ModeNone, ModeOne, ModeTwo:
	default:
		wrong(field+".mode", "%q: want %s, %s or %s", a.Mode, ModeNone, ModeOne, ModeTwo)
		return
	}
	for _, d := range []struct {
		key   string
		value Duration
	}{{"remind_every", a.RemindEvery}, {"escalate_after", a.EscalateAfter}, {"expire_after", a.ExpireAfter}} {
		if d.value < 0 {
			wrong(field+"."+d.key, "%s: want 0s or more", d.value)
		}
	}
	if a.Mode == ModeNone {
		return
	}
	if expiry := a.withDefaults(defaults).ExpireAfter; a.EscalateAfter > 0 && a.EscalateAfter >= expiry {
		wrong(field+".escalate_after", "%s: want less than expire_after, %s", a.EscalateAfter, expiry)
	}
	if a.ExpireAfter > 0 && a.RemindEvery >= a.ExpireAfter {
		wrong(field+".remind_every", "%s: want less than expire_after, %s", a.RemindEvery, a.ExpireAfter)
	}
}
