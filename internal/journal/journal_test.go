package journal_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/journal"
)

const roomy = 1 << 30

func open(t *testing.T, dir string, limit int64) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, limit)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// bodies are the messages that are there, in order, as key=body.
func bodies(t *testing.T, j *journal.Journal) []string {
	t.Helper()
	head, err := j.Head(1_000_000, roomy, nil)
	require.NoError(t, err)
	all := []string{}
	for _, m := range head {
		all = append(all, m.Key+"="+string(m.Body))
	}
	return all
}

func TestMessagesLeaveInTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, roomy)
	begin := time.Now()
	require.NoError(t, j.Append("a", []byte(`1`), []byte(`2`)))
	require.NoError(t, j.Append("b", []byte(`3`)))
	require.NoError(t, j.Append("a", []byte(`4`)))
	require.Equal(t, []string{"a=1", "a=2", "b=3", "a=4"}, bodies(t, j))
	require.True(t, j.Holds("a"))
	require.False(t, j.Holds("c"))

	head, err := j.Head(2, roomy, nil)
	require.NoError(t, err)
	require.Len(t, head, 2)
	require.WithinRange(t, head[0].At, begin.Add(-time.Second), time.Now())
	require.NoError(t, j.Remove(head))
	require.Equal(t, []string{"b=3", "a=4"}, bodies(t, j))

	require.NoError(t, j.Close())
	j = open(t, dir, roomy)
	require.Equal(t, []string{"b=3", "a=4"}, bodies(t, j), "also after a restart")
	require.NoError(t, j.Append("c", []byte(`5`)))
	require.Equal(t, []string{"b=3", "a=4", "c=5"}, bodies(t, j))
	stats, err := j.Stats()
	require.NoError(t, err)
	require.Equal(t, 3, stats.Depth)
	require.Positive(t, stats.Bytes)
	require.WithinRange(t, stats.Oldest, begin.Add(-time.Second), time.Now())

	head, err = j.Head(10, roomy, func(key string) bool { return key == "a" })
	require.NoError(t, err)
	require.Len(t, head, 2, "one key does not hold up the others")
	head, err = j.Head(10, 1, nil)
	require.NoError(t, err)
	require.Len(t, head, 1, "one at least, however large")
	all, err := j.Head(10, roomy, nil)
	require.NoError(t, err)
	require.NoError(t, j.Remove(all))
	stats, err = j.Stats()
	require.NoError(t, err)
	require.Equal(t, journal.Stats{}, stats)
	for _, key := range []string{"a", "b", "c"} {
		require.False(t, j.Holds(key))
	}
}

func TestArrivedTellsOfTheNextMessage(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), roomy)
	arrived := j.Arrived()
	select {
	case <-arrived:
		require.Fail(t, "nothing has come")
	default:
	}
	require.NoError(t, j.Append("a", []byte(`1`)))
	<-arrived
}

func TestAFullJournalTakesNothingUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), 1000)
	large := []byte(`"` + strings.Repeat("x", 300) + `"`)
	require.NoError(t, j.Append("a", large))
	require.ErrorIs(t, j.Append("b", large, large, large), journal.ErrFull)
	require.Len(t, bodies(t, j), 1, "all or none")
	require.ErrorIs(t, j.Err(), journal.ErrFull)
	require.False(t, j.Holds("b"))
	require.NoError(t, j.Append("a", []byte(`1`)), "something smaller fits")
	require.NoError(t, j.Err())
	require.NoError(t, j.Append("a", large))
	require.ErrorIs(t, j.Append("a", large), journal.ErrFull)
	head, err := j.Head(10, roomy, nil)
	require.NoError(t, err)
	require.NoError(t, j.Remove(head))
	require.NoError(t, j.Err())
	require.NoError(t, j.Append("b", large))
}

func TestTwoProcessesCannotShareAJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, roomy)
	_, err := journal.Open(dir, roomy)
	require.ErrorContains(t, err, "want a directory for each starter")
}

func TestADamagedJournalIsNotOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journal.db"), []byte(strings.Repeat("damaged ", 1000)), 0o600))
	_, err := journal.Open(dir, roomy)
	require.ErrorContains(t, err, "open journal "+dir)
}

func TestCallersThatComeTogetherAllGetTheirMessagesIn(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), roomy)
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			for n := range 20 {
				if err := j.Append(fmt.Sprint(i), fmt.Append(nil, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	next := map[string]int{}
	head, err := j.Head(1000, roomy, nil)
	require.NoError(t, err)
	for _, m := range head {
		require.Equal(t, fmt.Sprint(next[m.Key]), string(m.Body), "in order for each key")
		next[m.Key]++
	}
	require.Len(t, head, 400)
}

// appender is what the test binary does as the child of the next test: it
// appends, and says after each what was accepted.
const appender = "FIREBREAK_TEST_APPEND_TO"

func TestMain(m *testing.M) {
	dir := os.Getenv(appender)
	if dir == "" {
		os.Exit(m.Run())
	}
	j, err := journal.Open(dir, roomy)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for n := 0; ; n++ {
				if err := j.Append(fmt.Sprint(i), fmt.Append(nil, n)); err != nil {
					return
				}
				fmt.Printf("%d=%d\n", i, n)
			}
		})
	}
	work.Wait()
}

func TestWhatWasAcceptedSurvivesKill9(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		dir := t.TempDir()
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), appender+"="+dir)
		output, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		accepted := []string{}
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			accepted = append(accepted, lines.Text())
			if len(accepted) == 20+17*round { // then, and not when it has come to rest
				require.NoError(t, child.Process.Signal(syscall.SIGKILL))
			}
		}
		require.Error(t, child.Wait())
		require.Subset(t, bodies(t, open(t, dir, roomy)), accepted)
	}
}
