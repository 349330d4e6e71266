package workflows

import (
	"cmp"
	"maps"

	"go.temporal.io/sdk/workflow"

	"firebreak/internal/catalogue"
	"firebreak/signals"
)

// Respond answers a detection with a response action that its route names, any
// of the catalogue, or with the one that fits what the incident carries. It is
// the playbook for everything that needs no Go.
func Respond(ctx workflow.Context, in signals.Input) (signals.Page, error) {
	r, err := open(ctx, in, signals.PlaybookRespond)
	if err != nil {
		return signals.Page{}, err
	}
	// 1. Check the severity.
	if !r.severe(ctx) {
		return r.close(ctx, signals.BelowThreshold)
	}

	// 2. Choose the action, once. Check the fields that its parameters need; enrich,
	// or ask an analyst.
	r.action = cmp.Or(r.action, choose(&r.in.Route, &r.page.Incident))
	action, stop := r.prepare(ctx)
	if stop != "" {
		return r.close(ctx, stop)
	}

	// 3. to 7. as in CryptoMiner.
	return r.contain(ctx, action)
}

// contain carries out a response action that was prepared, and ends the incident.
func (r *response) contain(ctx workflow.Context, action *catalogue.Action) (signals.Page, error) {
	// Take evidence before it is destroyed, where the route says so.
	if r.in.Route.CaptureFirst {
		r.recordFirst(ctx)
	}
	for {
		// Ask approval, naming the exact action and target. Execute it, and follow the
		// execution to its end.
		if stop := r.carryOut(ctx, action); stop != "" {
			return r.close(ctx, stop)
		}
		if action.Class == catalogue.DataGathering {
			// It took something, and left the target as it is: there is nothing to watch.
			r.fetch(ctx, action)
			return r.close(ctx, signals.Captured)
		}
		// Undo it after a while, unless an analyst confirms it, where the route says so.
		if ends := r.confirm(ctx, action); ends != "" {
			return r.close(ctx, ends)
		}
		// Watch for the same detection, and ask again if it returns.
		if r.returns(ctx) {
			continue
		}
		// Report, unless the detection returns meanwhile.
		if page, err := r.close(ctx, signals.Contained); !r.reopens(ctx) {
			return page, err
		}
	}
}

// carryOut asks for a response action that was prepared, and executes it once it is
// approved; after a failure it asks again. It returns how the incident ends when
// it was not carried out.
func (r *response) carryOut(ctx workflow.Context, action *catalogue.Action) (stop signals.State) {
	for {
		q := containRequest(action.Name, r.parameters, r.page.Incident)
		if action.Name == actionKillProcess {
			q.seenAt = r.seenAt()
			q.text += ", " + r.age(ctx)
		}
		if v := r.ask(ctx, q, r.in.Route.Approval); v != approved {
			return r.deniedOutcome(v)
		}
		var err error
		outdated := r.outdated(ctx) // the approval took long
		if !outdated {
			if err = r.during(ctx, stateOf(action), r.execute); err == nil {
				return ""
			}
		}
		if outdated || isOutdated(err) { // or no worker came to it in time
			if stop := r.restateProcess(ctx, action); stop != "" {
				return stop
			}
			continue
		}
		r.failure(ctx, action.Name, err)
		if isProtected(err) {
			return signals.Rejected
		}
		if v := r.relocate(ctx, err, []string{"host.id"}); v != approved {
			return v.outcome()
		}
		if isElsewhere(err) {
			r.parameters = maps.Clone(r.parameters)
			r.parameters["host.id"] = r.page.Incident.Host.ID
		}
	}
}

// stateOf is where an incident stands while an action is carried out.
func stateOf(action *catalogue.Action) signals.State {
	if action.Class == catalogue.DataGathering {
		return signals.Capturing
	}
	return signals.Containing
}
