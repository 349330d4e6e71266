package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// approveBy approves an incident with the command.
func (i *incident) approveBy(analyst string) result {
	return i.run(firebreak(), "approve", i.WorkflowID, "--analyst", analyst, "--reason", "confirmed", "--wait", "3s")
}

func TestApproveReportsItsReceiptInEveryIncidentState(t *testing.T) {
	t.Parallel()
	f := install(t, shared, minerRoute(`, approval: {mode: two}`), sysdigtest.Options{})
	worker := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")

	// Open, and a worker is there.
	done := i.approveBy("ann")
	require.Zero(t, done.code, done.stdout+done.stderr)
	require.Contains(t, done.stdout, "approved KILL_CONTAINER (1 of 2): confirmed")
	done = i.approveBy("ann")
	require.Equal(t, 1, done.code)
	require.Contains(t, done.stdout, "refused")

	// Open, and no worker has processed the signal.
	worker.kill()
	done = i.approveBy("bob")
	require.Equal(t, 1, done.code)
	require.Contains(t, done.stdout, "unanswered")
	require.Zero(t, f.killed())
	f.worker()
	page := i.contained()
	require.True(t, told(page, signals.KindDecision, "approved KILL_CONTAINER (2 of 2)"))

	// Closed.
	done = i.approveBy("eve")
	require.Equal(t, 1, done.code)
	require.Contains(t, done.stdout, "the incident is closed: contained")
	require.Equal(t, signals.Contained, i.shown().Outcome)
}

// A run that was terminated holds a signal that no task has processed. What a query
// then says of the signal depends on the version of the SDK; that it is answered,
// and that nothing was done, does not.
func TestShowOfATerminatedIncidentWithAnUnreadSignal(t *testing.T) {
	t.Parallel()
	f := install(t, shared, minerRoute(`, approval: {mode: two}`), sysdigtest.Options{})
	worker := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	worker.kill()
	i.approve()
	require.NoError(t, f.temporal.TerminateWorkflow(f.ctx, i.WorkflowID, i.RunID, "by an operator"))
	f.worker()

	page := i.show()
	require.Equal(t, signals.AwaitingApproval, page.State)
	require.Equal(t, page.WorkflowID, i.shown().WorkflowID)
	done := i.approveBy("bob")
	require.Equal(t, 1, done.code)
	require.Contains(t, done.stdout, "the incident is closed")
	require.Zero(t, f.killed())
	f.await("it is listed as terminated", func() bool {
		return f.count(`ExecutionStatus = "Terminated" AND WorkflowId = "`+i.WorkflowID+`"`) == 1 &&
			f.count(signals.Waiting(signals.AwaitingApproval)+` AND WorkflowId = "`+i.WorkflowID+`"`) == 0
	})
}
