package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"firebreak/internal/hooks"
)

// HookEvent is what a hook is told of an incident.
type HookEvent = hooks.Event

// HookAnswer is what the other side answered.
type HookAnswer = hooks.Answer

// Moment is when a hook is called.
type Moment = hooks.Moment

// The moments.
const (
	MomentOpened    = hooks.Opened
	MomentContained = hooks.Contained
	MomentClosed    = hooks.Closed
)

// ErrHook: a hook was not called, or in vain.
const ErrHook = "hook-failed"

// HookInput is one intended call of a hook.
type HookInput struct {
	// Hook is its name in the worker's configuration, which alone knows where it
	// leads.
	Hook string `json:"hook"`
	// Key is the idempotency key: the same for every attempt, and for every worker
	// that makes one.
	Key   string    `json:"key"`
	Event HookEvent `json:"event"`
}

// CallHook calls a hook. What failed for now is tried again, when the other side
// says so; after a worker was killed nobody knows whether its request arrived,
// and it is made once more under the same key.
func (a *Activities) CallHook(ctx context.Context, in HookInput) (HookAnswer, error) {
	if a.Observe {
		return HookAnswer{Status: "not called: this worker only observes"}, nil
	}
	stop := heartbeats(ctx, func() any { return nil })
	defer stop()
	answer, err := a.Hooks.Call(ctx, in.Hook, in.Key, in.Event)
	var failed *hooks.Error
	if errors.As(err, &failed) && ctx.Err() == nil {
		return HookAnswer{}, temporal.NewApplicationErrorWithOptions(failed.Text, ErrHook,
			temporal.ApplicationErrorOptions{NonRetryable: failed.Final, NextRetryDelay: failed.RetryAfter})
	}
	return answer, err
}
