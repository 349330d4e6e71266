// Package guard knows whether containment is frozen, and asks for what budgets
// allow. The switch and the ledger are a workflow, see workflows.Guard, which shows
// in its memo who froze what; a worker follows it here, so that asking costs nothing
// on the way to an action.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"firebreak/signals"
)

const (
	// pause is between two tries while the guard cannot be followed.
	pause = time.Second
	// stale is how long what is known of the guard holds. The server ends a long
	// poll in which nothing happens after 20 s.
	stale = 30 * time.Second
	// patience bounds a look at the guard.
	patience = 5 * time.Second
)

// errPaused is a guard that is paused in Temporal: it reads no freeze, so nothing
// may be contained until it goes on.
var errPaused = fmt.Errorf("the guard is paused in Temporal and reads no freeze: unpause the workflow %s", signals.GuardID)

// Watch follows the guard.
type Watch struct {
	client    client.Client
	namespace string
	queue     string
	log       *slog.Logger

	mu     sync.Mutex
	frozen *signals.Frozen
	seen   time.Time // when it was last known to hold

	ledger ledger

	stop context.CancelFunc
	done chan struct{}
}

// NewWatch returns a watch that follows the guard of a namespace once it is
// started. The queue is the one that a guard is started on where there is none.
func NewWatch(c client.Client, namespace, queue string, log *slog.Logger) *Watch {
	return &Watch{client: c, namespace: namespace, queue: queue, log: log, done: make(chan struct{}), ledger: ledger{
		turn: make(chan struct{}, 1), refusals: map[string]refusal{},
	}}
}

// Start starts the guard, if there is none, and follows it. The context bounds
// the start. A worker that cannot start a guard works without: nobody can freeze
// what is not there.
func (w *Watch) Start(ctx context.Context) {
	if err := w.ensure(ctx); err != nil {
		w.log.ErrorContext(ctx, "The guard is not started.", "error", err)
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	go w.follow(following)
}

// Stop ends the watch.
func (w *Watch) Stop() {
	if w.stop == nil {
		return
	}
	w.stop()
	<-w.done
}

// Thawed reports whether it is in memory that containment is allowed. It is not
// while containment is frozen, or the guard cannot be followed.
func (w *Watch) Thawed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frozen == nil && time.Since(w.seen) < stale
}

// Seen is whether containment was frozen when the guard was last seen, and whether
// that still holds because it is followed.
func (w *Watch) Seen() (frozen, followed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frozen != nil, time.Since(w.seen) < stale
}

// Frozen is who froze containment, nil while it is allowed. That it is allowed is
// answered from memory while the guard can be followed; anything else is asked
// for, so that nobody is refused for a freeze that was just lifted. Where it can
// neither be followed nor asked the error says so, and nothing may be contained.
func (w *Watch) Frozen(ctx context.Context) (*signals.Frozen, error) {
	if w.Thawed() {
		return nil, nil
	}
	run, err := w.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask whether containment is frozen: %w", err)
	}
	return state(run)
}

// ensure starts a guard if none runs. One that was ended from outside is
// replaced by one that goes on with what it said last.
func (w *Watch) ensure(ctx context.Context) error {
	run, err := w.look(ctx)
	if err != nil {
		return fmt.Errorf("look up the guard: %w", err)
	}
	if run.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		if run.GetTaskQueue() != w.queue {
			w.log.WarnContext(ctx, "The guard of this namespace is on another task queue.", "guard_queue", run.GetTaskQueue(), "queue", w.queue)
		}
		return nil
	}
	frozen, err := state(run)
	if err != nil {
		return err
	}
	in := signals.GuardInput{}
	page, err := w.ledgerOf(ctx, run)
	if err != nil {
		return fmt.Errorf("read what the last guard gave: %w", err)
	}
	if frozen != nil || len(page.Reservations) > 0 || len(page.Slots) > 0 {
		page.State, page.Frozen, page.WarRoom = signals.GuardOpen, frozen, []signals.Entry{}
		in.Carried = page
	}
	if frozen != nil {
		page.State = signals.GuardFrozen
	}
	_, err = w.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: signals.GuardID, TaskQueue: w.queue, WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary: "The switch that stops every containment action, and the ledger of budgets",
	}, signals.WorkflowGuard, in)
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	return nil
}

// follow keeps what is known of the guard up to date.
func (w *Watch) follow(ctx context.Context) {
	defer close(w.done)
	for ctx.Err() == nil {
		over, err := w.followRun(ctx)
		if over || err != nil {
			w.forget()
		}
		if err != nil && ctx.Err() == nil {
			w.log.DebugContext(ctx, "The guard cannot be followed.", "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// followRun follows one run of the guard to its end. Whenever something happens
// in it, its memo is looked at.
//
// It is over then; where there was none that runs, what was learnt of the last
// one holds.
func (w *Watch) followRun(ctx context.Context) (over bool, err error) {
	run, err := w.learn(ctx)
	if err != nil || run.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return false, err
	}
	request := &workflowservice.GetWorkflowExecutionHistoryRequest{
		Namespace: w.namespace, Execution: run.GetExecution(), WaitNewEvent: true,
	}
	for {
		answer, err := w.client.WorkflowService().GetWorkflowExecutionHistory(ctx, request)
		if err != nil {
			return true, fmt.Errorf("follow the guard: %w", err)
		}
		if _, err := w.learn(ctx); err != nil {
			return true, err
		}
		request.NextPageToken = answer.GetNextPageToken()
		if len(request.NextPageToken) == 0 {
			return true, nil // the run has ended
		}
	}
}

// learn looks at the guard and remembers what it says.
func (w *Watch) learn(ctx context.Context) (*workflow.WorkflowExecutionInfo, error) {
	now := time.Now()
	run, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	frozen, err := state(run)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.frozen == nil && frozen != nil:
		w.log.WarnContext(ctx, "Containment is frozen.", "by", frozen.By, "since", frozen.Since, "reason", frozen.Reason)
	case w.frozen != nil && frozen == nil:
		w.log.InfoContext(ctx, "Containment is allowed again.")
	}
	w.frozen, w.seen = frozen, now
	return run, nil
}

// forget stops relying on what was last seen of the guard: from when it is not
// followed any more, a freeze that was confirmed meanwhile would go unseen. Until
// it is followed again, whoever wants to contain something asks.
func (w *Watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = time.Time{}
}

// look returns the guard as Temporal describes it; it is empty if there is no guard.
// A paused guard is an error.
func (w *Watch) look(ctx context.Context) (*workflow.WorkflowExecutionInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	description, err := w.client.DescribeWorkflowExecution(ctx, signals.GuardID, "")
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return &workflow.WorkflowExecutionInfo{}, nil
	}
	if err != nil {
		return nil, err
	}
	run := description.GetWorkflowExecutionInfo()
	if run.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_PAUSED {
		return nil, errPaused
	}
	return run, nil
}

// state reads the switch from a memo.
func state(run *workflow.WorkflowExecutionInfo) (*signals.Frozen, error) {
	payload := run.GetMemo().GetFields()[signals.MemoFrozen]
	if isNil(payload) {
		return nil, nil
	}
	var frozen *signals.Frozen
	if err := converter.GetDefaultDataConverter().FromPayload(payload, &frozen); err != nil {
		return nil, fmt.Errorf("read the guard's memo: %w", err)
	}
	return frozen, nil
}

func isNil(payload *common.Payload) bool {
	return payload == nil || len(payload.GetData()) == 0
}
