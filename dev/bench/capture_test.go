package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == saveMode {
		main()
	}
	os.Exit(m.Run())
}

func TestASmallBenchmarkOfCapturesEndsWell(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	var stdout, stderr strings.Builder
	require.Zero(t, run(t.Context(), []string{"capture", "--size=7", "--rounds=2"}, &stdout, &stderr), "%s", &stderr)
	for _, row := range []string{"saved to file (MiB/s)", "saved to S3 (MiB/s)", "memory grown by, at its peak (MiB)"} {
		require.Contains(t, stdout.String(), row)
	}
	require.Equal(t, 2, run(t.Context(), []string{"capture", "--size=0"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "--size 0: want 1 or more")

	failed := captureReport{captureSizes: captureSizes{mib: 1}, file: []saved{{SHA256: "other"}}}
	require.ErrorContains(t, failed.wrong(), "SHA-256 other was saved: want ")
}
