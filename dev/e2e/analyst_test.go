package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

func TestAnAnalystApprovesWithFirebreak(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")

	shown := f.run(firebreak(), "show", i.WorkflowID, "--output", "json")
	require.Zero(t, shown.code, shown.stderr)
	var page signals.Page
	require.NoError(t, json.Unmarshal([]byte(shown.stdout), &page))
	require.Equal(t, i.RunID, page.RunID)
	require.Equal(t, signals.AwaitingApproval, page.State)
	require.Equal(t, map[string]any{"host.id": f.host.ID, "container.id": f.host.Containers[0]}, page.Pending.Parameters)

	listed := f.run(firebreak(), "incidents", "--state", "awaiting-approval", "--limit", "1000", "--output", "json")
	require.Zero(t, listed.code, listed.stderr)
	var rows []struct {
		WorkflowID string `json:"workflow_id"`
		Host       string `json:"host"`
		Container  string `json:"container"`
		Pending    string `json:"pending"`
	}
	require.NoError(t, json.Unmarshal([]byte(listed.stdout), &rows))
	found := false
	for _, row := range rows {
		if row.WorkflowID == i.WorkflowID {
			found = true
			require.Equal(t, f.host.Name, row.Host)
			require.Equal(t, f.host.Containers[0], row.Container)
			require.Equal(t, "KILL_CONTAINER", row.Pending)
		}
	}
	require.True(t, found, listed.stdout)

	wrong := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed", "--request", "000000000000")
	require.Equal(t, 1, wrong.code, wrong.stdout)
	require.Contains(t, wrong.stdout, "refused")
	require.Contains(t, wrong.stdout, "pending is "+page.Pending.ID)
	require.Zero(t, f.killed())

	approved := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed", "--request", page.Pending.ID)
	require.Zero(t, approved.code, approved.stderr)
	require.Contains(t, approved.stdout, "counted")
	i.contained()

	late := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "bob", "--reason", "me too")
	require.Equal(t, 1, late.code, late.stdout)
	require.Contains(t, late.stdout, "the incident is closed: contained")
}

func TestAnAnalystRejectsWithFirebreak(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	unexplained := f.run(firebreak(), "reject", i.WorkflowID, "--analyst", "bob")
	require.Equal(t, 2, unexplained.code, unexplained.stdout)
	require.Contains(t, unexplained.stderr, "--reason is missing")
	rejected := f.run(firebreak(), "reject", i.WorkflowID, "--analyst", "bob", "--reason", "a drill")
	require.Zero(t, rejected.code, rejected.stderr)
	require.Contains(t, rejected.stdout, "rejected KILL_CONTAINER: a drill")

	page := i.page()
	require.Equal(t, signals.Rejected, page.Outcome)
	require.Empty(t, f.sysdig.Ledger())
	i.verify(page)
}

func TestAnAnalystApprovesWithTheTemporalCLI(t *testing.T) {
	t.Parallel()
	cli := temporalCommand(t)
	f := install(t, shared, routes, sysdigtest.Options{})
	f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	sent := f.run(cli, "workflow", "signal", "-w", i.WorkflowID, "--name", "approve",
		"--input", `{"analyst":"ann","reason":"confirmed miner"}`)
	require.Zero(t, sent.code, sent.stderr)
	page := i.contained()
	require.True(t, told(page, signals.KindDecision, "approved KILL_CONTAINER: confirmed miner"))
}

// temporalCommand is the `temporal` command. Without one the test is skipped.
func temporalCommand(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TEMPORAL_CLI"); path != "" {
		return path
	}
	path, err := exec.LookPath("temporal")
	if err != nil {
		t.Skip("there is no temporal command: want it in PATH, or its path in TEMPORAL_CLI")
	}
	return path
}
