package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"firebreak/internal/report"
	"firebreak/signals"
)

func (s *session) showCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show an incident, what it waits for, and its war room",
		Long: "Shows an incident, what it waits for, and its war room. `firebreak show " + signals.GuardID + "` shows\n" +
			"whether containment is frozen, by whom, since when and why, and what is used of budgets.",
		Args:              exactly(1, "the workflow ID of an incident"),
		ValidArgsFunction: s.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer t.Close()
			if watch {
				return s.watchPage(cmd.Context(), t, args[0])
			}
			return s.show(cmd.Context(), t, args[0], "", nil)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "look every two seconds and print the page when it has changed, until the incident is closed or Ctrl-C")
	return cmd
}

// show shows a run; an empty run ID means the latest. Whole is what Temporal says
// of the run; nil asks for it.
func (s *session) show(ctx context.Context, t Temporal, workflowID, runID string, whole *workflowservice.DescribeWorkflowExecutionResponse) error {
	if workflowID == signals.GuardID {
		raw, page, err := query[signals.GuardPage](ctx, t, workflowID, runID)
		if err != nil {
			return unshown(ctx, t, workflowID, err)
		}
		return s.print(raw, func(w io.Writer) error { return writeGuard(w, page) })
	}
	raw, page, err := query[signals.Page](ctx, t, workflowID, runID)
	if errors.Is(err, errPaused) {
		if page, err = pausedPage(ctx, t, workflowID, runID); err != nil {
			return err
		}
		return s.print(page, func(w io.Writer) error { return writePage(w, page) })
	}
	if err != nil {
		return unshown(ctx, t, workflowID, err)
	}
	if whole == nil {
		// The page is shown without it as well.
		whole, _ = describeWhole(ctx, t, workflowID, runID)
	}
	if raw, err = withRetries(whole, raw, page); err != nil {
		return fmt.Errorf("show %s: %w", workflowID, err)
	}
	return s.print(raw, func(w io.Writer) error { return writePage(w, page) })
}

// unshown is why there is no page to show.
func unshown(ctx context.Context, t Temporal, workflowID string, err error) error {
	if notFound(err) {
		return unknown(ctx, t, workflowID)
	}
	return err
}

// withRetries puts the steps that are tried again into the page of an open
// incident, as Temporal knows them: the page is as old as the last task of its
// workflow. The rest of raw stays what was answered, also what this version does
// not know.
func withRetries(whole *workflowservice.DescribeWorkflowExecutionResponse, raw json.RawMessage, page *signals.Page) (json.RawMessage, error) {
	if whole.GetWorkflowExecutionInfo() == nil {
		return raw, nil
	}
	now := retrying(whole, page.Retrying)
	if len(now) == 0 && len(page.Retrying) == 0 {
		return raw, nil
	}
	page.Retrying = now
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("decode the page: %w", err)
	}
	delete(fields, "retrying")
	if len(now) > 0 {
		steps, err := json.Marshal(now)
		if err != nil {
			return nil, fmt.Errorf("encode the steps that are retried: %w", err)
		}
		fields["retrying"] = steps
	}
	merged, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode the page: %w", err)
	}
	return merged, nil
}

// watchPage shows the incident whenever it has changed, from run to run, until
// it is closed. It does not go on with the next incident of the same target.
func (s *session) watchPage(ctx context.Context, t Temporal, workflowID string) error {
	var chain, shown string
	return s.watch(ctx, func() (bool, error) {
		whole, err := describeWhole(ctx, t, workflowID, "")
		switch {
		case notFound(err):
			return false, unknown(ctx, t, workflowID)
		case err != nil:
			return false, fmt.Errorf("look up incident %s: %w", workflowID, err)
		}
		run := whole.GetWorkflowExecutionInfo()
		if chain = cmp.Or(chain, run.GetFirstRunId()); chain != run.GetFirstRunId() {
			return true, s.show(ctx, t, workflowID, shown, nil)
		}
		shown = run.GetExecution().GetRunId()
		// One that ends after this look is looked at once more.
		return ended(run), s.show(ctx, t, workflowID, shown, whole)
	})
}

// ended reports whether an incident is closed with a run; one that has moved on
// is not. Of a run that is not known it reports false.
func ended(run *workflow.WorkflowExecutionInfo) bool {
	switch run.GetStatus() {
	case enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, enums.WORKFLOW_EXECUTION_STATUS_RUNNING,
		enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enums.WORKFLOW_EXECUTION_STATUS_PAUSED:
		return false
	default:
		return true
	}
}

func writePage(w io.Writer, page *signals.Page) error {
	t := newTable(w, "")
	t.row("incident", page.WorkflowID)
	t.row("run", page.RunID)
	t.row("state", string(page.State))
	t.row("playbook", playbookOf(page))
	if page.Tenant != "" {
		t.row("tenant", page.Tenant)
	}
	writePaused(t, page.Paused)
	if page.Paused == nil {
		t.row("events", fmt.Sprintf("%d, %d duplicates", page.Events.Count, page.Events.Duplicates))
	}
	writeRetrying(t, page.Retrying)
	writeRequest(t, page)
	t.indent = ""
	t.row("fields")
	t.indent = "  "
	t.fieldRows(&page.Incident)
	if err := t.flush(); err != nil {
		return err
	}

	if err := errors.Join(writeActions(w, page.Actions), writeRelated(w, page)); err != nil {
		return err
	}
	t = newTable(w, "")
	if len(page.Evidence) > 0 {
		t.row("evidence")
	}
	for _, name := range page.Evidence {
		t.row("  " + name)
	}
	// Flushed, so that the names of files do not widen the column of times.
	if err := t.flush(); err != nil {
		return err
	}
	if page.Paused != nil {
		return nil
	}
	return writeWarRoom(w, page.WarRoom)
}

// playbookOf is the playbook and the route that chose it; a manual action has
// none.
func playbookOf(page *signals.Page) string {
	if page.Route == "" {
		return page.Playbook
	}
	return page.Playbook + ", route " + page.Route
}

// writeActions lists the response actions that were carried out, if there are
// any.
func writeActions(w io.Writer, actions []signals.Executed) error {
	t := newTable(w, "")
	if len(actions) > 0 {
		t.row("actions")
	}
	t.indent = "  "
	for i := range actions {
		a := &actions[i]
		became := "execution " + a.ExecutionID
		switch {
		case a.Observed:
			became = "observed only"
		case a.UndoneBy != "":
			became += ", undone by " + a.UndoneBy
		}
		t.row(timestamp(a.At), a.Action, report.Parameters(a.Parameters), became)
	}
	return t.flush()
}

// maxOutput bounds what a line shows of a related event's output, in bytes.
const maxOutput = 200

// writeRelated lists what else Sysdig saw around it, if there is anything.
func writeRelated(w io.Writer, page *signals.Page) error {
	t := newTable(w, "")
	switch {
	case len(page.Related) > 0 && page.RelatedCut:
		t.row("related events, the nearest of more")
	case len(page.Related) > 0:
		t.row("related events")
	}
	t.indent = "  "
	for i := range page.Related {
		e := &page.Related[i]
		t.row(timestamp(e.Time), fmt.Sprintf("%d %s", e.Severity, e.Severity.Label()), e.Rule, cmp.Or(signals.Clip(e.Output, maxOutput), "-"))
	}
	return t.flush()
}

func writeWarRoom(w io.Writer, entries []signals.Entry) error {
	t := newTable(w, "")
	t.row("war room")
	t.indent = "  "
	for i := range entries {
		e := &entries[i]
		t.row(timestamp(e.Time), e.Actor, string(e.Kind), e.Text)
	}
	return t.flush()
}

// writeRequest shows what the incident waits for, and the command that answers.
func writeRequest(t *table, page *signals.Page) {
	p := page.Pending
	if p == nil {
		return
	}
	describeRequest(t, p)
	if page.State == signals.NeedsFields {
		t.row("answer", fmt.Sprintf("firebreak amend %s --set FIELD=VALUE", page.WorkflowID))
		return
	}
	t.row("answer", fmt.Sprintf("firebreak approve %s --reason WHY", page.WorkflowID))
	t.row("", fmt.Sprintf("firebreak reject %s --reason WHY", page.WorkflowID))
}

// describeRequest shows a decision that is waited for.
func describeRequest(t *table, p *signals.Request) {
	t.row("pending", p.Action)
	t.indent = "  "
	t.row("request", p.ID)
	t.row("parameters", report.Parameters(p.Parameters))
	t.row("approvals", approvals(p))
	if !p.SeenAt.IsZero() {
		t.row("process seen", timestamp(p.SeenAt))
	}
	t.row("expires", timestamp(p.ExpiresAt))
}

// approvals is how many analysts have approved of how many, and who.
func approvals(r *signals.Request) string {
	return strings.TrimSpace(fmt.Sprintf("%d of %d %s", len(r.Have), r.Need, strings.Join(r.Have, ", ")))
}
