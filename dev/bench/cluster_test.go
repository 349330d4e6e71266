package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/dev/internal/cluster"
)

func TestASmallBenchmarkOfAClusterEndsWell(t *testing.T) {
	t.Parallel()
	if err := cluster.Missing(); err != nil {
		t.Skip(err)
	}
	var stdout, stderr strings.Builder
	require.Zero(t, run(t.Context(), []string{"cluster", "--incidents=4"}, &stdout, &stderr), stderr.String())
	for _, part := range []string{"postgres, history 1, history 2, matching, frontend, internal worker", "automatic incidents completed", "exactly once"} {
		require.Contains(t, stdout.String(), part)
	}
}
