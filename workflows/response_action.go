package workflows

import (
	"cmp"
	"errors"
	"fmt"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// ResponseAction carries out one action, or takes one system capture, that
// somebody asks for by hand. It is the counterpart of the commands
// !execute-response-action and !create-system-capture of Sysdig's Cortex XSOAR
// pack, which act at once.
//
// An outcome of contained says that the action was carried out, which may have
// been to take an earlier one back.
func ResponseAction(ctx workflow.Context, in signals.ManualInput) (signals.Page, error) {
	r, err := requested(ctx, in)
	if err != nil {
		return signals.Page{}, err
	}

	// 1. Find out who may decide, and what the incident knows that it is about.
	// 2. Check the parameters; look up what is missing, or ask for it.
	carryOut, stop := r.admit(ctx, in)
	if stop != "" {
		return r.close(ctx, stop)
	}
	r.tell(ctx, in.Incident, "%s asks for it: %s", r.requester, in.Reason)

	// 3. Ask approval, of somebody else. 4. Carry it out. 5. Report.
	page, err := carryOut()
	if ctx.Err() == nil {
		r.tell(ctx, in.Incident, "%s", page.Outcome)
	}
	return page, err
}

// requested begins a manual action. Before the worker has said who may decide
// nobody may.
func requested(ctx workflow.Context, in signals.ManualInput) (*response, error) {
	if err := in.Check(); err != nil {
		return nil, temporal.NewNonRetryableApplicationError(err.Error(), "bad-input", nil)
	}
	r, err := begin(ctx, signals.Input{
		Approvers: signals.Approvers{Trust: signals.TrustVerified}, Tenant: in.Tenant,
	}, signals.PlaybookManual)
	if err != nil {
		return nil, err
	}
	r.requester, r.action, r.forced = in.Requester, in.Action, in.Force
	r.page.Incident.ID = r.page.WorkflowID
	return r, nil
}

// admit learns what the worker knows, and checks what was asked for. It returns
// how it is carried out or, when it cannot be, how it ends.
func (r *response) admit(ctx workflow.Context, in signals.ManualInput) (carryOut func() (signals.Page, error), stop signals.State) {
	var a *activities.Activities
	var known activities.Manual
	if err := r.do(lookup(ctx, "Find out who may decide"), a.PrepareManual, in, &known); err != nil {
		return nil, r.unprepared(ctx, errors.New(describe(err)))
	}
	r.in.Approvers, r.in.Route.Approval, r.in.Notify = known.Approvers, known.Approval, known.Notify
	r.in.Tenant, r.page.Tenant, r.requester = known.Tenant, known.Tenant, known.Requester
	r.notifier(ctx)
	if known.Incident != nil {
		r.page.Incident = *known.Incident
	}
	defer r.refresh(ctx)
	r.announce(ctx, activities.ChangeOpened, r.requester, signals.KindEvent, "asks for %s%s", in.Action, because(in.Reason))
	switch {
	case in.Undo != "":
		return func() (signals.Page, error) { return r.undoByHand(ctx, in) }, ""
	case in.Capture != nil:
		return r.admitCapture(ctx, in)
	default:
		return r.admitAction(ctx, in)
	}
}

// admitAction fills the parameters of a response action.
func (r *response) admitAction(ctx workflow.Context, in signals.ManualInput) (carryOut func() (signals.Page, error), stop signals.State) {
	action, err := r.find(ctx)
	if err != nil {
		return nil, r.unprepared(ctx, err)
	}
	given, err := r.give(action, in.Parameters)
	if err != nil {
		return nil, r.unprepared(ctx, err)
	}
	if in.Parameters["process.id"] != "" || in.Parameters[fieldPID] != "" {
		r.stated(ctx, fieldPID)
	}
	delete(given, "host.id") // it is the incident's now, and compared with the connected agents
	if v := r.require(ctx, addressed(action, expressions(given), &r.page.Incident)); v != approved {
		return nil, v.outcome()
	}
	if r.parameters, err = action.Fill(given, r.page.Incident.Lookup); err != nil {
		return nil, r.unprepared(ctx, err)
	}
	if err := scopeCapture(action.Name, r.in.Route.Capture, given, r.parameters); err != nil {
		return nil, r.unprepared(ctx, err)
	}
	r.fillProcess(ctx, given)
	return func() (signals.Page, error) { return r.actByHand(ctx, action) }, ""
}

// admitCapture makes sure that the host is known.
func (r *response) admitCapture(ctx workflow.Context, in signals.ManualInput) (carryOut func() (signals.Page, error), stop signals.State) {
	if _, err := r.give(&catalogue.Action{Name: actionCapture}, in.Parameters); err != nil {
		return nil, r.unprepared(ctx, err)
	}
	r.in.Route.Capture = *in.Capture
	r.in.Route = r.in.Route.WithDefaults()
	if v := r.require(ctx, captureFields(r.in.Route.Capture, &r.page.Incident)); v != approved {
		return nil, v.outcome()
	}
	return func() (signals.Page, error) { return r.captureByHand(ctx) }, ""
}

// give sorts what was given into the action's parameters and the fields of the
// incident that others are taken from. A parameter also sets the field it would
// have come from, so that everybody sees what is really meant, and the incident
// supplies nothing of another target than is meant.
func (r *response) give(action *catalogue.Action, values map[string]signals.Scalar) (map[string]any, error) {
	given := map[string]any{}
	names := workflow.DeterministicKeys(values)
	settings := make([]incident.Setting, len(names))
	for i, name := range names {
		settings[i] = incident.Setting{Path: name, Value: string(values[name])}
		if p, is := action.Parameter(name); is {
			given[name], settings[i].Path = settings[i].Value, p.From
		}
	}
	var problems []error
	for i, err := range r.page.Incident.Retarget(settings) {
		name, path := names[i], settings[i].Path
		switch _, is := given[name]; {
		case err != nil && !is:
			problems = append(problems, fmt.Errorf("parameters: %s has no parameter %q: %w", action.Name, name, err))
		case err != nil && incident.Amendable(path):
			problems = append(problems, fmt.Errorf("parameters: %s: %w", name, err))
		case err == nil && is:
			given[name], _ = r.page.Incident.Field(path) // in the shape of its kind
		}
	}
	r.page.Incident.ID = cmp.Or(r.page.Incident.ID, r.page.WorkflowID)
	return given, errors.Join(problems...)
}

// actByHand asks for a response action, and carries it out.
func (r *response) actByHand(ctx workflow.Context, action *catalogue.Action) (signals.Page, error) {
	if stop := r.carryOut(ctx, action); stop != "" {
		return r.close(ctx, stop)
	}
	if action.Class == catalogue.DataGathering {
		r.fetch(ctx, action)
		return r.close(ctx, signals.Captured)
	}
	return r.close(ctx, signals.Contained)
}

// captureByHand asks for a system capture, takes it, and saves it: who asked for
// it wants the file.
func (r *response) captureByHand(ctx workflow.Context) (signals.Page, error) {
	for {
		if v := r.ask(ctx, captureRequest(r.page.Incident, r.in.Route.Capture), r.in.Route.Approval); v != approved {
			return r.close(ctx, r.deniedOutcome(v))
		}
		r.setState(ctx, signals.Capturing)
		if err := r.record(ctx, false); err != nil {
			r.failure(ctx, actionCapture, err)
			if v := r.relocate(ctx, err, captureFields(r.in.Route.Capture, &r.page.Incident)); v != approved {
				return r.close(ctx, v.outcome())
			}
			continue
		}
		break
	}
	if !r.toSave() {
		return r.close(ctx, signals.Captured)
	}
	for {
		r.setState(ctx, signals.Saving)
		err := r.save(ctx, false)
		if err == nil {
			return r.close(ctx, signals.Captured)
		}
		r.failure(ctx, actionSaveCapture, err)
		if v := r.ask(ctx, saveRequest(r.page.Incident, r.capture), r.in.Route.Approval); v != approved {
			return r.close(ctx, r.deniedOutcome(v))
		}
	}
}

// undoByHand asks whether to take an earlier action back, and does it.
func (r *response) undoByHand(ctx workflow.Context, in signals.ManualInput) (signals.Page, error) {
	r.page.Actions = []signals.Executed{{Action: in.Action, ExecutionID: in.Undo, At: workflow.Now(ctx).UTC()}}
	for {
		if v := r.ask(ctx, undoRequest(r.page.Incident, r.lastAction()), r.in.Route.Approval); v != approved {
			return r.close(ctx, r.deniedOutcome(v))
		}
		err := r.during(ctx, signals.Containing, func(ctx workflow.Context) error { return r.undo(ctx, r.approval.have...) })
		if err == nil {
			return r.close(ctx, signals.Contained)
		}
		r.failed = err
		if isWithheld(err) {
			r.withhold(err)
		}
	}
}

// tell tells an incident of the manual action that is about it. An incident that
// is closed hears nothing any more.
func (r *response) tell(ctx workflow.Context, workflowID, format string, args ...any) {
	if workflowID == "" {
		return
	}
	telling := signals.Telling{Action: r.page.WorkflowID, Text: r.action + ": " + fmt.Sprintf(format, args...)}
	if err := workflow.SignalExternalWorkflow(ctx, workflowID, "", signals.Told, telling).Get(ctx, nil); err != nil {
		r.log(ctx, actorFirebreak, signals.KindCheck, "%s was not told: %s", workflowID, describe(err))
	}
}

// addTelling writes what a manual action says of itself into the war room. It is
// a note: whoever can send signals can send one, so it says nothing that counts.
func (r *response) addTelling(ctx workflow.Context, raw converter.RawValue) {
	told, err := signals.DecodeTelling(raw)
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindRefused, "%s did not count: %s", signals.Told, err)
		return
	}
	r.log(ctx, told.Action, signals.KindNote, "%s", told.Text)
}
