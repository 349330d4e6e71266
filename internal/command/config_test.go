package command_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABadConfigurationIsAUsageErrorOfConfig(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("starter: {sources: [{name: a}]}"), 0o600))
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--config", bad}, "bad.yaml:1:21: starter.sources[0].auth: it is missing"},
		{[]string{"--config", "nowhere.yaml"}, "nowhere.yaml"},
		{[]string{"--journal", "/"}, `--journal "/": want a directory of its own`},
		{[]string{"--output", "xml"}, `--output "xml": want text or json`},
	} {
		code, stdout, stderr := run(t, nil, append([]string{"config"}, tc.args...)...)
		require.Equal(t, 2, code, stderr)
		require.Contains(t, stderr, tc.want)
		require.Empty(t, stdout)
	}
}
