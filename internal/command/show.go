package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"firebreak/internal/report"
	"firebreak/signals"
)

func (s *session) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show ID",
		Short:             "Show an incident, what it waits for, and its war room",
		Args:              exactly(1, "the workflow ID of an incident"),
		ValidArgsFunction: s.completeIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer t.Close()
			return s.show(cmd.Context(), t, args[0])
		},
	}
}

func (s *session) show(ctx context.Context, t Temporal, workflowID string) error {
	raw, page, err := query(ctx, t, workflowID, "")
	switch {
	case notFound(err):
		return unknown(ctx, t, workflowID)
	case err != nil:
		return err
	}
	// What was answered, not what this version knows of it.
	return s.print(raw, func(w io.Writer) error { return writePage(w, page) })
}

func writePage(w io.Writer, page *signals.Page) error {
	t := newTable(w, "")
	t.row("incident", page.WorkflowID)
	t.row("run", page.RunID)
	t.row("state", string(page.State))
	t.row("playbook", fmt.Sprintf("%s, route %s", page.Playbook, page.Route))
	t.row("events", fmt.Sprintf("%d, %d duplicates", page.Events.Count, page.Events.Duplicates))
	writeRequest(t, page)
	t.indent = ""
	t.row("fields")
	t.indent = "  "
	t.fieldRows(&page.Incident)
	if err := t.flush(); err != nil {
		return err
	}

	t = newTable(w, "")
	if len(page.Evidence) > 0 {
		t.row("evidence")
	}
	for _, name := range page.Evidence {
		t.row("  " + name)
	}
	t.row("war room")
	t.indent = "  "
	// Flushed, so that the names of files do not widen the column of times.
	if err := t.flush(); err != nil {
		return err
	}
	for i := range page.WarRoom {
		e := &page.WarRoom[i]
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
	t.row("pending", p.Action)
	t.indent = "  "
	t.row("request", p.ID)
	t.row("parameters", report.Parameters(p.Parameters))
	t.row("approvals", fmt.Sprintf("%d of %d %s", len(p.Have), p.Need, strings.Join(p.Have, ", ")))
	t.row("expires", timestamp(p.ExpiresAt))
	if page.State == signals.NeedsFields {
		t.row("answer", fmt.Sprintf("firebreak amend %s --set FIELD=VALUE", page.WorkflowID))
		return
	}
	t.row("answer", fmt.Sprintf("firebreak approve %s --reason WHY", page.WorkflowID))
	t.row("", fmt.Sprintf("firebreak reject %s --reason WHY", page.WorkflowID))
}

// completeIDs offers the IDs of open incidents to the shell.
func (s *session) completeIDs(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	t, err := s.connect(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer t.Close()
	open, _ := list(cmd.Context(), t, onlyOpen, maxListed)
	var ids []string
	for i := range open {
		ids = append(ids, open[i].WorkflowID)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
