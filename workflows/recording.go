package workflows

import (
	"strings"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
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
	in := activities.CaptureInput{
		Name:        signals.CaptureName(info.WorkflowExecution.ID, info.FirstRunID, request),
		HostName:    inc.Host.Name,
		MAC:         inc.Host.MAC,
		AgentID:     inc.Host.AgentID,
		CustomerID:  inc.Tenant.ID,
		ContainerID: inc.Container.ID,
		Duration:    options.Duration,
		Filter:      options.Filter,
		Since:       r.openedAt,
		Resumed:     r.reset,
		Claim:       claim,
	}
	r.log(ctx, actorFirebreak, signals.KindCapture, "capturing %s of %s as %s, filter %q", options.Duration, inc.Target(), in.Name, options.Filter)
	if err := r.claiming(&in.Claim, func() error {
		return workflow.ExecuteActivity(queuing(ctx, "Create a capture of "+inc.Target()), a.CreateCapture, in).Get(ctx, &r.capture)
	}); err != nil {
		return err
	}
	r.log(ctx, actorSysdig, signals.KindCapture, "capture %d requested", r.capture.ID)
	if err := workflow.ExecuteActivity(acting(ctx, "Wait for the capture"), a.AwaitCapture, r.capture).Get(ctx, &r.capture); err != nil {
		return err
	}
	r.failed, r.demanded = nil, nil
	r.log(ctx, actorSysdig, signals.KindCapture, "capture %d is done, %d bytes", r.capture.ID, r.capture.Size)
	return nil
}

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
	r.files = append(r.files, file)
	r.page.Evidence = append(r.page.Evidence, file.Name)
	r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindEvidence, "stored %s: %d bytes, SHA-256 %s", file.Name, file.Size, file.SHA256)
	return nil
}

// recordFirst takes and saves a capture before containment, without asking: the
// route did. Evidence is worth trying for, but a threat does not wait for it,
// so what goes wrong is recorded and containment goes on.
func (r *response) recordFirst(ctx workflow.Context) {
	if r.resuming {
		return
	}
	if missing := r.page.Incident.Missing(captureFields()...); len(missing) > 0 {
		r.enrich(ctx)
		if missing = r.page.Incident.Missing(captureFields()...); len(missing) > 0 {
			r.log(ctx, actorFirebreak, signals.KindCapture, "no capture before containment, missing: %s", strings.Join(missing, ", "))
			return
		}
	}
	r.setState(ctx, signals.Capturing)
	err := r.record(ctx, true)
	if err == nil {
		r.setState(ctx, signals.Saving)
		err = r.save(ctx)
	}
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindCapture, "capture before containment failed, going on: %s", describe(err))
	}
}
