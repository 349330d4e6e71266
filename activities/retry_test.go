package activities_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/sysdig/sysdigtest"
)

// retries is how a playbook retries.
var retries = temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second}

// ended is how an activity ended, after its retries, and how long they waited.
type ended[T any] struct {
	Result T
	Took   time.Duration
}

// persist runs an activity with a playbook's retries. Time passes by itself
// while nothing runs.
func persist[T any](b *bench, activity, in any) (ended[T], error) {
	env := b.suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(b.activities)
	playbook := func(ctx workflow.Context) (ended[T], error) {
		began, out := workflow.Now(ctx), ended[T]{}
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: 30 * time.Minute, ScheduleToCloseTimeout: 30 * time.Minute, RetryPolicy: &retries,
		})
		err := workflow.ExecuteActivity(ctx, activity, in).Get(ctx, &out.Result)
		out.Took = workflow.Now(ctx).Sub(began)
		return out, err
	}
	env.RegisterWorkflow(playbook)
	env.ExecuteWorkflow(playbook)
	if err := env.GetWorkflowError(); err != nil {
		return ended[T]{}, err
	}
	var out ended[T]
	return out, env.GetWorkflowResult(&out)
}

// submits and lookups count the requests of their kind.
func (b *bench) submits() int { return b.sysdig.Requests(http.MethodPost, executions) }

// lookups are by caller ID, not by execution ID.
func (b *bench) lookups() int {
	return b.sysdig.Requests(http.MethodGet, executions[:len(executions)-1]+"*")
}

// errorType is the type of the error that an activity ended with.
func errorType(t *testing.T, err error) string {
	t.Helper()
	var activity *temporal.ActivityError
	require.ErrorAs(t, err, &activity)
	var app *temporal.ApplicationError
	require.ErrorAs(t, activity, &app)
	return app.Type()
}

func TestNoAnswerToASubmissionMakesItTakeEffectTwice(t *testing.T) {
	t.Parallel()
	ambiguous := []int{200, 201, 202, 204, 300, 301, 302, 303, 307, 308, 408, 500, 501, 502, 503, 504, 599}
	passing := []int{423, 425, 429}
	for _, code := range ambiguous {
		t.Run(strconv.Itoa(code)+" after it was accepted", func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Status: code, After: true})
			done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
			require.NoError(t, err)
			require.True(t, done.Result.Adopted)
			require.Equal(t, 1, b.submits())
			require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
		})
		t.Run(strconv.Itoa(code)+" instead of it", func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Status: code})
			done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
			require.NoError(t, err)
			require.False(t, done.Result.Adopted)
			require.Equal(t, 2, b.submits())
			require.Greater(t, b.lookups(), 1, "it must look for a while before it submits again")
			require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
		})
	}
	for _, code := range passing {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 2, Status: code})
			done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
			require.NoError(t, err)
			require.False(t, done.Result.Adopted)
			require.Equal(t, 3, b.submits())
			require.Equal(t, 2, b.lookups(), "one look is enough where nothing can be on its way")
			require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
		})
	}
	for name, fault := range map[string]sysdigtest.Fault{
		"the connection breaks": {ResetAfter: true},
		"the answer breaks off": {Truncate: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			fault.Method, fault.Path, fault.Times = http.MethodPost, executions, 1
			b.sysdig.Fault(fault)
			done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
			require.NoError(t, err)
			require.True(t, done.Result.Adopted)
			require.Equal(t, 1, b.submits())
			require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
		})
	}
	for _, code := range []int{400, 401, 403, 404, 405, 410, 413, 415, 422} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Status: code})
			_, err := persist[activities.Execution](b, a.ExecuteAction, kill())
			require.NotEqual(t, activities.ErrAmbiguous, errorType(t, err))
			require.Equal(t, 1, b.submits())
			require.Empty(t, b.sysdig.Ledger())
		})
	}
}

func TestAConflictIsLookedUpBeforeItIsARefusal(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{ListLag: 100 * time.Millisecond})
	b.activities.Settle = 10 * time.Second
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Status: http.StatusConflict, After: true})
	done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	require.True(t, done.Result.Adopted)
	require.Equal(t, 1, b.submits())
	require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))

	b = newBench(t, sysdigtest.Options{})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Status: http.StatusConflict})
	_, err = persist[activities.Execution](b, a.ExecuteAction, kill())
	require.Equal(t, activities.ErrRefused, errorType(t, err))
	require.Equal(t, 1, b.submits())
	require.Greater(t, b.lookups(), 1)
}

func TestAnExecutionThatIsListedLateIsAdopted(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{ListLag: 200 * time.Millisecond})
	b.activities.Settle = 30 * time.Second
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true})
	done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	require.True(t, done.Result.Adopted)
	require.Greater(t, b.lookups(), 1)
	require.Equal(t, 1, b.submits())
	require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
}

// That an attempt was refused says nothing of the one after it, which may have
// died without a word.
func TestARefusalSpeaksForItsOwnAttemptOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{ListLag: 200 * time.Millisecond})
	b.activities.Settle = 30 * time.Second
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Status: http.StatusTooManyRequests})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true})
	done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	require.True(t, done.Result.Adopted)
	require.Equal(t, 2, b.submits())
	require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
}

func TestAConflictThatCannotBeLookedUpIsNoRefusal(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{ListLag: 200 * time.Millisecond})
	b.activities.Settle = 30 * time.Second
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Status: http.StatusConflict, After: true})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: executions, Times: 1, Status: http.StatusBadGateway})
	done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	require.True(t, done.Result.Adopted)
	require.Equal(t, 1, b.submits())
	require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
}

// What was listed when the look began is older than the answer.
func TestTheLastLookBeginsWhenEverythingMustHaveArrived(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{ListLag: 400 * time.Millisecond})
	b.activities.Settle = 100 * time.Millisecond
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: executions, Times: 1, Latency: 500 * time.Millisecond})
	done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	require.True(t, done.Result.Adopted)
	require.Equal(t, 1, b.submits())
	require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
}

func TestABusySysdigIsAskedAgainWhenItSaysAndNothingIsLost(t *testing.T) {
	t.Parallel()
	const wait = 10 * time.Minute
	for name, test := range map[string]struct {
		faults           []sysdigtest.Fault
		submits, lookups int
		adopted          bool
	}{
		"submitting": {[]sysdigtest.Fault{
			{Method: http.MethodPost, Path: executions, Times: 1, Status: http.StatusTooManyRequests, RetryAfter: wait},
		}, 2, 1, false},
		"submitting, unavailable": {[]sysdigtest.Fault{
			{Method: http.MethodPost, Path: executions, Times: 1, Status: http.StatusServiceUnavailable, RetryAfter: wait, After: true},
		}, 1, 1, true},
		"following": {[]sysdigtest.Fault{
			{Method: http.MethodGet, Path: executions + "/*", Times: 1, Status: http.StatusTooManyRequests, RetryAfter: wait},
		}, 1, 0, false},
		"looking it up": {[]sysdigtest.Fault{
			{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true},
			{Method: http.MethodGet, Path: executions, Times: 1, Status: http.StatusTooManyRequests, RetryAfter: wait},
		}, 1, 2, true},
		"following what was adopted": {[]sysdigtest.Fault{
			{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true},
			{Method: http.MethodGet, Path: executions + "/*", Times: 1, Status: http.StatusTooManyRequests, RetryAfter: wait},
		}, 1, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			for _, f := range test.faults {
				b.sysdig.Fault(f)
			}
			done, err := persist[activities.Execution](b, a.ExecuteAction, kill())
			require.NoError(t, err)
			require.GreaterOrEqual(t, done.Took, wait)
			require.Less(t, done.Took, wait+time.Minute)
			require.Equal(t, test.adopted, done.Result.Adopted)
			require.Equal(t, test.submits, b.submits())
			require.Equal(t, test.lookups, b.lookups())
			require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
		})
	}
}

// Where time runs out while nobody knows yet, the incident is ambiguous: an
// analyst who tries again would do it under another caller ID.
func TestRunningOutOfTimeIsAmbiguousUnlessNothingCanHaveHappened(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault sysdigtest.Fault
		want  string
	}{
		"submissions end without an answer": {sysdigtest.Fault{Method: http.MethodPost, Path: executions, Status: http.StatusBadGateway}, activities.ErrAmbiguous},
		"submissions break off":             {sysdigtest.Fault{Method: http.MethodPost, Path: executions, ResetBefore: true}, activities.ErrAmbiguous},
		"it cannot be followed":             {sysdigtest.Fault{Method: http.MethodGet, Path: executions, Status: http.StatusServiceUnavailable}, activities.ErrAmbiguous},
		"it is not to be followed so soon": {
			sysdigtest.Fault{Method: http.MethodGet, Path: executions, Status: http.StatusTooManyRequests, RetryAfter: time.Hour},
			activities.ErrAmbiguous,
		},
		"it may never be submitted": {sysdigtest.Fault{Method: http.MethodPost, Path: executions, Status: http.StatusTooManyRequests}, "sysdig-busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			b.activities.Settle = time.Millisecond
			b.sysdig.Fault(test.fault)
			_, err := persist[activities.Execution](b, a.ExecuteAction, kill())
			require.Equal(t, test.want, errorType(t, err))
		})
	}
}

func TestAnExecutionThatIsNotThereYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.activities.Settle = 30 * time.Second
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: executions + "/*", Times: 3, Status: http.StatusNotFound})
	done, err := run[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	require.Equal(t, "COMPLETED", done.Status)

	b = newBench(t, sysdigtest.Options{})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: executions + "/*", Status: http.StatusNotFound})
	_, err = run[activities.Execution](b, a.ExecuteAction, kill())
	require.Equal(t, activities.ErrAmbiguous, final(t, err), "it was accepted, and is gone")
}

func TestNoAnswerToACreationTakesTwoCaptures(t *testing.T) {
	t.Parallel()
	for _, fault := range []sysdigtest.Fault{
		{Status: 200, After: true},
		{Status: 201, After: true},
		{Status: 204, After: true},
		{Status: 302, After: true},
		{Status: 408, After: true},
		{Status: 502, After: true},
		{Status: 503, After: true, RetryAfter: time.Minute},
		{ResetAfter: true},
		{Truncate: true},
	} {
		// The list is behind, and a host takes one capture at a time: a second
		// creation would be refused as long as the first one lasts, and then not.
		b := newBench(t, sysdigtest.Options{ListLag: 50 * time.Millisecond})
		b.activities.Settle = 10 * time.Second
		fault.Method, fault.Path, fault.Times = http.MethodPost, "/api/v1/captures", 1
		b.sysdig.Fault(fault)
		created, err := persist[activities.Capture](b, a.CreateCapture, captureOfNode())
		require.NoError(t, err, "%+v", fault)
		require.NotZero(t, created.Result.ID)
		require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, "/api/v1/captures"), "%+v", fault)
		require.NoError(t, b.sysdig.WaitFor(t.Context(), func(l sysdigtest.Ledger) bool { return l.Count(captures) > 0 }))
		require.Equal(t, 1, b.sysdig.Ledger().Count(captures))
	}
}
