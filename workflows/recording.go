package workflows

import (
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// record takes a system capture and waits until it is done. First says that it
// comes before containment, and nobody is asked for it.
func (r *response) record(ctx workflow.Context, first bool) error {
	if r.resuming {
		return nil
	}
	var a *activities.Activities
	info := workflow.GetInfo(ctx)
	inc, options := r.page.Incident, r.in.Route.Capture
	claim, request := r.claim(actionCapture), "capture-first"
	claim.First = first
	if r.approval != nil {
		request = r.approval.request.ID
	}
	name := signals.CaptureName(info.WorkflowExecution.ID, info.FirstRunID, request)
	if options.Backend == incident.BackendResponseAction {
		return r.recordByAction(ctx, name, claim)
	}
	in := activities.CaptureInput{
		Name:        name,
		HostName:    inc.Host.Name,
		MAC:         inc.Host.MAC,
		AgentID:     inc.Host.AgentID,
		CustomerID:  inc.Tenant.ID,
		ContainerID: inc.Container.ID,
		Duration:    options.Duration,
		Filter:      options.Filter,
		Tenant:      r.in.Tenant,
		Since:       r.openedAt,
		Resumed:     r.reset,
		Address:     r.address(),
		Claim:       claim,
	}
	r.log(ctx, actorFirebreak, signals.KindCapture, "capturing %s of %s as %s, filter %q", options.Duration, inc.Target(), in.Name, options.Filter)
	if err := r.claiming(&in.Claim, func() error {
		return workflow.ExecuteActivity(queuing(ctx, "Create a capture of "+inc.Target()), a.CreateCapture, in).Get(ctx, &r.capture)
	}); err != nil {
		countCapture(ctx, r.capture, err)
		return err
	}
	if r.capture.Observed {
		countCapture(ctx, r.capture, nil)
		r.failed, r.demanded = nil, nil
		r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindCapture, "no capture was taken: %s", dryRun)
		return nil
	}
	if now := r.capture.AgentID; now != "" {
		r.log(ctx, actorSysdig, signals.KindCheck, "agent ID %s when it was asked for, %s connected now: the capture was asked of that one", inc.Host.AgentID, now)
		r.page.Incident.Host.AgentID = now
	}
	r.log(ctx, actorSysdig, signals.KindCapture, "capture %d requested", r.capture.ID)
	if err := workflow.ExecuteActivity(acting(ctx, "Wait for the capture"), a.AwaitCapture, r.capture).Get(ctx, &r.capture); err != nil {
		countCapture(ctx, r.capture, err)
		return err
	}
	countCapture(ctx, r.capture, nil)
	r.failed, r.demanded = nil, nil
	r.log(ctx, actorSysdig, signals.KindCapture, "capture %d is done, %d bytes", r.capture.ID, r.capture.Size)
	return nil
}

// recordByAction takes a capture by the response action CAPTURE. Its file goes to
// a storage of the customer's own, under the name given here; how it could be
// had from there is the storage's business.
func (r *response) recordByAction(ctx workflow.Context, name string, claim approvals.Claim) error {
	inc, options := r.page.Incident, r.in.Route.Capture
	action, _ := catalogue.Find(actionCapture)
	parameters, err := action.Fill(map[string]any{
		"capture.remote_storage_configuration_id": options.StorageConfigurationID,
		"capture.duration_ns":                     int64(options.Duration),
		"capture.filters":                         options.Filter,
		"capture.token":                           name,
	}, inc.Lookup)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), activities.ErrRefused, nil)
	}
	var a *activities.Activities
	var done activities.Execution
	in := activities.ActionInput{Action: actionCapture, CallerID: name, Parameters: parameters, Tenant: r.in.Tenant, Resumed: r.reset, Address: r.address(), Claim: claim}
	r.log(ctx, actorFirebreak, signals.KindCapture, "capturing %s of %s as %s, filter %q", options.Duration, inc.Target(), name, options.Filter)
	err = unanswered(r.claiming(&in.Claim, func() error {
		return workflow.ExecuteActivity(acting(ctx, "Capture "+inc.Target()), a.ExecuteAction, in).Get(ctx, &done)
	}))
	countAction(ctx, actionCapture, metrics.Execute, done, err)
	if err != nil {
		return err
	}
	r.failed, r.demanded = nil, nil
	if done.Observed {
		r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindCapture, "no capture was taken: %s", dryRun)
		return nil
	}
	r.announce(ctx, activities.ChangeResult, actorSysdig, signals.KindCapture,
		"CAPTURE %s: execution %s; the file %s is in the storage %s", done.Status, done.ID, name, options.StorageConfigurationID)
	return nil
}

// toSave reports whether there is a capture that Sysdig keeps: one that the
// response action took is in the customer's own storage, and on a dry run there
// is none.
func (r *response) toSave() bool { return r.resuming || r.capture.ID != 0 }

// save streams the capture into the evidence store.
func (r *response) save(ctx workflow.Context) error {
	if r.resuming {
		return nil
	}
	var a *activities.Activities
	in := activities.SaveInput{
		Capture:    r.capture,
		WorkflowID: r.page.WorkflowID,
		RunID:      r.page.RunID,
	}
	if r.approval != nil {
		in.ApprovedBy = r.approval.have
	}
	var file activities.StoredFile
	if err := workflow.ExecuteActivity(acting(ctx, "Save the capture as evidence"), a.SaveCapture, in).Get(ctx, &file); err != nil {
		return err
	}
	r.failed, r.demanded = nil, nil
	r.keep(ctx, metrics.OfCapture, file)
	return nil
}

// recordFirst takes and saves a capture before containment, without asking: the
// route did. Evidence is worth trying for, but a threat does not wait for it,
// so what goes wrong is recorded and containment goes on.
func (r *response) recordFirst(ctx workflow.Context) {
	if r.resuming {
		return
	}
	if missing := r.page.Incident.Missing(captureFields(r.in.Route.Capture)...); len(missing) > 0 {
		r.enrich(ctx)
		if missing = r.page.Incident.Missing(captureFields(r.in.Route.Capture)...); len(missing) > 0 {
			r.log(ctx, actorFirebreak, signals.KindCapture, "no capture before containment, missing: %s", strings.Join(missing, ", "))
			return
		}
	}
	r.setState(ctx, signals.Capturing)
	err := r.record(ctx, true)
	if err == nil && r.toSave() {
		r.setState(ctx, signals.Saving)
		err = r.save(ctx)
	}
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindCapture, "capture before containment failed, going on: %s", describe(err))
	}
}
