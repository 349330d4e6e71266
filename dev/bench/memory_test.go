package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestASmallBenchmarkOfMemoryEndsWell(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "firebreak")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "disable_grpc_modules", "-o", binary, ".")
	build.Dir = "../.."
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	var stdout, stderr strings.Builder
	require.Zero(t, run(t.Context(), []string{"memory", "--firebreak", binary, "--incidents=5", "--approvals=2", "--rest=0s"}, &stdout, &stderr), "%s", &stderr)
	for _, row := range []string{"resident, having opened them, all waiting", "resident, having contained 2 of them", "stopped by SIGTERM, exit code 0"} {
		require.Contains(t, stdout.String(), row)
	}
}

func TestAReportOfMemorySaysWhichBarsAreMet(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := memoryReport{opened: 64 << 20, restarted: 64<<20 + 52429, ready: 2 * time.Second, readyAgain: 2*time.Second + time.Millisecond}
	require.NoError(t, r.print(&out))
	for _, line := range []string{
		"ready after the start (s)                                  2.00    <= 2.0  met",
		"resident, having opened them, all waiting (MiB)            64.0   <= 64.0  met",
		"ready after the start with all of them waiting (s)         2.00    <= 2.0  missed",
		"resident after that start, all waiting (MiB)               64.1   <= 64.0  missed",
	} {
		require.Contains(t, out.String(), line+"\n")
	}
}

func TestABenchmarkOfMemoryWantsAProgram(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	require.Equal(t, 2, run(t.Context(), []string{"memory", "--firebreak=nowhere", "--incidents=1", "--approvals=2"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), `--firebreak "nowhere": stat nowhere`)
	require.Contains(t, stderr.String(), "--approvals 2: want 1, the incidents, or fewer")
}
