package guard_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"

	"firebreak/internal/guard"
	"firebreak/signals"
)

const (
	namespace = "soc"
	queue     = "firebreak"
	// longPoll is how long the server lets a request wait for something to happen.
	longPoll = 20 * time.Second
)

var errDown = errors.New("connection refused")

// server is a Temporal that has nothing but a guard, or not even that.
type server struct {
	client.Client
	t *testing.T

	mu sync.Mutex
	// run is the latest run of the guard, nil if there was none, and runs counts
	// them.
	run  *workflow.WorkflowExecutionInfo
	runs int
	// events counts what happened in the run, and changed is closed by the next.
	events  int
	changed chan struct{}
	// blind and deaf are why the guard cannot be looked at or followed; it hangs if
	// nothing is answered at all.
	blind, deaf error
	hangs       bool
	// slow is how long a look takes, and lingers how long a long poll that is given
	// up goes on.
	slow, lingers time.Duration
	// looks counts the looks, and started is what was started.
	looks   int
	started []start
	// unstartable is why no guard can be started.
	unstartable error
	// updates are those that were sent, asking how many of them wait for an answer,
	// and most how many ever did; ledger answers them.
	updates      []client.UpdateWorkflowOptions
	asking, most int
	ledger       func(signals.Reserve) error
	// taken is what is answered, nil for what was asked for.
	taken *signals.Reservation
	// history is that of the run that ended, and unread why it cannot be read.
	history []*history.HistoryEvent
	unread  error
}

type start struct {
	options client.StartWorkflowOptions
	kind    any
	input   signals.GuardInput
}

func newServer(t *testing.T) *server {
	t.Helper()
	return &server{t: t, changed: make(chan struct{})}
}

// happened wakes whoever follows.
func (s *server) happened() {
	s.events++
	close(s.changed)
	s.changed = make(chan struct{})
}

// begin begins a run of the guard.
func (s *server) begin(onQueue string, frozen *signals.Frozen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.run = &workflow.WorkflowExecutionInfo{
		Execution: &common.WorkflowExecution{WorkflowId: signals.GuardID, RunId: "run-" + strconv.Itoa(s.runs)},
		Status:    enums.WORKFLOW_EXECUTION_STATUS_RUNNING, TaskQueue: onQueue, Memo: s.memo(frozen),
	}
	s.happened()
}

// end ends the run from outside.
func (s *server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = &workflow.WorkflowExecutionInfo{
		Execution: s.run.GetExecution(), TaskQueue: s.run.GetTaskQueue(), Memo: s.run.GetMemo(), Status: enums.WORKFLOW_EXECUTION_STATUS_TERMINATED,
	}
	s.happened()
}

// pause pauses the run, or lets it go on.
func (s *server) pause(status enums.WorkflowExecutionStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = &workflow.WorkflowExecutionInfo{
		Execution: s.run.GetExecution(), TaskQueue: s.run.GetTaskQueue(), Memo: s.run.GetMemo(), Status: status,
	}
	s.happened()
}

// turn turns the switch.
func (s *server) turn(frozen *signals.Frozen) { s.show(s.memo(frozen)) }

func (s *server) show(memo *common.Memo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = &workflow.WorkflowExecutionInfo{
		Execution: s.run.GetExecution(), TaskQueue: s.run.GetTaskQueue(), Status: s.run.GetStatus(), Memo: memo,
	}
	s.happened()
}

// memo is the memo as the server keeps it: a field that was set to nil is gone.
func (s *server) memo(frozen *signals.Frozen) *common.Memo {
	if frozen == nil {
		return &common.Memo{}
	}
	payload, err := converter.GetDefaultDataConverter().ToPayload(*frozen)
	require.NoError(s.t, err)
	return &common.Memo{Fields: map[string]*common.Payload{signals.MemoFrozen: payload}}
}

// set changes how the server behaves.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// looked is how often the guard was looked at.
func (s *server) looked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks
}

func (s *server) DescribeWorkflowExecution(ctx context.Context, id, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	s.mu.Lock()
	s.looks++
	run, blind, hangs, slow := s.run, s.blind, s.hangs, s.slow
	s.mu.Unlock()
	<-time.After(slow)
	switch {
	case hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	case blind != nil:
		return nil, blind
	case id != signals.GuardID || runID != "" || run == nil:
		return nil, serviceerror.NewNotFound("workflow not found")
	default:
		return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: run}, nil
	}
}

func (s *server) ExecuteWorkflow(_ context.Context, options client.StartWorkflowOptions, kind any, args ...any) (client.WorkflowRun, error) {
	if s.unstartable != nil {
		return nil, s.unstartable
	}
	in, _ := args[0].(signals.GuardInput)
	s.set(func() { s.started = append(s.started, start{options, kind, in}) })
	var frozen *signals.Frozen
	if in.Carried != nil {
		frozen = in.Carried.Frozen
	}
	s.begin(options.TaskQueue, frozen)
	return nil, nil
}

func (s *server) WorkflowService() workflowservice.WorkflowServiceClient { return service{server: s} }

type service struct {
	workflowservice.WorkflowServiceClient
	server *server
}

// GetWorkflowExecutionHistory answers as a server does: at once if something
// happened since the token, and else when it does, or with nothing after a
// while; without a token once the run has ended.
func (c service) GetWorkflowExecutionHistory(ctx context.Context, in *workflowservice.GetWorkflowExecutionHistoryRequest, _ ...grpc.CallOption) (*workflowservice.GetWorkflowExecutionHistoryResponse, error) {
	s := c.server
	if in.GetNamespace() != namespace || !in.GetWaitNewEvent() {
		return nil, serviceerror.NewInvalidArgument("not a long poll of this namespace")
	}
	wait := time.NewTimer(longPoll)
	defer wait.Stop()
	defer func() {
		if ctx.Err() != nil {
			<-time.After(s.lingers)
		}
	}()
	for waited := false; ; {
		s.mu.Lock()
		run, events, changed, deaf, hangs := s.run, s.events, s.changed, s.deaf, s.hangs
		s.mu.Unlock()
		ended := run.GetExecution().GetRunId() != in.GetExecution().GetRunId() || !signals.IsOpen(run.GetStatus())
		token := []byte(strconv.Itoa(events))
		switch {
		case hangs:
			changed, wait.C = nil, nil
		case deaf != nil:
			return nil, deaf
		case ended:
			return &workflowservice.GetWorkflowExecutionHistoryResponse{}, nil
		case waited || string(in.GetNextPageToken()) != string(token):
			return &workflowservice.GetWorkflowExecutionHistoryResponse{NextPageToken: token}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-wait.C:
			waited = true
		}
	}
}

// watched is a watch of the server that has started, and what it logs.
func watched(t *testing.T, s *server) (*guard.Watch, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	w := guard.NewWatch(s, namespace, queue, slog.New(slog.NewTextHandler(&logged, nil)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel() // it bounds the start, not what follows
	w.Start(ctx)
	synctest.Wait()
	return w, &logged
}

// pass lets time pass in the bubble, and what is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func frozen(by string) *signals.Frozen {
	return &signals.Frozen{By: by, Reason: "maintenance", Since: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
}

func TestAWorkerStartsTheGuardWhereThereIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		w, logged := watched(t, s)
		defer w.Stop()
		require.Len(t, s.started, 1)
		begun := s.started[0]
		require.Equal(t, signals.WorkflowGuard, begun.kind)
		require.Equal(t, signals.GuardID, begun.options.ID)
		require.Equal(t, queue, begun.options.TaskQueue)
		require.Equal(t, enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, begun.options.WorkflowIDConflictPolicy, "of two workers that start at once one does")
		require.Equal(t, signals.GuardInput{}, begun.input)
		by, known := w.Known()
		require.Nil(t, by)
		require.True(t, known)
		require.Empty(t, logged.String())
	})
}

func TestAGuardThatRunsIsLeftAloneWhereverItRuns(t *testing.T) {
	t.Parallel()
	for on, want := range map[string]string{
		queue:   "",
		"other": `level=WARN msg="The guard of this namespace is on another task queue." guard_queue=other queue=firebreak`,
	} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.begin(on, frozen("ann"))
				w, logged := watched(t, s)
				defer w.Stop()
				require.Empty(t, s.started)
				by, known := w.Known()
				require.True(t, known)
				require.Equal(t, frozen("ann"), by)
				require.Contains(t, logged.String(), `level=WARN msg="Containment is frozen." by=ann`)
				require.Contains(t, logged.String(), want)
				require.Equal(t, want == "", !strings.Contains(logged.String(), "another task queue"))
			})
		})
	}
}

func TestTheNextGuardGoesOnWithWhatTheLastOneSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		last *signals.Frozen
		want *signals.GuardPage
	}{
		"frozen":  {frozen("ann"), &signals.GuardPage{State: signals.GuardFrozen, Frozen: frozen("ann"), WarRoom: []signals.Entry{}}},
		"allowed": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.begin(queue, test.last)
				s.end()
				w, _ := watched(t, s)
				defer w.Stop()
				require.Len(t, s.started, 1)
				require.Equal(t, test.want, s.started[0].input.Carried)
				by, known := w.Known()
				require.True(t, known)
				require.Equal(t, test.last, by)
			})
		})
	}
}

func TestAFreezeIsKnownAtOnceAndSoIsItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		w, _ := watched(t, s)
		defer w.Stop()
		pass(time.Minute + 7*time.Second)
		for _, want := range []*signals.Frozen{frozen("ann"), nil, frozen("bob"), nil} {
			s.turn(want)
			synctest.Wait() // no time passes
			looks := s.looked()
			by, known := w.Known()
			require.True(t, known)
			require.Equal(t, want, by)
			by, err := w.Frozen(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, by)
			if want == nil {
				require.True(t, w.Thawed())
				require.Equal(t, looks, s.looked(), "who asks is answered from memory")
			} else {
				require.False(t, w.Thawed())
				require.Equal(t, looks+1, s.looked(), "a freeze is confirmed before it refuses anybody")
			}
		}
	})
}

func TestWhatIsKnownOfAQuietGuardHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		w, _ := watched(t, s)
		defer w.Stop()
		s.turn(frozen("ann"))
		synctest.Wait()
		looks := s.looked()
		for range 300 {
			pass(time.Second)
			by, known := w.Known()
			require.True(t, known)
			require.Equal(t, frozen("ann"), by)
		}
		require.Equal(t, looks+15, s.looked(), "one look after each long poll")
	})
}

func TestAGuardThatWasTerminatedHasTheLastWordUntilThereIsANextOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		w, _ := watched(t, s)
		defer w.Stop()
		s.turn(frozen("ann"))
		synctest.Wait()
		s.end()
		for range 120 {
			pass(time.Second)
			by, known := w.Known()
			require.True(t, known)
			require.Equal(t, frozen("ann"), by)
		}
		// Another worker starts the next one.
		s.begin(queue, frozen("ann"))
		pass(time.Second)
		s.turn(nil)
		synctest.Wait()
		by, known := w.Known()
		require.True(t, known)
		require.Nil(t, by, "the next run is followed")
		require.Len(t, s.started, 1)
	})
}

func TestWhereTheGuardCannotBeFollowedItIsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
		s.begin(queue, frozen("ann"))
		_, known := w.Known()
		require.False(t, known, "nothing is known before the start")
		by, err := w.Frozen(t.Context())
		require.NoError(t, err)
		require.Equal(t, frozen("ann"), by)
		s.turn(nil)
		by, err = w.Frozen(t.Context())
		require.NoError(t, err)
		require.Nil(t, by)
		require.Equal(t, 2, s.looked())
		w.Stop() // what was never started
	})
}

func TestWhoCannotBeAskedHasNotSaidThatNothingIsFrozen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		breaks func(*server)
		want   string
		// after is how long the answer takes, and holds for how long what is in memory
		// does.
		after, holds time.Duration
	}{
		"down":  {func(s *server) { s.blind, s.deaf = errDown, errDown; s.happened() }, "ask whether containment is frozen: connection refused", 0, 0},
		"hangs": {func(s *server) { s.hangs = true }, "ask whether containment is frozen: context deadline exceeded", 5 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				w, _ := watched(t, s)
				defer w.Stop()
				seen := time.Now()
				s.set(func() { test.breaks(s) })
				if test.holds > 0 {
					pass(test.holds - 1)
					_, known := w.Known()
					require.True(t, known, "for a while what is in memory holds")
					pass(1)
				}
				synctest.Wait()
				require.Equal(t, test.holds, time.Since(seen))
				_, known := w.Known()
				require.False(t, known, "who is not followed may have frozen meanwhile")
				asked := time.Now()
				by, err := w.Frozen(t.Context())
				require.EqualError(t, err, test.want)
				require.Nil(t, by)
				require.Equal(t, test.after, time.Since(asked))
			})
		})
	}
}

func TestWhatASlowServerSaysIsAsOldAsTheQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		w, _ := watched(t, s)
		defer w.Stop()
		s.set(func() { s.slow = 4 * time.Second })
		asked := time.Now()
		s.turn(frozen("ann"))
		pass(s.slow)
		by, _ := w.Known()
		require.Equal(t, frozen("ann"), by)
		s.set(func() { s.hangs = true })
		pass(30*time.Second - time.Since(asked) - 1)
		_, known := w.Known()
		require.True(t, known)
		pass(1)
		_, known = w.Known()
		require.False(t, known)
	})
}

func TestAWatchThatLostTheGuardFindsItAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		w, _ := watched(t, s)
		defer w.Stop()
		s.set(func() { s.blind, s.deaf = errDown, errDown; s.happened() })
		pass(time.Hour)
		s.turn(frozen("ann"))
		s.set(func() { s.blind, s.deaf = nil, nil })
		pass(time.Second)
		by, known := w.Known()
		require.True(t, known)
		require.Equal(t, frozen("ann"), by)
		s.turn(nil)
		synctest.Wait()
		by, known = w.Known()
		require.True(t, known)
		require.Nil(t, by)
	})
}

func TestAMemoThatCannotBeReadDoesNotMeanThatNothingIsFrozen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.begin(queue, frozen("ann"))
		s.show(&common.Memo{Fields: map[string]*common.Payload{
			signals.MemoFrozen: {Metadata: map[string][]byte{"encoding": []byte("binary/encrypted")}, Data: []byte("?")},
		}})
		w := guard.NewWatch(s, namespace, queue, slog.New(slog.DiscardHandler))
		_, err := w.Frozen(t.Context())
		require.ErrorContains(t, err, "read the guard's memo")

		// Nor is it replaced by one that says so.
		s.end()
		w, logged := watched(t, s)
		defer w.Stop()
		require.Empty(t, s.started)
		require.Contains(t, logged.String(), "read the guard's memo")
		_, known := w.Known()
		require.False(t, known)
		_, err = w.Frozen(t.Context())
		require.ErrorContains(t, err, "read the guard's memo")
	})
}

func TestAWorkerThatCannotStartAGuardSaysSoAndWorksWithout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		breaks func(*server)
		want   string
	}{
		"not looked up": {func(s *server) { s.blind = errDown }, "look up the guard: connection refused"},
		"not started":   {func(s *server) { s.unstartable = errDown }, "start the guard: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				test.breaks(s)
				w, logged := watched(t, s)
				defer w.Stop()
				require.Empty(t, s.started)
				require.Contains(t, logged.String(), test.want)
				// A guard that comes later is found.
				s.set(func() { s.blind = nil })
				s.begin(queue, frozen("ann"))
				pass(time.Second)
				by, known := w.Known()
				require.True(t, known)
				require.Equal(t, frozen("ann"), by)
			})
		})
	}
}

func TestAWatchThatIsStoppedFollowsNothingAnyMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.lingers = 3 * time.Second
		w, _ := watched(t, s)
		stopped := time.Now()
		w.Stop()
		require.Equal(t, s.lingers, time.Since(stopped), "the long poll is given up, and waited for")
		looks := s.looked()
		pass(time.Hour)
		require.Equal(t, looks, s.looked())
	})
}

func TestPausedGuardAllowsNoContainment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		w, _ := watched(t, s)
		defer w.Stop()
		_, err := w.Frozen(t.Context())
		require.NoError(t, err)

		s.pause(enums.WORKFLOW_EXECUTION_STATUS_PAUSED)
		synctest.Wait()
		require.False(t, w.Thawed(), "it is known at once")
		_, err = w.Frozen(t.Context())
		require.ErrorContains(t, err, "the guard is paused in Temporal")

		s.pause(enums.WORKFLOW_EXECUTION_STATUS_RUNNING)
		pass(2 * time.Second)
		frozen, err := w.Frozen(t.Context())
		require.NoError(t, err)
		require.Nil(t, frozen)
		require.Len(t, s.started, 1, "no second guard was started")
	})
}
