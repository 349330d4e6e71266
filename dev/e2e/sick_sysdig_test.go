package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// One incident's request gets no answer, another's is to come back much later:
// a third one is contained as if nothing were wrong.
func TestASysdigThatHangsOrIsBusyForOneIncidentDelaysNoOther(t *testing.T) {
	t.Parallel()
	targets := newTargets(3)
	f := prepare(t, shared, minerRoute(`, approval: {mode: none}`), sysdigtest.Options{}, targets...)
	f.starter()
	f.worker()
	open := func(n int) *incident { return f.open(newEvent(t, targets[n], minerRule)) }
	submitted := func(n int) {
		f.await("another action is submitted", func() bool { return f.sysdig.Requests(http.MethodPost, executions) == n })
	}

	f.sysdig.Fault(sysdigtest.Fault{
		Method: http.MethodPost, Path: executions, Times: 1, Latency: time.Hour, Status: http.StatusServiceUnavailable,
	})
	hung := open(0)
	submitted(1)
	f.sysdig.Fault(sysdigtest.Fault{
		Method: http.MethodPost, Path: executions, Times: 1, Status: http.StatusTooManyRequests, RetryAfter: 20 * time.Minute,
	})
	busy := open(1)
	submitted(2)

	well := open(2)
	well.await("the third incident is contained", func() bool {
		state, _ := well.state()
		return state == signals.Contained
	})
	ledger := f.sysdig.Ledger()
	require.Equal(t, 1, ledger.Killed(targets[2].Containers[0]))
	require.Len(t, ledger, 1, "the others still wait")
	for _, i := range []*incident{hung, busy} {
		state, _ := i.state()
		require.NotContains(t, []signals.State{signals.Contained, signals.Failed, signals.Ambiguous}, state)
	}
}

// A token that may execute but not read sees no execution. That its list is empty
// proves nothing after a submission whose answer was lost.
func TestLostAnswerWithoutReadPermissionAsksAnAnalyst(t *testing.T) {
	t.Parallel()
	f := install(t, shared, minerRoute(`, approval: {mode: none}`), sysdigtest.Options{Deny: []sysdigtest.Permission{sysdigtest.ContainmentRead}})
	f.starter()
	f.worker()
	f.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true})
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	require.Equal(t, 1, f.killed(), "the submission took effect")
	require.Equal(t, 1, f.sysdig.Requests(http.MethodPost, executions), "and was not repeated")
	require.True(t, told(i.show(), signals.KindAction, "containment-response-actions.read"))
	i.signal(signals.Reject, signals.Decision{Analyst: "ann", Reason: "it ran, as the host shows"})
	require.Equal(t, signals.Ambiguous, i.page().Outcome)
}
