package workflows

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// A process ID is used again. KILL_PROCESS therefore depends on how old the
// statement is that a process has it: the event's, or that of a person who gave the
// ID since. Beyond the route's limit the ID counts as missing, and an analyst is
// asked to state it again.

// fieldPID is the field that is stated again.
const fieldPID = "process.pid"

// killing is what an incident knows of the age of its process.
type killing struct {
	// statedAt is when a person stated the process last, zero for never.
	statedAt time.Time
	// restate is set while an analyst is asked to state the process again, and late
	// once one was.
	restate, late bool
}

// seenAt returns when the process was last known to have its ID; zero if that is
// not known.
func (r *response) seenAt() time.Time {
	switch at := r.page.Incident.OccurredAt; {
	case !r.killing.statedAt.IsZero():
		return r.killing.statedAt
	case at.After(r.openedAt): // by a clock that is ahead
		return r.openedAt
	default:
		return at
	}
}

// maxProcessAge is the route's limit.
func (r *response) maxProcessAge() time.Duration {
	return time.Duration(cmp.Or(r.in.Route.MaxProcessAge, incident.DefaultMaxProcessAge))
}

// outdated reports whether the process to kill was stated too long ago.
func (r *response) outdated(ctx workflow.Context) bool {
	if r.action != actionKillProcess || r.resuming {
		return false
	}
	at := r.seenAt()
	return at.IsZero() || workflow.Now(ctx).Sub(at) > r.maxProcessAge()
}

// age says how old the statement about the process is.
func (r *response) age(ctx workflow.Context) string {
	at := r.seenAt()
	if at.IsZero() {
		return "of unknown age: the event has no time"
	}
	return fmt.Sprintf("%s old", max(0, workflow.Now(ctx).Sub(at)).Round(time.Second))
}

// checkProcess has the process stated again if it is too old.
func (r *response) checkProcess(ctx workflow.Context) {
	if r.killing.restate || !r.outdated(ctx) {
		return
	}
	r.killing.restate, r.killing.late = true, true
	r.log(ctx, actorFirebreak, signals.KindCheck,
		"process.pid %d is %s, more than %s: another process may have it by now. Amend process.pid to state it again",
		r.page.Incident.Process.PID, r.age(ctx), r.maxProcessAge())
}

// missing lists the fields that are absent, and the process if it is to be stated
// again.
func (r *response) missing(fields []string) []string {
	missing := r.page.Incident.Missing(fields...)
	if r.killing.restate && !slices.Contains(missing, fieldPID) {
		missing = append(missing, fieldPID)
	}
	return missing
}

// restated takes the process that an amendment states. Another process ID makes it
// another process, of which the rest is not known.
func (r *response) restated(inc *incident.Incident, amendment signals.Amendment) {
	pid, start := string(amendment.Fields[fieldPID]), string(amendment.Fields["process.start_time"])
	if !r.killing.restate {
		return
	}
	var stated incident.Incident
	switch {
	case pid != "" && (stated.SetField(fieldPID, pid) != nil || stated.Process.PID != inc.Process.PID):
		inc.Process = incident.Process{}
	case start != "":
		inc.Process.StartTime = 0
	}
}

// stated notes when a person stated the process.
func (r *response) stated(ctx workflow.Context, path string) {
	if path == fieldPID || path == "process.start_time" {
		r.killing.statedAt, r.killing.restate = workflow.Now(ctx), false
	}
}

// fillProcess completes the parameters of KILL_PROCESS: the process that an analyst
// stated again, and its start time where the event has it and nothing else gives it.
func (r *response) fillProcess(ctx workflow.Context, given map[string]any) {
	if r.action != actionKillProcess {
		return
	}
	process := r.page.Incident.Process
	r.parameters = maps.Clone(r.parameters) // those of an earlier request stay
	if r.killing.late {
		r.parameters["process.id"] = process.PID
	}
	if given["startTime"] != nil || fmt.Sprint(r.parameters["process.id"]) != fmt.Sprint(process.PID) {
		return
	}
	r.parameters["startTime"] = r.startTime(ctx, process.StartTime)
}

// startTime is the start of a process in the unit of the parameter, -1 if it is not
// known: Sysdig then does not check it.
func (r *response) startTime(ctx workflow.Context, nanoseconds int64) int64 {
	if nanoseconds == 0 {
		return -1
	}
	var a *activities.Activities
	var start activities.ProcessStart
	in := activities.ProcessStartInput{StartTime: nanoseconds, Tenant: r.in.Tenant}
	if err := askWorker(ctx, r.do, "Find the unit of startTime", a.FindProcessStart, in, &start); err != nil {
		r.log(ctx, actorSysdig, signals.KindCheck, "startTime is -1, its unit is not known: %s", describe(err))
		return -1
	}
	if start.Unit == "" {
		r.log(ctx, actorSysdig, signals.KindCheck, "startTime is -1: Sysdig's catalogue does not name its unit")
	}
	return start.Value
}

// restateProcess asks an analyst to state the process again, instead of an action
// that was approved too long after it was seen. It returns how the incident ends if
// that is not done.
func (r *response) restateProcess(ctx workflow.Context, action *catalogue.Action) signals.State {
	r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindAction, "%s was not carried out: process.pid %d is %s",
		action.Name, r.page.Incident.Process.PID, r.age(ctx))
	r.killing.restate, r.killing.late = true, true
	if v := r.require(ctx, nil); v != approved {
		return v.outcome()
	}
	r.fillProcess(ctx, nil)
	return ""
}

// isOutdated reports whether the worker did not kill a process because it was
// stated too long ago.
func isOutdated(err error) bool { return applicationErrorType(err) == activities.ErrOutdated }
