package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// executions is where response actions are submitted.
const executions = "/secure/response-actions/v1alpha1/action-executions"

func TestAnIncidentThatWaitsForApprovalSurvivesAKilledWorker(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	first := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	first.kill()
	f.worker()
	i.approve()
	page := i.contained()
	require.True(t, told(page, signals.KindDecision, "approved KILL_CONTAINER: confirmed"))
}

func TestAnApprovalThatArrivesWhileNoWorkerRunsCounts(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	first := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	first.kill()
	i.approve()
	require.Zero(t, f.killed())
	f.worker()
	i.contained()
	require.Equal(t, 1, f.sysdig.Requests(http.MethodPost, executions))
}

// The first worker dies while Sysdig, which has accepted the action, has not
// answered yet. The next one must find it and must not submit it again.
func TestAnActionThatWasAcceptedBeforeTheWorkerDiedIsAdopted(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	f.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Latency: time.Minute})
	i := f.killDuring(f.openMiner, "KILL_CONTAINER", executions)
	f.worker()
	page := i.contained()
	require.True(t, told(page, signals.KindAction, "submitted earlier and adopted"))
	require.Equal(t, 1, f.sysdig.Requests(http.MethodPost, executions))
}

// The worker is missed after ten seconds, and the list of executions is that far
// behind and more: the next worker must look until the list has caught up.
func TestAnActionThatIsListedLateIsAdopted(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{ListLag: 15 * time.Second})
	f.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Latency: time.Minute})
	i := f.killDuring(f.openMiner, "KILL_CONTAINER", executions)
	f.worker()
	page := i.contained()
	require.True(t, told(page, signals.KindAction, "submitted earlier and adopted"))
	require.Equal(t, 1, f.sysdig.Requests(http.MethodPost, executions))
}

// Here the request that the worker died over never took effect. The next worker
// cannot know, looks for it, and submits it once more.
func TestAnActionThatWasLostWithTheWorkerIsSubmittedAgain(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	f.sysdig.Fault(sysdigtest.Fault{
		Method: http.MethodPost, Path: executions, Times: 1, Latency: time.Minute, Status: http.StatusServiceUnavailable,
	})
	i := f.killDuring(f.openMiner, "KILL_CONTAINER", executions)
	f.worker()
	page := i.contained()
	require.False(t, told(page, signals.KindAction, "adopted"))
	require.Equal(t, 2, f.sysdig.Requests(http.MethodPost, executions))
}

// killDuring opens an incident, approves its action, and kills the worker while
// the action's request to a path of Sysdig is under way.
func (f *installation) killDuring(open func() *incident, action, path string) *incident {
	f.t.Helper()
	worker := f.worker()
	i := open()
	i.awaitRequest(action)
	i.approve()
	err := f.sysdig.WaitFor(f.ctx, func(sysdigtest.Ledger) bool { return f.sysdig.Requests(http.MethodPost, path) == 1 })
	require.NoError(f.t, err)
	worker.kill()
	return i
}
