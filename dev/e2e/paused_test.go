package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// A workflow that is paused in Temporal reads no signal and answers no query. Its
// incident is open all the same.
func TestPausedIncidentIsOpenAndGoesOnWithWhatWasSent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	temporal, err := startTemporal(ctx, t.TempDir(), "0", "frontend.WorkflowPauseEnabled=true")
	require.NoError(t, err)
	t.Cleanup(temporal.stop)
	f := install(t, temporal, minerRoute(`, approval: {mode: one}`), sysdigtest.Options{})
	f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	_, err = temporal.WorkflowService().PauseWorkflowExecution(f.ctx, &workflowservice.PauseWorkflowExecutionRequest{
		Namespace: "default", WorkflowId: i.WorkflowID, Identity: "ann@laptop", Reason: "maintenance",
	})
	require.NoError(t, err)

	require.Equal(t, 1, f.count(signals.Waiting(signals.AwaitingApproval)))
	f.await("it is listed as paused", func() bool {
		return strings.Contains(f.run(firebreak(), "incidents", "--state", "awaiting-approval").stdout, "awaiting-approval (paused)")
	})
	require.Contains(t, f.run(firebreak(), "__complete", "show", "").stdout, i.WorkflowID)
	done := f.run(firebreak(), "show", i.WorkflowID)
	require.Zero(t, done.code, done.stderr)
	require.Contains(t, done.stdout, "in Temporal, by ann@laptop")
	require.Contains(t, done.stdout, "maintenance")
	require.Contains(t, done.stdout, "awaiting-approval")
	page := i.shown()
	require.Equal(t, "ann@laptop", page.Paused.By)
	require.False(t, page.Paused.Since.IsZero())

	done = f.run(firebreak(), "approve", "--query", `IncidentHost = "`+f.host.Name+`"`, "--yes", "--analyst", "ann", "--reason", "all of them")
	require.Equal(t, 1, done.code)
	require.Contains(t, done.stdout, "skipped")
	require.Contains(t, done.stdout, "paused in Temporal")
	done = f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Equal(t, 1, done.code)
	require.Contains(t, done.stdout, "unanswered")
	require.Contains(t, done.stdout, "paused in Temporal")
	require.Zero(t, f.killed())

	_, err = temporal.WorkflowService().UnpauseWorkflowExecution(f.ctx, &workflowservice.UnpauseWorkflowExecutionRequest{
		Namespace: "default", WorkflowId: i.WorkflowID, Identity: "ann@laptop", Reason: "done",
	})
	require.NoError(t, err)
	page = i.contained()
	require.True(t, told(page, signals.KindDecision, "approved KILL_CONTAINER: confirmed"))
	require.Nil(t, i.shown().Paused)
}
