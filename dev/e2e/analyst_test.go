package e2e_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

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
