package guard_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/update/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"firebreak/internal/guard"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// UpdateWorkflow answers as the server's ledger has it.
func (s *server) UpdateWorkflow(ctx context.Context, in client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	s.mu.Lock()
	s.updates = append(s.updates, in)
	s.asking++
	s.most = max(s.most, s.asking)
	run, hangs, answer, taken := s.run, s.hangs, s.ledger, s.taken
	s.mu.Unlock()
	defer s.set(func() { s.asking-- })
	<-time.After(10 * time.Millisecond)
	switch {
	case hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	case run == nil || run.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return nil, serviceerror.NewNotFound("workflow execution already completed")
	}
	reserve, _ := in.Args[0].(signals.Reserve)
	if taken == nil {
		taken = &signals.Reservation{Action: reserve.Action, CallerID: reserve.CallerID, Limits: reserve.Digest()}
	}
	return handle{taken: *taken, err: answer(reserve)}, nil
}

// GetWorkflowHistory reads the run that ended.
func (s *server) GetWorkflowHistory(_ context.Context, id, runID string, wait bool, _ enums.HistoryEventFilterType) client.HistoryEventIterator {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != signals.GuardID || runID != s.run.GetExecution().GetRunId() || wait {
		return &iterator{err: errors.New("not the last run's")}
	}
	return &iterator{events: s.history, err: s.unread}
}

type iterator struct {
	events []*history.HistoryEvent
	err    error
}

func (i *iterator) HasNext() bool { return len(i.events) > 0 || i.err != nil }

func (i *iterator) Next() (*history.HistoryEvent, error) {
	if i.err != nil {
		return nil, i.err
	}
	event := i.events[0]
	i.events = i.events[1:]
	return event, nil
}

type handle struct {
	client.WorkflowUpdateHandle
	taken signals.Reservation
	err   error
}

func (h handle) Get(_ context.Context, into any) error {
	if taken, reserving := into.(*signals.Reservation); reserving {
		*taken = h.taken
	}
	return h.err
}

// gives lets so many callers have a unit, each a reservation once, and refuses
// others for an hour.
func gives(units int) func(signals.Reserve) error {
	taken := map[string]bool{}
	return func(in signals.Reserve) error {
		if !taken[in.CallerID] && len(taken) >= units {
			return temporal.NewNonRetryableApplicationError("the budget is spent", signals.ErrBudgetSpent, nil, signals.Spent{For: incident.Duration(time.Hour)})
		}
		taken[in.CallerID] = true
		return nil
	}
}

func reservation(caller string) signals.Reserve {
	return signals.Reserve{Action: "KILL_CONTAINER", CallerID: caller, Limits: []signals.Budget{{Action: "*", Limit: 1, Per: incident.Duration(time.Hour)}}}
}

func refused(t *testing.T, err error) {
	t.Helper()
	var spent *guard.SpentError
	require.ErrorAs(t, err, &spent)
	require.EqualError(t, err, "the budget is spent")
}

func TestAReservationIsAskedForUnderTheCallersID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.ledger = gives(1)
		s.begin(queue, nil)
		w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
		require.NoError(t, w.Reserve(t.Context(), reservation("a"), false))
		require.Equal(t, []client.UpdateWorkflowOptions{{
			WorkflowID: "firebreak-guard", UpdateName: "reserve", UpdateID: "a", Args: []any{reservation("a")}, WaitForStage: client.WorkflowUpdateStageCompleted,
		}}, s.updates)
	})
}

// The server answers an update whose ID it knows with the answer it gave then,
// whoever sent it, and for what.
func TestAReservationOfAnotherActionOrUnderOtherBudgetsIsNone(t *testing.T) {
	t.Parallel()
	in := reservation("a")
	other := in
	other.Limits = []signals.Budget{{Action: "*", Limit: 1000, Per: incident.Duration(time.Hour)}}
	for name, taken := range map[string]signals.Reservation{
		"action":  {Action: "GET_LOGS", CallerID: "a", Limits: in.Digest()},
		"caller":  {Action: "KILL_CONTAINER", CallerID: "b", Limits: in.Digest()},
		"budgets": {Action: "KILL_CONTAINER", CallerID: "a", Limits: other.Digest()},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			s.ledger, s.taken = gives(1), &taken
			s.begin(queue, nil)
			w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
			var spent *guard.SpentError
			require.ErrorAs(t, w.Reserve(t.Context(), in, false), &spent, name)
			s.taken = nil
			require.NoError(t, w.Reserve(t.Context(), in, false), "it is remembered of nobody else")
		})
	}
}

func TestARefusalHoldsUntilAUnitIsFreeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.ledger = gives(1)
		s.begin(queue, nil)
		w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
		require.NoError(t, w.Reserve(t.Context(), reservation("a"), false))
		refused(t, w.Reserve(t.Context(), reservation("b"), false))
		pass(time.Hour - time.Second)
		refused(t, w.Reserve(t.Context(), reservation("c"), false))
		require.Len(t, s.updates, 2, "it is answered from memory")
		other := reservation("d")
		other.Action = "KILL_PROCESS"
		refused(t, w.Reserve(t.Context(), other, false))
		require.Len(t, s.updates, 3, "it says nothing of another action")
		s.ledger = gives(1)
		pass(time.Second)
		require.NoError(t, w.Reserve(t.Context(), reservation("e"), false))
	})
}

// An attempt that died may have had its unit: what others are told says nothing of
// it.
func TestWhoMayHaveAUnitAlreadyIsAnsweredByTheGuardAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.ledger = gives(1)
		s.begin(queue, nil)
		w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
		require.NoError(t, w.Reserve(t.Context(), reservation("a"), false))
		refused(t, w.Reserve(t.Context(), reservation("b"), false))
		require.NoError(t, w.Reserve(t.Context(), reservation("a"), true))
		refused(t, w.Reserve(t.Context(), reservation("b"), true))
		require.Len(t, s.updates, 4)
	})
}

// The Temporal server takes ten updates of a workflow at a time.
func TestAThousandActionsAtOnceAskOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.ledger = gives(5)
		s.begin(queue, nil)
		w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
		got := make(chan error, 1000)
		for n := range 1000 {
			go func() { got <- w.Reserve(t.Context(), reservation(string(rune(n))), false) }()
		}
		given := 0
		for range 1000 {
			if err := <-got; err == nil {
				given++
			} else {
				refused(t, err)
			}
		}
		require.Equal(t, 5, given)
		require.Equal(t, 1, s.most)
		require.Len(t, s.updates, 6, "the first refusal answers the rest")
	})
}

func TestWhoeverReservesStartsTheGuardWhereThereIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.ledger = gives(1)
		w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
		require.NoError(t, w.Reserve(t.Context(), reservation("a"), false))
		require.Len(t, s.started, 1)
		s.end()
		refused(t, w.Reserve(t.Context(), reservation("b"), false))
		require.Len(t, s.started, 2)
	})
}

func TestALedgerThatCannotBeAskedHasAllowedNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		breaks func(*server)
		want   string
	}{
		"hangs":       {func(s *server) { s.hangs = true }, "ask the guard for the budget of KILL_CONTAINER: context deadline exceeded"},
		"unstartable": {func(s *server) { s.unstartable = errDown; s.run = nil }, "ask the guard for the budget of KILL_CONTAINER: start the guard: connection refused"},
		"an earlier version": {func(s *server) {
			s.ledger = func(signals.Reserve) error { return temporal.NewApplicationError("unknown update reserve", "") }
		}, "ask the guard for the budget of KILL_CONTAINER: unknown update reserve"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.begin(queue, nil)
				s.set(func() { test.breaks(s) })
				w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
				require.EqualError(t, w.Reserve(t.Context(), reservation("a"), false), test.want)
			})
		})
	}
}

func TestAnActionThatIsGivenUpWaitsForNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.begin(queue, nil)
		s.hangs = true
		w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
		go func() { _ = w.Reserve(t.Context(), reservation("a"), false) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, w.Reserve(ctx, reservation("b"), false), context.Canceled)
		pass(time.Minute)
	})
}

// began is the first event of a run, and gave one by which it gave a unit.
func began(t *testing.T, in signals.GuardInput) *history.HistoryEvent {
	t.Helper()
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(in)
	require.NoError(t, err)
	return &history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{Input: payloads},
	}}
}

func gave(t *testing.T, at time.Time, in signals.Reserve) *history.HistoryEvent {
	t.Helper()
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(in)
	require.NoError(t, err)
	return &history.HistoryEvent{
		EventTime: timestamppb.New(at),
		Attributes: &history.HistoryEvent_WorkflowExecutionUpdateAcceptedEventAttributes{
			WorkflowExecutionUpdateAcceptedEventAttributes: &history.WorkflowExecutionUpdateAcceptedEventAttributes{
				AcceptedRequest: &update.Request{Input: &update.Input{Name: signals.UpdateReserve, Args: payloads}},
			},
		},
	}
}

func TestHoldAsksTheGuard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.begin(queue, nil)
		w, _ := watched(t, s)
		defer w.Stop()
		in := signals.Hold{Host: []string{"h"}, Holder: "one", For: incident.Duration(time.Minute)}
		s.set(func() { s.ledger = func(signals.Reserve) error { return nil } })
		require.NoError(t, w.Hold(t.Context(), in))
		require.Equal(t, signals.UpdateHold, s.updates[0].UpdateName)
		require.Equal(t, in, s.updates[0].Args[0])

		s.set(func() {
			s.ledger = func(signals.Reserve) error {
				return temporal.NewNonRetryableApplicationError("capture two is under way", signals.ErrSlotHeld, nil)
			}
		})
		var held *guard.HeldError
		require.ErrorAs(t, w.Hold(t.Context(), in), &held)
		require.Equal(t, "capture two is under way", held.Reason)

		s.set(func() { s.ledger = func(signals.Reserve) error { return errors.New("no answer") } })
		err := w.Hold(t.Context(), in)
		require.ErrorContains(t, err, "ask the guard for the turn of the host: no answer")
		require.NotErrorAs(t, err, &held)
	})
}

func TestNextGuardKnowsWhichTurnsAreHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		hold := func(holder string, d time.Duration) *history.HistoryEvent {
			payloads, err := converter.GetDefaultDataConverter().ToPayloads(signals.Hold{Host: []string{holder}, Holder: holder, For: incident.Duration(d)})
			require.NoError(t, err)
			event := gave(t, now.Add(-time.Minute), signals.Reserve{})
			event.GetWorkflowExecutionUpdateAcceptedEventAttributes().AcceptedRequest.Input = &update.Input{Name: signals.UpdateHold, Args: payloads}
			return event
		}
		s := newServer(t)
		s.begin(queue, nil)
		s.end()
		s.history = []*history.HistoryEvent{
			began(t, signals.GuardInput{}), hold("a", signals.MaxHold), hold("b", signals.MaxHold), hold("a", 0),
		}
		w, _ := watched(t, s)
		defer w.Stop()
		require.Equal(t, []signals.Slot{{
			Host: []string{"b"}, Holder: "b", Since: now.Add(-time.Minute), Until: now.Add(signals.MaxHold - time.Minute),
		}}, s.started[0].input.Carried.Slots)
	})
}

func TestTheNextGuardKnowsWhatTheLastOneGave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		var before signals.GuardPage
		handed, _ := before.Take(reservation("a"), now.Add(-30*time.Minute))
		s := newServer(t)
		s.begin(queue, nil)
		s.end()
		s.history = []*history.HistoryEvent{
			began(t, signals.GuardInput{Carried: &before}), gave(t, now.Add(-10*time.Minute), reservation("b")),
		}
		w, _ := watched(t, s)
		defer w.Stop()
		require.Len(t, s.started, 1)
		next := s.started[0].input.Carried
		require.Equal(t, signals.GuardOpen, next.State)
		require.Equal(t, []string{"a", "b"}, []string{next.Reservations[0].CallerID, next.Reservations[1].CallerID})
		require.Equal(t, handed, next.Reservations[0])
		require.Equal(t, now.Add(50*time.Minute), next.Reservations[1].Until)
	})
}

// A guard that knew of nothing would give everything once more.
func TestAGuardWhoseLedgerCannotBeReadHasNoSuccessor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.begin(queue, nil)
		s.end()
		s.unread = errDown
		w, logged := watched(t, s)
		defer w.Stop()
		require.Empty(t, s.started)
		require.Contains(t, logged.String(), "read what the last guard gave: connection refused")
		require.EqualError(t, w.Reserve(t.Context(), reservation("a"), false),
			"ask the guard for the budget of KILL_CONTAINER: read what the last guard gave: connection refused")
	})
}
