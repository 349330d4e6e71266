package reread_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/reread"
)

// Whose a file is and who may read it may be put right, and neither its time nor
// its size changes by that.
func TestFilesThatCannotBeUsedAreTriedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("1"), 0o600))
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		refused, reads := error(nil), 0
		files, err := reread.New(slog.New(slog.NewTextHandler(&text, nil)), func() (string, error) {
			reads++
			content, err := os.ReadFile(path)
			return string(content), errors.Join(err, refused)
		}, path)
		require.NoError(t, err)
		require.Equal(t, "1", files.Get())

		refused = errors.New("its mode is 0644")
		require.NoError(t, os.WriteFile(path, []byte("22"), 0o600))
		for range 3 {
			require.Equal(t, "1", files.Get())
		}
		require.Equal(t, 2, reads, "nobody waits for a file that was just refused")
		time.Sleep(time.Minute)
		require.Equal(t, "1", files.Get())
		require.Equal(t, 3, reads)
		require.Equal(t, 1, strings.Count(text.String(), "cannot be used"), "the same is not told twice")

		refused = nil
		time.Sleep(time.Minute)
		require.Equal(t, "22", files.Get())
		require.Contains(t, text.String(), "read anew")
		require.Equal(t, "22", files.Get())
		require.Equal(t, 4, reads)
	})
}
