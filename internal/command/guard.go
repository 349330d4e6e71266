package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"firebreak/signals"
)

func (s *session) freezeCommand() *cobra.Command {
	return s.guardCommand(signals.Freeze, "Stop every containment action, everywhere")
}

func (s *session) unfreezeCommand() *cobra.Command {
	return s.guardCommand(signals.Unfreeze, "Allow containment actions again")
}

// guardCommand sends the guard the instruction that the signal names. The first
// one starts the guard.
func (s *session) guardCommand(signal, short string) *cobra.Command {
	var from sender
	var reason string
	cmd := &cobra.Command{
		Use:   signal,
		Short: short,
		Long: short + ": sends the signal \"" + signal + "\" to the guard, the workflow " + signals.GuardID + ", and\n" +
			"waits until it has counted or refused it. `firebreak show " + signals.GuardID + "` shows the guard.",
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := from.check(s); err != nil {
				return err
			}
			if err := checkReason(&reason); err != nil {
				return err
			}
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			return s.deliver(cmd.Context(), signal, from, toGuard(cfg.Temporal.TaskQueue, signal, func(receipt string) any {
				return signals.Instruction{Analyst: from.analyst, Reason: reason, Receipt: receipt}
			}))
		},
	}
	from.add(cmd)
	addReason(cmd, &reason)
	addSettings(cmd, flagTaskQueue)
	return cmd
}

// toGuard is a signal to the guard, which is started where there is none. One
// that was ended from outside is replaced by one that goes on with what it said
// last, as workers do it: a signal that does not count must not thaw.
func toGuard(taskQueue, signal string, payload func(receipt string) any) delivery {
	return delivery{signals.GuardID, func(ctx context.Context, t Temporal, receipt string) (string, error) {
		last, err := describe(ctx, t, signals.GuardID, "")
		if err != nil && !notFound(err) {
			return "", fmt.Errorf("look up the guard: %w", err)
		}
		input := signals.GuardInput{}
		if frozen := decoded[*signals.Frozen](last.GetMemo().GetFields(), signals.MemoFrozen); frozen != nil {
			input.Carried = &signals.GuardPage{State: signals.GuardFrozen, Frozen: frozen, WarRoom: []signals.Entry{}}
		}
		run, err := t.SignalWithStartWorkflow(ctx, signals.GuardID, signal, payload(receipt), client.StartWorkflowOptions{
			TaskQueue:                taskQueue,
			WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		}, signals.WorkflowGuard, input)
		if err != nil {
			return "", fmt.Errorf("send %s: %w", signal, err)
		}
		return run.GetRunID(), nil
	}}
}

func writeGuard(w io.Writer, page *signals.GuardPage) error {
	t := newTable(w, "")
	t.row("guard", page.WorkflowID)
	t.row("run", page.RunID)
	t.row("state", string(page.State))
	if f := page.Frozen; f != nil {
		t.indent = "  "
		t.row("by", f.By)
		t.row("since", timestamp(f.Since))
		t.row("reason", f.Reason)
		t.row("answer", "firebreak "+signals.Unfreeze+" --reason WHY")
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := writeBudgets(w, page, time.Now()); err != nil {
		return err
	}
	return writeWarRoom(w, page.WarRoom)
}

// latestReservations is how many reservations are shown as text.
const latestReservations = 10

// writeBudgets shows what is used of budgets now, and by what.
func writeBudgets(w io.Writer, page *signals.GuardPage, now time.Time) error {
	if len(page.Budgets) == 0 {
		return nil
	}
	t := newTable(w, "")
	t.row("budgets of what nobody approves")
	t.indent = "  "
	for i := range page.Budgets {
		use := page.Use(page.Budgets[i].Budget, now)
		cells := []string{use.Action, fmt.Sprintf("%d of %d within %s", use.Used, use.Limit, use.Per)}
		if use.Used > 0 {
			cells = append(cells, "one is free again at "+timestamp(use.FreesAt))
		}
		t.row(cells...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	latest := page.Reservations[max(0, len(page.Reservations)-latestReservations):]
	if len(latest) == 0 {
		return nil
	}
	t = newTable(w, "")
	t.row("taken last")
	t.indent = "  "
	for i := range latest {
		t.row(timestamp(latest[i].Time), latest[i].Action, latest[i].CallerID, latest[i].Target)
	}
	return t.flush()
}
