package starter_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"firebreak/internal/redact"
	"firebreak/starter"
)

func TestEventsLoseTheirSecretsBeforeAnybodySeesThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redactor, err := redact.New([]string{"secrets"})
		require.NoError(t, err)
		dir := t.TempDir()
		w, _, stop := journaling(t, dir, roomy, func(c *starter.Config) { c.Redactor = redactor })
		defer stop()
		leaky := func(event string) string {
			return strings.ReplaceAll(event, "CANARY", "mysqld --user=app --password=hunter2")
		}
		accepted(t, w.post(t, array(leaky(event("1", "Miner", "6949e5f10829", 2)), leaky(`{"x":"CANARY"}`))))
		w.temporal.failing(true)
		require.Len(t, accepted(t, w.post(t, leaky(event("2", "Miner", "bbbbbbbbbbbb", 2)))).Journaled, 1)

		require.Len(t, w.temporal.calls, 1)
		told, err := json.Marshal([]any{w.temporal.calls[0].input, w.temporal.calls[0].batch})
		require.NoError(t, err)
		require.Len(t, w.quarantine.files, 1)
		seen := map[string]string{"Temporal was told": string(told), "the log": w.log.String()}
		for key, content := range w.quarantine.files {
			seen["quarantined as "+key] = content
			require.Contains(t, content, "--user=app")
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			seen["journaled in "+filepath.Base(file)] = string(content)
		}
		require.Contains(t, string(told), "--user=app --password=[redacted]")
		for where, text := range seen {
			require.NotContains(t, text, "hunter2", where)
		}
		w.temporal.failing(false)
	})
}
