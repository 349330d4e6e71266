package workflows

import (
	"go.temporal.io/sdk/workflow"

	"firebreak/signals"
)

// Capture takes a system capture of the incident's host, for later analysis.
// Its counterpart is the playbook "Sysdig Trigger System Capture" of Sysdig's
// Cortex XSOAR pack, which needs a container and does not wait for the capture.
func Capture(ctx workflow.Context, in signals.Input) (signals.Page, error) {
	r, err := open(ctx, in, signals.PlaybookCapture)
	if err != nil {
		return signals.Page{}, err
	}
	route := r.in.Route

	// 1. Check the fields the capture needs; enrich, or ask an analyst.
	if v := r.require(ctx, captureFields(route.Capture, &r.page.Incident)); v != approved {
		return r.close(ctx, v.outcome())
	}

	for {
		// 2. Ask approval to capture.
		if v := r.ask(ctx, captureRequest(r.page.Incident, route.Capture), route.Approval); v != approved {
			return r.close(ctx, r.deniedOutcome(v))
		}
		// 3. Create the capture. 4. Poll until it is done.
		r.setState(ctx, signals.Capturing)
		if err := r.record(ctx, false); err != nil {
			r.failure(ctx, actionCapture, err)
			if v := r.relocate(ctx, err, captureFields(route.Capture, &r.page.Incident)); v != approved {
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
		// 5. Ask approval to save it.
		if v := r.ask(ctx, saveRequest(r.page.Incident, r.capture), route.SaveApproval); v != approved {
			return r.notSaved(ctx, v)
		}
		// 6. Stream it into the evidence store, and verify it.
		r.setState(ctx, signals.Saving)
		if err := r.save(ctx, false); err != nil {
			r.failure(ctx, actionSaveCapture, err)
			continue
		}
		break
	}

	// 7. Report.
	return r.close(ctx, signals.Captured)
}

// notSaved ends a Capture whose capture stays in Sysdig, which keeps it for 90
// days (Sysdig docs "Captures"). It was taken, so the outcome is captured,
// unless saving it failed.
func (r *response) notSaved(ctx workflow.Context, v verdict) (signals.Page, error) {
	if r.failed != nil {
		return r.close(ctx, r.deniedOutcome(v))
	}
	r.log(ctx, actorFirebreak, signals.KindCapture, "not saved: capture %d stays in Sysdig", r.capture.ID)
	return r.close(ctx, signals.Captured)
}
