package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// Captures that an agent did not take because it had another one, as it has while a
// policy's capture is uploaded, are taken again: at most captureTries times in all,
// after a wait that doubles. That is about half an hour; where containment waits for
// it, hurriedTries and less than a minute.
const (
	captureTries = 7
	hurriedTries = 3
	firstWait    = 30 * time.Second
	hurriedWait  = 15 * time.Second
)

// record takes a system capture and waits until it is done. First says that it
// comes before containment, and no approval is asked for it. A capture that can be
// taken again is, under a new name.
func (r *response) record(ctx workflow.Context, first bool) error {
	if r.resuming {
		return nil
	}
	tries, wait := captureTries, firstWait
	if first {
		tries, wait = hurriedTries, hurriedWait
	}
	for try := 1; ; try++ {
		err := r.recordOnce(ctx, first, try)
		if applicationErrorType(err) != activities.ErrCaptureBusy || try == tries {
			return err
		}
		r.log(ctx, actorSysdig, signals.KindCapture, "%s; the capture is taken again in %s (%d of %d)", describe(err), wait, try+1, tries)
		timer := workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: "the capture is taken again"})
		if err := timer.Get(ctx, nil); err != nil {
			return err
		}
		wait *= 2
	}
}

// recordOnce takes a system capture once.
func (r *response) recordOnce(ctx workflow.Context, first bool, try int) error {
	var a *activities.Activities
	info := workflow.GetInfo(ctx)
	inc, options := r.page.Incident, r.in.Route.Capture
	claim, request := r.claim(actionCapture), "capture-first"
	claim.First = first
	if r.approval != nil {
		request = r.approval.request.ID
	}
	if try > 1 {
		request += fmt.Sprintf("/%d", try)
	}
	name := signals.CaptureName(info.WorkflowExecution.ID, info.FirstRunID, request)
	container := options.CapturedContainer(&inc)
	target := captureTarget(&inc, options)
	filter, err := incident.ScopedFilter(container, options.Filter)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), activities.ErrRefused, nil)
	}
	r.log(ctx, actorFirebreak, signals.KindCapture, "capturing %s of %s as %s, filter %q", options.Duration, target, name, filter)
	if options.Backend == incident.BackendResponseAction {
		return r.recordByAction(ctx, name, container, filter, claim)
	}
	in := activities.CaptureInput{
		Name:        name,
		HostName:    inc.Host.Name,
		MAC:         inc.Host.MAC,
		AgentID:     inc.Host.AgentID,
		CustomerID:  inc.Tenant.ID,
		ContainerID: container,
		Duration:    options.Duration,
		Filter:      filter,
		Turn:        activities.TurnOf(r.in.Tenant, inc.Host),
		Tenant:      r.in.Tenant,
		Since:       r.openedAt,
		Resumed:     r.reset,
		Address:     r.address(),
		Claim:       claim,
	}
	if err := r.claiming(&in.Claim, func() error {
		return r.do(patient(ctx, turnDeadline(first), "Create a capture of "+target), a.CreateCapture, in, &r.capture)
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
	awaited := activities.AwaitInput{Capture: r.capture, Duration: options.Duration, Turn: in.Turn, Hurried: first}
	deadline := captureDeadline
	if first {
		deadline = actDeadline
	}
	if err := r.do(patient(ctx, deadline, "Wait for the capture"), a.AwaitCapture, awaited, &r.capture); err != nil {
		countCapture(ctx, r.capture, err)
		return err
	}
	countCapture(ctx, r.capture, nil)
	r.failed, r.demanded = nil, nil
	r.log(ctx, actorSysdig, signals.KindCapture, "capture %d is done, %d bytes", r.capture.ID, r.capture.Size)
	return nil
}

// turnDeadline is how long a capture may wait for its host's turn.
func turnDeadline(first bool) time.Duration {
	if first {
		return hurryDeadline
	}
	return queueDeadline
}

// recordByAction takes a capture by the response action CAPTURE. Its file goes to
// a storage of the customer's own, under the name given here; how it could be
// had from there is the storage's business.
func (r *response) recordByAction(ctx workflow.Context, name, container, filter string, claim approvals.Claim) error {
	inc, options := r.page.Incident, r.in.Route.Capture
	action, _ := catalogue.Find(actionCapture)
	parameters, err := action.Fill(map[string]any{
		"capture.remote_storage_configuration_id": options.StorageConfigurationID,
		"capture.duration_ns":                     int64(options.Duration),
		"capture.filters":                         filter,
		"capture.token":                           name,
	}, inc.Lookup)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), activities.ErrRefused, nil)
	}
	if container == "" {
		delete(parameters, paramContainer)
	}
	var a *activities.Activities
	var done activities.Execution
	in := activities.ActionInput{
		Action: actionCapture, CallerID: name, Parameters: parameters, Tenant: r.in.Tenant, Since: r.openedAt, Resumed: r.reset, Address: r.address(), Claim: claim,
	}
	err = unanswered(r.claiming(&in.Claim, func() error {
		return r.do(patient(ctx, turnDeadline(claim.First), "Capture "+captureTarget(&inc, options)), a.ExecuteAction, in, &done)
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

// Parameters of the response action CAPTURE.
const (
	paramContainer = "container.id"
	paramFilters   = "capture.filters"
)

// scopeCapture restricts a response action CAPTURE to its container by its filter,
// too: what the parameter container.id restricts is not described. Where the whole
// host is to be recorded only a container that was given stays.
func scopeCapture(action string, options incident.CaptureOptions, given, parameters map[string]any) error {
	if action != actionCapture {
		return nil
	}
	if options.Scope == incident.ScopeHost && given[paramContainer] == nil {
		delete(parameters, paramContainer)
	}
	container, _ := parameters[paramContainer].(string)
	wanted, _ := parameters[paramFilters].(string)
	filter, err := incident.ScopedFilter(container, wanted)
	if err == nil && filter != "" {
		parameters[paramFilters] = filter
	}
	return err
}

// toSave reports whether there is a capture that Sysdig keeps: one that the
// response action took is in the customer's own storage, and on a dry run there
// is none.
func (r *response) toSave() bool { return r.resuming || r.capture.ID != 0 }

// save streams the capture into the evidence store. First says that containment
// waits for it.
func (r *response) save(ctx workflow.Context, first bool) error {
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
	deadline := saveDeadline
	if first {
		deadline = actDeadline
	}
	var file activities.StoredFile
	if err := r.do(patient(ctx, deadline, "Save the capture as evidence"), a.SaveCapture, in, &file); err != nil {
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
	if missing := r.page.Incident.Missing(captureFields(r.in.Route.Capture, &r.page.Incident)...); len(missing) > 0 {
		r.enrich(ctx)
		if missing = r.page.Incident.Missing(captureFields(r.in.Route.Capture, &r.page.Incident)...); len(missing) > 0 {
			r.log(ctx, actorFirebreak, signals.KindCapture, "no capture before containment, missing: %s", strings.Join(missing, ", "))
			return
		}
	}
	r.setState(ctx, signals.Capturing)
	err := r.record(ctx, true)
	if err == nil && r.toSave() {
		r.setState(ctx, signals.Saving)
		err = r.save(ctx, true)
	}
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindCapture, "capture before containment failed, going on: %s", describe(err))
	}
}
