package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/update/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"firebreak/signals"
)

// reserving is how long the guard may take to answer. It is a workflow, so a
// worker has to replay it first where none has it in memory.
const reserving = 20 * time.Second

// maxRefusals bounds how many actions' refusals are remembered.
const maxRefusals = 100

// SpentError says that a budget is spent, in the guard's words.
type SpentError struct{ Reason string }

// Error is the reason.
func (e *SpentError) Error() string { return e.Reason }

// ledger is what a worker knows of the guard's budgets.
type ledger struct {
	// turn is held by whoever asks the guard: it takes ten questions at a time
	// (history.maxInFlightUpdates of the Temporal server), and most of those who
	// wait meanwhile are answered by the answer to the first.
	turn chan struct{}
	// refusals are by action. They belong to whoever's turn it is.
	refusals map[string]refusal
}

type refusal struct {
	reason string
	until  time.Time
}

// Reserve takes a unit of every budget that the action counts against. The error
// is a *SpentError where one of them is spent; any other means that the guard could
// not be asked, and that nothing may be done. A refusal holds until a unit is free
// again, so it is answered from memory; but one for whom a unit may have been
// taken already, again, is only ever answered by the guard.
func (w *Watch) Reserve(ctx context.Context, in signals.Reserve, again bool) error {
	select {
	case w.ledger.turn <- struct{}{}:
		defer func() { <-w.ledger.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !again {
		if known := w.ledger.known(in.Action); known != nil {
			return known
		}
	}
	var taken signals.Reservation
	err := w.update(ctx, signals.UpdateReserve, in.CallerID, in, &taken)
	var refused *temporal.ApplicationError
	if errors.As(err, &refused) && refused.Type() == signals.ErrBudgetSpent {
		return w.ledger.refuse(in.Action, refused)
	}
	if err != nil {
		return fmt.Errorf("ask the guard for the budget of %s: %w", in.Action, err)
	}
	if !taken.Of(in) {
		return &SpentError{"a unit was taken in its name, of another action or under other budgets than this worker's"}
	}
	return nil
}

// update sends an update to the guard, which it starts if it does not run, and
// reads the result.
func (w *Watch) update(ctx context.Context, name, id string, in, result any) error {
	send := func() error {
		ctx, cancel := context.WithTimeout(ctx, reserving)
		defer cancel()
		update, err := w.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			WorkflowID: signals.GuardID, UpdateName: name, UpdateID: id,
			Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err != nil {
			return err
		}
		return update.Get(ctx, result)
	}
	err := send()
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		if err = w.ensure(ctx); err == nil {
			err = send()
		}
	}
	return err
}

// ledgerOf is the ledger that a run of the guard ended with which was ended from
// outside: what it was handed, and what it gave since.
func (w *Watch) ledgerOf(ctx context.Context, run *workflow.WorkflowExecutionInfo) (*signals.GuardPage, error) {
	page := &signals.GuardPage{}
	if run.GetExecution() == nil {
		return page, nil // there was none
	}
	events := w.client.GetWorkflowHistory(ctx, signals.GuardID, run.GetExecution().GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	payloads := converter.GetDefaultDataConverter()
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return nil, err
		}
		if started := event.GetWorkflowExecutionStartedEventAttributes(); started != nil {
			var in signals.GuardInput
			if err := payloads.FromPayloads(started.GetInput(), &in); err != nil {
				return nil, err
			}
			if in.Carried != nil {
				page.Budgets, page.Reservations, page.Slots = in.Carried.Budgets, in.Carried.Reservations, in.Carried.Slots
			}
		}
		if err := replay(page, event.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest().GetInput(), event.GetEventTime().AsTime()); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// replay repeats on the page what an update did that the guard accepted.
func replay(page *signals.GuardPage, input *update.Input, at time.Time) error {
	payloads := converter.GetDefaultDataConverter()
	switch input.GetName() {
	case signals.UpdateReserve:
		var in signals.Reserve
		if err := payloads.FromPayloads(input.GetArgs(), &in); err != nil {
			return err
		}
		page.Take(in, at)
	case signals.UpdateHold:
		var in signals.Hold
		if err := payloads.FromPayloads(input.GetArgs(), &in); err != nil {
			return err
		}
		page.Hold(in, at)
	}
	return nil
}

// known is a refusal that still holds, nil if there is none.
func (l *ledger) known(action string) error {
	if r, refused := l.refusals[action]; refused && time.Now().Before(r.until) {
		return &SpentError{r.reason}
	}
	return nil
}

// refuse remembers a refusal.
func (l *ledger) refuse(action string, refused *temporal.ApplicationError) error {
	var spent signals.Spent
	if refused.HasDetails() && refused.Details(&spent) == nil {
		if len(l.refusals) >= maxRefusals {
			clear(l.refusals)
		}
		l.refusals[action] = refusal{refused.Message(), time.Now().Add(time.Duration(spent.For))}
	}
	return &SpentError{refused.Message()}
}
