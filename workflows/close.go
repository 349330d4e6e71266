package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// close ends the incident: it stores the report as evidence, reads the signals
// that are left, and returns the page as the workflow's result. Every way out
// of a playbook leads here, also after a cancellation. A run that moves on only
// hands over.
//
// What becomes of an event depends on when it comes. Until the incident is
// closed it joins, and an event that shows the same detection after its
// containment reopens the incident: from the watch as well as from here, see
// reopens. One that happened before the containment, however late it arrives,
// reopens nothing. After the close an event with a new ID opens a new incident,
// which is what signal-with-start does; that a repeated one does not is up to the
// starter, for a new incident does not know what the last one counted.
func (r *response) close(ctx workflow.Context, outcome signals.State) (signals.Page, error) {
	if r.next != nil {
		return r.page, r.next
	}
	if r.resuming {
		// The step that an earlier version waited in is gone from the playbook.
		r.resuming, outcome = false, signals.Failed
		r.failed = errors.New("this version of the playbook cannot go on where an earlier one waited")
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	r.catchUp(ctx)
	if r.undoing {
		_ = workflow.Await(ctx, func() bool { return !r.undoing })
	}
	if outcome == signals.Contained && r.takenBack() && r.approval.request.Action != actionUndo {
		outcome = signals.Rejected
	}
	r.page.Pending = nil
	r.page.Outcome = outcome
	if r.unlisted > 0 {
		r.log(ctx, actorFirebreak, signals.KindCheck, "%d more notes, amendments, reminders and signals that did not count are not listed", r.unlisted)
	}
	r.page.State = outcome // as whoever is notified will see it
	r.announce(ctx, activities.ChangeClosed, actorFirebreak, signals.KindOutcome, "closed: %s", outcome)
	r.setState(ctx, outcome)
	r.closed(ctx)
	r.notified(ctx)
	before := len(r.page.Evidence)
	r.report(ctx)
	r.reported = r.page.Evidence[before:]
	// A signal that comes with the last task makes the server hand it out once
	// more, and is read here.
	r.catchUp(ctx)
	r.page.Retrying = nil // a notification may be given up
	r.countClosed(ctx)
	if outcome == signals.Failed {
		return r.page, temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("incident failed: %s", describe(r.failed)), string(signals.Failed), r.failed, r.page)
	}
	return r.page, nil
}

// reopens takes back the close of an incident whose detection returned while
// its report was stored, and reports whether it did. The next close stores the
// report again, in place of this one.
func (r *response) reopens(ctx workflow.Context) bool {
	if !r.returned || ctx.Err() != nil || r.page.Outcome != signals.Contained {
		return false
	}
	r.page.Outcome = ""
	count(ctx, metrics.IncidentsReopened, 1, metrics.LabelPlaybook, r.page.Playbook)
	r.page.Evidence = r.page.Evidence[:len(r.page.Evidence)-len(r.reported)]
	r.log(ctx, actorFirebreak, signals.KindOutcome, "reopened: the detection returned before the incident was closed")
	return true
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
		err = r.do(storing(ctx, summary), a.StoreReport, in, &stored)
	}
	if err != nil {
		r.log(ctx, actorFirebreak, signals.KindEvidence, "report not stored: %s", describe(err))
		return
	}
	countFiles(ctx, metrics.OfReport, stored...)
	for _, file := range stored {
		r.page.Evidence = append(r.page.Evidence, file.Name)
	}
	r.refresh(ctx)
}
