package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/sdk/v1"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// details is the incident's page in Temporal Web; "" if no worker answers.
func (i *incident) details() string {
	answer, err := i.temporal.QueryWorkflow(i.ctx, i.WorkflowID, i.RunID, "__temporal_workflow_metadata")
	var metadata sdk.WorkflowMetadata
	if err != nil || answer.Get(&metadata) != nil {
		return ""
	}
	return metadata.GetCurrentDetails()
}

// shown is what `firebreak show --output json` prints.
func (i *incident) shown() signals.Page {
	i.t.Helper()
	done := i.run(firebreak(), "show", i.WorkflowID, "--output", "json")
	require.Zero(i.t, done.code, done.stderr)
	var page signals.Page
	require.NoError(i.t, json.Unmarshal([]byte(done.stdout), &page))
	return page
}

// requireRetrying waits until the incident says everywhere that a step failed at
// least twice and is tried again.
func (i *incident) requireRetrying(step, failure string) {
	i.t.Helper()
	i.await("the page in Temporal Web says that "+step+" is tried again", func() bool {
		page, err := i.look()
		return err == nil && len(page.Retrying) == 1 && page.Retrying[0].Failures > 1
	})
	page, err := i.look()
	require.NoError(i.t, err)
	require.Equal(i.t, step, page.Retrying[0].Step)
	require.Contains(i.t, page.Retrying[0].Failure, failure)
	require.True(i.t, page.Retrying[0].NextAttempt.After(page.Retrying[0].FailedAt))
	require.True(i.t, told(page, signals.KindRetry, failure))
	details := i.details()
	require.Contains(i.t, details, "### Failed, and tried again (UTC)")
	require.Contains(i.t, details, "next attempt at")

	live := i.shown().Retrying
	require.Len(i.t, live, 1)
	require.Equal(i.t, page.Retrying[0].ActivityID, live[0].ActivityID)
	require.Equal(i.t, step, live[0].Step)
	require.Contains(i.t, live[0].Failure, failure)
	require.GreaterOrEqual(i.t, live[0].Failures, page.Retrying[0].Failures)
	require.True(i.t, live[0].GivesUpAt.After(live[0].FailedAt))
	done := i.run(firebreak(), "show", i.WorkflowID)
	require.Zero(i.t, done.code, done.stderr)
	require.Contains(i.t, done.stdout, "retrying")
	require.Contains(i.t, done.stdout, failure)
}

func TestPageShowsWhatFailsWhileSysdigIsAway(t *testing.T) {
	t.Parallel()
	f := install(t, shared, minerRoute(`, approval: {mode: none}`), sysdigtest.Options{})
	f.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Status: http.StatusServiceUnavailable})
	f.worker()
	i := f.openMiner()
	i.requireRetrying("KILL_CONTAINER container "+f.host.Containers[0]+" on "+f.host.Name, "503")

	f.sysdig.ClearFaults()
	page := i.contained()
	require.Empty(t, page.Retrying)
	require.Empty(t, i.shown().Retrying)
	require.NotContains(t, i.details(), "tried again (UTC)")
}
