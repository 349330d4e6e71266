package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// errPaused is a workflow that is paused in Temporal. The server answers no query
// of it, and keeps the signals that are sent to it until it continues.
var errPaused = errors.New("the workflow is paused in Temporal: it answers, and reads signals, once it is unpaused")

// isPaused reports whether a query failed because the workflow is paused. The
// server rejects a query for no other reason unless the sender asks for it.
func isPaused(err error) bool {
	var rejected *temporal.QueryRejectedError
	return errors.As(err, &rejected)
}

// pausedPage returns what Temporal itself knows of a paused incident: who paused
// it, and what its lists show. It fails with errPaused if the incident is not paused
// any more.
func pausedPage(ctx context.Context, t Temporal, workflowID, runID string) (*signals.Page, error) {
	whole, err := describeWhole(ctx, t, workflowID, runID)
	if err != nil {
		return nil, fmt.Errorf("look up incident %s: %w", workflowID, err)
	}
	info := whole.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_PAUSED {
		return nil, fmt.Errorf("query %s: %w", workflowID, errPaused)
	}
	row := newRow(info)
	page := &signals.Page{
		WorkflowID: row.WorkflowID, RunID: row.RunID, Playbook: row.Playbook, State: signals.State(row.State),
		Evidence: []string{}, WarRoom: []signals.Entry{}, Paused: paused(whole),
	}
	page.Incident.Rule.Name, page.Incident.Host.Name, page.Incident.Container.ID = row.Rule, row.Host, row.Container
	page.Incident.Severity = incident.Severity(row.Severity)
	page.Retrying = retrying(whole, nil)
	return page, nil
}

// paused returns who paused a run, and when and why.
func paused(whole *workflowservice.DescribeWorkflowExecutionResponse) *signals.Paused {
	info := whole.GetWorkflowExtendedInfo().GetPauseInfo()
	return &signals.Paused{By: info.GetIdentity(), Reason: info.GetReason(), Since: timeOf(info.GetPausedTime())}
}

// writePaused shows that an incident is paused, and that the page is not whole.
func writePaused(t *table, p *signals.Paused) {
	if p == nil {
		return
	}
	t.row("paused", "in Temporal, by "+cmp.Or(p.By, "unknown"))
	t.indent = "  "
	t.row("since", timestamp(p.Since))
	t.row("reason", cmp.Or(p.Reason, "-"))
	t.row("note", "nothing is done, and signals are only kept, until the workflow is unpaused; war room and evidence are not shown until then")
	t.indent = ""
}
