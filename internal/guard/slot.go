package guard

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"firebreak/signals"
)

// HeldError says that another capture has the turn of the host, in the guard's
// words.
type HeldError struct{ Reason string }

// Error is the reason.
func (e *HeldError) Error() string { return e.Reason }

// Hold takes, renews or gives back the turn of a host for a system capture. The
// error is a *HeldError if another capture has the turn. Any other error means that
// the guard did not answer.
func (w *Watch) Hold(ctx context.Context, in signals.Hold) error {
	// The guard takes few questions at a time, see ledger.turn.
	select {
	case w.ledger.turn <- struct{}{}:
		defer func() { <-w.ledger.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := w.hold(ctx, in)
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		if err = w.ensure(ctx); err == nil {
			err = w.hold(ctx, in)
		}
	}
	var refused *temporal.ApplicationError
	switch {
	case errors.As(err, &refused) && refused.Type() == signals.ErrSlotHeld:
		return &HeldError{refused.Message()}
	case err != nil:
		return fmt.Errorf("ask the guard for the turn of the host: %w", err)
	default:
		return nil
	}
}

func (w *Watch) hold(ctx context.Context, in signals.Hold) error {
	ctx, cancel := context.WithTimeout(ctx, reserving)
	defer cancel()
	update, err := w.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: signals.GuardID, UpdateName: signals.UpdateHold,
		Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	var held signals.Slot
	return update.Get(ctx, &held)
}
