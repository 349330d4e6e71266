package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// require makes sure that the incident has the fields an action needs: from the
// event, else from Sysdig, else from an analyst. If they address a host, it makes
// sure that Sysdig knows that host by the same identifiers. It returns approved once
// they are all there.
func (r *response) require(ctx workflow.Context, fields []string) verdict {
	switch r.leg(actionAmend) {
	case behind:
		return approved
	case ahead:
		if v := r.lookFor(ctx, fields, false); v != undecided {
			return v
		}
	case here:
		// It need not be this time that the earlier run asked: see prepare.
		// An empty list is not carried; it must not be nil here, which means that
		// nothing is asked for.
		if r.needed == nil {
			r.needed = append([]string{}, fields...)
		}
	}
	for {
		v := r.wait(ctx)
		r.needed = nil
		if v != approved {
			return v
		}
		// What an analyst supplied may be another host's.
		if v := r.lookFor(ctx, fields, true); v != undecided {
			return v
		}
	}
}

// lookFor checks the fields, looks for those that are missing, and asks an
// analyst for what was not found: it is undecided then whether they will come.
// Again says that an analyst has supplied some.
func (r *response) lookFor(ctx workflow.Context, fields []string, again bool) verdict {
	complete := r.complete(ctx, fields, again)
	switch {
	case complete && !addressesHost(fields):
		return approved
	case complete:
		r.locate(ctx)
		again = true
	case !again && len(r.page.Incident.Missing(fields...)) > 0:
		r.enrich(ctx)
	default: // Sysdig cannot say whether a process is still the same
		again = true
	}
	if r.complete(ctx, fields, again) {
		return approved
	}
	missing := r.missing(fields)
	r.asks++
	request, err := signals.NewRequest(actionAmend, r.page.Incident.Target(), map[string]any{"missing": strings.Join(missing, ", ")}, r.asks)
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindCheck, "fields cannot be asked for: %s", err)
		return rejected
	}
	policy := r.in.Route.Approval
	policy.Mode = incident.ModeOne
	r.approval = newApproval(request, policy, r.in.Approvers, "")
	r.needed = append([]string{}, fields...) // not nil: it is what is asked for
	text := "fields are missing, please amend: " + strings.Join(missing, ", ")
	if r.killing.restate {
		text += fmt.Sprintf(" (process.pid %d is %s)", r.page.Incident.Process.PID, r.age(ctx))
	}
	r.publish(ctx, text, signals.NeedsFields)
	return undecided
}

// complete checks the required fields and, unless it has before, says so.
func (r *response) complete(ctx workflow.Context, fields []string, again bool) bool {
	r.checkProcess(ctx)
	missing := r.missing(fields)
	switch {
	case len(missing) > 0 && !again:
		r.log(ctx, actorFirebreak, signals.KindCheck, "missing: %s", strings.Join(missing, ", "))
	case len(missing) == 0 && !again && len(fields) > 0:
		r.log(ctx, actorFirebreak, signals.KindCheck, "all required fields are there: %s", strings.Join(fields, ", "))
	}
	return len(missing) == 0
}

// enrich fills absent fields from what Sysdig knows of the host, the customer and
// the event. A failure only leaves them missing.
func (r *response) enrich(ctx workflow.Context) {
	var a *activities.Activities
	var found activities.Enrichment
	in := r.hostInput()
	in.EventID = r.page.Incident.ID
	err := r.do(lookup(ctx, "Look the host up in Sysdig"), a.Enrich, in, &found)
	if err != nil {
		r.log(ctx, actorSysdig, signals.KindCheck, "enrichment failed: %s", describe(err))
		return
	}
	filled := r.settleHost(ctx, &found)
	if found.Event != nil {
		filled = append(filled, r.fill(found.Event)...)
	}
	switch {
	case len(filled) > 0:
		r.log(ctx, actorSysdig, signals.KindCheck, "%s: filled %s", found.Note, strings.Join(filled, ", "))
	case found.Conflict == "":
		r.log(ctx, actorSysdig, signals.KindCheck, "nothing to add: %s", found.Note)
	}
}

// amendable checks that fields may be amended now. Once approval was asked for,
// the target is fixed: what is executed is what was approved.
func (r *response) amendable() error {
	if r.page.State != signals.Open && r.page.State != signals.NeedsFields {
		return refused(metrics.TooLate, "too late: the incident is %s, its fields are fixed", r.page.State)
	}
	return nil
}

// amended settles the wait for missing fields once they are all there.
func (r *response) amended(analyst string) {
	if r.needed != nil && len(r.missing(r.needed)) == 0 && r.approval.verdict == undecided {
		r.approval.verdict, r.approval.by = approved, analyst
	}
}
