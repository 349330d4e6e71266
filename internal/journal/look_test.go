package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/journal"
)

func TestLookingAtAJournalTellsHowItIsAndChangesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "journal")
	state, err := journal.Look(dir)
	require.NoError(t, err)
	require.Equal(t, journal.State{}, state)
	require.NoDirExists(t, filepath.Dir(dir), "whoever runs the starter makes it")

	j, err := journal.Open(dir, 1<<20)
	require.NoError(t, err)
	require.NoError(t, j.Append("a", []byte(`{}`), []byte(`{}`)))
	state, err = journal.Look(dir)
	require.NoError(t, err)
	require.Equal(t, journal.State{Held: true}, state)
	require.NoError(t, j.Append("b", []byte(`{}`)), "it is open as before")

	require.NoError(t, j.Close())
	state, err = journal.Look(dir)
	require.NoError(t, err)
	require.Equal(t, journal.State{Depth: 3}, state)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestAJournalThatCouldNotBeOpenedIsTold(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := journal.Look(file)
	require.ErrorContains(t, err, file+" is no directory")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journal.db"), []byte("no database, but long enough to be taken for one"), 0o600))
	_, err = journal.Look(dir)
	require.ErrorContains(t, err, "look at journal "+dir)
}
