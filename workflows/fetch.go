package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// fetch stores what an action brought, a file or logs, as evidence. What it took
// was taken all the same when that fails: it stays with Sysdig, and the war room
// says why.
func (r *response) fetch(ctx workflow.Context, action *catalogue.Action) {
	last := r.lastAction()
	if !action.Fetches || last.Observed {
		return
	}
	r.setState(ctx, signals.Saving)
	var a *activities.Activities
	in := activities.FetchInput{
		Action: last.Action, ExecutionID: last.ExecutionID, Tenant: r.in.Tenant, ApprovedBy: r.approval.have,
		WorkflowID: r.page.WorkflowID, RunID: r.page.RunID,
	}
	var file activities.StoredFile
	if err := r.do(acting(ctx, "Save what "+last.Action+" brought"), a.FetchResult, in, &file); err != nil {
		r.log(ctx, actorFirebreak, signals.KindEvidence, "what %s brought is not stored: %s", last.Action, describe(err))
		return
	}
	r.keep(ctx, metrics.OfAction, file)
}

// keep records a file that was stored as evidence.
func (r *response) keep(ctx workflow.Context, kind string, file activities.StoredFile) {
	countFiles(ctx, kind, file)
	r.files = append(r.files, file)
	r.page.Evidence = append(r.page.Evidence, file.Name)
	text := fmt.Sprintf("stored %s: %d bytes, SHA-256 %s", file.Name, file.Size, file.SHA256)
	if file.NotCapture != "" {
		text += fmt.Sprintf("; what Sysdig gave for capture %s is no capture: %s", file.CaptureID, file.NotCapture)
	}
	for _, difference := range file.Differences {
		text += "; " + difference.String()
	}
	r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindEvidence, "%s", text)
}
