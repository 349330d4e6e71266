package command

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"firebreak/internal/catalogue"
	"firebreak/signals"
)

func (s *session) undoCommand() *cobra.Command {
	var from sender
	var reason string
	cmd := &cobra.Command{
		Use:   "undo ID",
		Short: "Take the last action of an incident back",
		Long: "Asks an incident to take its last action back, if that can be undone: the incident says whether it can.\n" +
			"For one that is closed it starts a manual action, which somebody else has to approve, as after `firebreak\n" +
			"act`. Exit code 1 if it cannot be undone.",
		Args:              exactly(1, "the workflow ID of an incident"),
		ValidArgsFunction: s.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(s); err != nil {
				return err
			}
			if err := checkReason(&reason); err != nil {
				return err
			}
			t, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer t.Close()
			// Whatever goes wrong with this look goes wrong with the signal too, and
			// is told there.
			if run, err := describe(cmd.Context(), t, args[0], ""); err == nil && ended(run) && args[0] != signals.GuardID {
				cfg, err := s.load(cmd)
				if err != nil {
					return err
				}
				return s.undoClosed(cmd.Context(), t, cfg.Temporal.TaskQueue, from, reason, args[0], run.GetExecution().GetRunId())
			}
			receipts := post(cmd.Context(), t, from.wait, []delivery{to(args[0], "", signals.Undo, func(receipt string) any {
				return signals.Instruction{Analyst: from.analyst, Reason: reason, Receipt: receipt}
			})})
			return s.account(signals.Undo, from, receipts)
		},
	}
	from.add(cmd)
	addReason(cmd, &reason)
	addSettings(cmd, flagTaskQueue)
	return cmd
}

// undoClosed asks, by a manual action, for the last action of a closed incident
// to be undone.
func (s *session) undoClosed(ctx context.Context, t Temporal, taskQueue string, from sender, reason, workflowID, runID string) error {
	_, page, err := query[signals.Page](ctx, t, workflowID, runID)
	if err != nil {
		return err
	}
	last, err := undoable(page)
	if err != nil {
		return fmt.Errorf("%s: %w", workflowID, err)
	}
	in := signals.ManualInput{
		Action: last.Action, Undo: last.ExecutionID, Incident: workflowID, Tenant: page.Tenant,
		Requester: from.analyst, Reason: reason,
	}
	// The page of a closed incident does not tell what was done after it.
	if _, earlier, err := query[signals.Page](ctx, t, in.WorkflowID(), ""); err == nil && slices.ContainsFunc(earlier.Actions, undone) {
		return fmt.Errorf("%s: %s was undone already: see `firebreak show %s`", workflowID, last.Action, in.WorkflowID())
	}
	return s.begin(ctx, t, taskQueue, from, &in, &target{Incident: page.Incident, tenant: page.Tenant})
}

// undone reports whether an action was taken back.
func undone(e signals.Executed) bool { return e.UndoneBy != "" }

// undoable is the last action that is still in force, if that can be undone.
func undoable(page *signals.Page) (*signals.Executed, error) {
	for i := len(page.Actions) - 1; i >= 0; i-- {
		last := &page.Actions[i]
		if undone(*last) || last.Observed {
			continue
		}
		if action, known := catalogue.Find(last.Action); known && action.UndoneBy == "" {
			return nil, fmt.Errorf("%s cannot be undone", last.Action)
		}
		return last, nil
	}
	return nil, errors.New("nothing was done that could be undone")
}
