package journal

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// The database is read-only for a while, as a full disk makes it.
func TestWhatTheDiskCouldNotForgetIsGoneAllTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := Open(dir, 1<<20)
	require.NoError(t, err)
	require.NoError(t, j.Append("a", []byte(`1`), []byte(`2`), []byte(`3`)))
	again := func(readOnly bool) {
		require.NoError(t, j.db.Close())
		j.db, err = bolt.Open(filepath.Join(dir, fileName), 0o600, &bolt.Options{ReadOnly: readOnly})
		require.NoError(t, err)
	}
	left := func(j *Journal) (bodies []string) {
		head, err := j.Head(10, 1<<20, nil)
		require.NoError(t, err)
		for _, m := range head {
			bodies = append(bodies, string(m.Body))
		}
		return bodies
	}
	head, err := j.Head(2, 1<<20, nil)
	require.NoError(t, err)
	again(true)
	require.Error(t, j.Remove(head[:1]))
	require.Equal(t, []string{"2", "3"}, left(j))
	stats, err := j.Stats()
	require.NoError(t, err)
	require.Equal(t, 2, stats.Depth)

	again(false)
	require.NoError(t, j.Remove(head[1:]))
	require.NoError(t, j.Close())
	j, err = Open(dir, 1<<20)
	require.NoError(t, err)
	require.Equal(t, []string{"3"}, left(j), "the next Remove made up for it")
	require.NoError(t, j.Close())
}
