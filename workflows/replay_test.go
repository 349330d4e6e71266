package workflows_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"firebreak/workflows"
)

// histories are those of incidents of every playbook and outcome; dev/e2e records
// them. If one does not replay, a worker of this version blocks incidents that are
// under way: from release 0.1.0 on, do not record it again, but guard the change with
// workflow.GetVersion.
const histories = "testdata/histories/*.json"

// nondeterminism is Temporal's code for code that does not fit a history.
const nondeterminism = "TMPRL1100"

func TestPlaybooksReplayRecordedHistories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(histories)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			require.NoError(t, replay(file))
		})
	}
}

func TestAHistoryThatThePlaybookWouldNotWriteDoesNotReplay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/histories/crypto-miner-approved.json")
	require.NoError(t, err)
	for name, change := range map[string]struct{ from, to string }{
		"another activity": {`"ExecuteAction"`, `"CreateCapture"`},
		"another playbook": {`"CryptoMiner"`, `"Capture"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, string(text), change.from)
			file := filepath.Join(t.TempDir(), "history.json")
			require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte(change.from), []byte(change.to)), 0o600))
			require.ErrorContains(t, replay(file), nondeterminism)
		})
	}
}

func replay(file string) error {
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer, nil)
	return replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), file)
}
