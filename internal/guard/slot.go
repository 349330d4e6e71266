package guard

import (
	"context"
	"errors"
	"fmt"

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
	var held signals.Slot
	err := w.update(ctx, signals.UpdateHold, "", in, &held)
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
