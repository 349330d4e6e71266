package command_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/config"
)

// What --help shows as the default of a flag is the configuration's.
func TestHelpShowsTheDefaultsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	cfg, err := config.Load(empty, os.LookupEnv)
	require.NoError(t, err)
	_, worker, _ := run(t, nil, "worker", "--help")
	_, starter, _ := run(t, nil, "starter", "--help")
	for _, value := range []string{cfg.Temporal.TaskQueue, cfg.Sysdig.Region, cfg.Worker.MetricsListen, cfg.Evidence.URL} {
		require.Contains(t, worker, `(default "`+value+`")`)
	}
	require.Contains(t, starter, `(default "`+cfg.Starter.Listen+`")`)
	require.Contains(t, worker, "[FIREBREAK_SYSDIG_API_URL]")
	require.Contains(t, worker, "[FIREBREAK_CONFIG]")
}
