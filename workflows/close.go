package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/signals"
)

// close ends the incident: it stores the report as evidence, reads the signals
// that are left, and returns the page as the workflow's result. Every way out
// of a playbook leads here, also after a cancellation.
func (r *response) close(ctx workflow.Context, outcome signals.State) (signals.Page, error) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	r.drain(ctx)
	r.page.Pending = nil
	r.page.Outcome = outcome
	if r.unlisted > 0 {
		r.log(ctx, actorFirebreak, signals.KindCheck, "%d more notes and signals that did not count are not listed", r.unlisted)
	}
	r.log(ctx, actorFirebreak, signals.KindOutcome, "closed: %s", outcome)
	r.setState(ctx, outcome)
	r.report(ctx)
	// A signal that comes with the last task makes the server hand it out once
	// more, and is read here.
	r.drain(ctx)
	if outcome == signals.Failed {
		return r.page, temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("incident failed: %s", describe(r.failed)), string(signals.Failed), r.failed, r.page)
	}
	return r.page, nil
}

// report writes the incident's files and the manifest. The files are small, so
// they are first tried within the workflow task, which saves the server a round
// trip for every incident; a store that is slow or down gets an activity's
// patience. One that cannot take them at all does not change what happened: it
// is recorded, and the report remains as the workflow's result.
func (r *response) report(ctx workflow.Context) {
	var a *activities.Activities
	var stored []activities.StoredFile
	in := activities.ReportInput{Page: r.page, Files: r.files, ClosedAt: workflow.Now(ctx).UTC()}
	const summary = "Store the report"
	err := workflow.ExecuteLocalActivity(atOnce(ctx, summary), a.StoreReport, in).Get(ctx, &stored)
	if err != nil {
		err = workflow.ExecuteActivity(storing(ctx, summary), a.StoreReport, in).Get(ctx, &stored)
	}
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindEvidence, "report not stored: %s", describe(err))
		return
	}
	for _, file := range stored {
		r.page.Evidence = append(r.page.Evidence, file.Name)
	}
}
