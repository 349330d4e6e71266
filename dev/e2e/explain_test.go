package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExplainReadsAPayloadFromAPipe(t *testing.T) {
	t.Parallel()
	payload, err := os.Open("testdata/crypto-miner.json")
	require.NoError(t, err)
	defer payload.Close()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), firebreak(), "explain", "-", "--output", "json")
	// No secret, no network: the environment is empty.
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stderr = []string{"HOME=" + t.TempDir()}, t.TempDir(), payload, &stderr
	stdout, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var explained []struct {
		Adapter    string   `json:"adapter"`
		Route      string   `json:"route"`
		WorkflowID string   `json:"workflow_id"`
		Missing    []string `json:"missing"`
	}
	require.NoError(t, json.Unmarshal(stdout, &explained))
	require.Len(t, explained, 1)
	require.Equal(t, "sysdig-forwarder", explained[0].Adapter)
	require.Equal(t, "crypto-miner", explained[0].Route)
	require.Equal(t, "crypto-miner:gke-cluster-gcp-demo-san-default-pool-66250c41-vd1o:6949e5f10829", explained[0].WorkflowID)
	require.Equal(t, []string{"host.id"}, explained[0].Missing)
}
