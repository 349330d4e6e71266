package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// prepare finds out what the chosen action needs, and fills its parameters. When
// that cannot be, it says how the incident ends.
func (r *response) prepare(ctx workflow.Context) (action *catalogue.Action, stop signals.State) {
	action, err := r.find(ctx)
	if err != nil {
		return nil, r.unprepared(ctx, err)
	}
	if v := r.require(ctx, actionFields(action, &r.in.Route, &r.page.Incident)); v != approved {
		return nil, v.outcome()
	}
	if r.resuming {
		return action, "" // what was filled was carried
	}
	given, absent, err := r.evaluate(ctx, action)
	if err != nil {
		return nil, r.unprepared(ctx, err)
	}
	// An expression that found nothing leaves the parameter to the incident, whose
	// fields an analyst can supply. A host that one names is compared with the event's.
	named := r.giveHost(ctx, action, given)
	fields := r.page.Incident.Missing(action.Fields(expressions(given))...)
	if named {
		fields = append(fields, "host.id")
	}
	if len(fields) > 0 {
		if v := r.require(ctx, fields); v != approved {
			return nil, v.outcome()
		}
	}
	if r.parameters, err = action.Fill(given, r.page.Incident.Lookup); err != nil {
		return nil, r.unprepared(ctx, errors.Join(err, absent))
	}
	if err := scopeCapture(action.Name, r.in.Route.Capture, given, r.parameters); err != nil {
		return nil, r.unprepared(ctx, err)
	}
	r.fillProcess(ctx, given)
	return action, ""
}

// unprepared ends an incident whose action cannot even be asked for.
func (r *response) unprepared(ctx workflow.Context, err error) signals.State {
	r.failure(ctx, r.action, temporal.NewNonRetryableApplicationError(err.Error(), activities.ErrRefused, nil))
	return signals.Failed
}

// find is the chosen action in the catalogue, or else in Sysdig's own.
func (r *response) find(ctx workflow.Context) (*catalogue.Action, error) {
	if action, known := catalogue.Find(r.action); known {
		return action, nil
	}
	if r.described == nil {
		var a *activities.Activities
		in := activities.DescribeInput{Action: r.action, Tenant: r.in.Tenant}
		if err := r.do(lookup(ctx, "Look "+r.action+" up in Sysdig's catalogue"), a.DescribeAction, in, &r.described); err != nil {
			return nil, errors.New(describe(err))
		}
		r.log(ctx, actorSysdig, signals.KindCheck, "%s is in Sysdig's catalogue of actions", r.action)
	}
	return r.described, nil
}

// evaluate is what the route's expressions say of the incident, and what they
// found nothing for. A value that goes where an analyst could also supply one has the
// shape that is demanded of analysts, or it was not found. Expressions that cannot be evaluated at all are an error:
// what the incident has instead may be another target than the route wants.
func (r *response) evaluate(ctx workflow.Context, action *catalogue.Action) (given map[string]any, absent, err error) {
	if len(r.in.Route.Parameters) == 0 {
		return nil, nil, nil
	}
	var a *activities.Activities
	var found activities.Evaluation
	in := activities.EvaluateInput{Expressions: r.in.Route.Parameters, Incident: r.page.Incident}
	const summary = "Evaluate the route's parameters"
	if err := askWorker(ctx, r.do, summary, a.Evaluate, in, &found); err != nil {
		return nil, nil, errors.New(describe(err))
	}
	if found.Absent != "" {
		r.log(ctx, actorFirebreak, signals.KindCheck, "not in the event: %s", found.Absent)
		absent = errors.New(found.Absent)
	}
	for _, name := range workflow.DeterministicKeys(found.Values) {
		p, _ := action.Parameter(name)
		if !incident.Amendable(p.From) {
			continue
		}
		probe := r.page.Incident
		if err := probe.SetField(p.From, fmt.Sprint(found.Values[name])); err != nil {
			r.log(ctx, actorFirebreak, signals.KindCheck, "the route's %s cannot be used: %s", name, err)
			absent = errors.Join(absent, fmt.Errorf("parameter %s: %w", name, err))
			delete(found.Values, name)
			continue
		}
		found.Values[name], _ = probe.Field(p.From)
	}
	return found.Values, absent, nil
}

// expressions stands for values that are given, by their names.
func expressions(given map[string]any) map[string]string {
	names := map[string]string{}
	for _, name := range workflow.DeterministicKeys(given) {
		names[name] = ""
	}
	return names
}
