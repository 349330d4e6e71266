package starter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"firebreak/internal/journal"
	"firebreak/starter"
)

// journaling is a webhook with a journal in a directory, and stop stops both.
func journaling(t *testing.T, dir string, limit int64, change ...func(*starter.Config)) (w *webhook, j *journal.Journal, stop func()) {
	t.Helper()
	j, err := journal.Open(dir, limit)
	require.NoError(t, err)
	w = newWebhook(t, append([]func(*starter.Config){func(c *starter.Config) { c.Journal = j }}, change...)...)
	stop = func() {
		w.Stop()
		require.NoError(t, j.Close())
	}
	return w, j, stop
}

const roomy = 1 << 30

func TestEventsThatTemporalDoesNotTakeAreJournaledAndFollowInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, j, stop := journaling(t, t.TempDir(), roomy)
		defer stop()
		w.temporal.Fn = hang
		begin := time.Now()
		answer := accepted(t, w.post(t, miner("0")))
		require.Equal(t, starter.Answer{
			Received: 1, Opened: []starter.Reference{}, Joined: []starter.Reference{},
			Journaled: []starter.Reference{{WorkflowID: target, Route: "miner"}},
		}, answer)
		require.GreaterOrEqual(t, time.Since(begin), 2*time.Second)
		begin = time.Now()
		require.Len(t, accepted(t, w.post(t, event("other", "Miner", "bbbbbbbbbbbb", 2))).Journaled, 1)
		require.Less(t, time.Since(begin), time.Second, "nobody waits for a Temporal that is known to be down")
		w.temporal.failing(true)
		want := []string{"0"}
		for i := range 50 {
			id := fmt.Sprint(i + 1)
			want = append(want, id)
			require.Len(t, accepted(t, w.post(t, miner(id))).Journaled, 1)
		}
		again := accepted(t, w.post(t, miner("0")))
		require.Equal(t, 1, again.Duplicate, "what is in the journal is durable")
		require.Len(t, again.Journaled, 1)
		time.Sleep(time.Minute)
		require.Contains(t, w.metrics(t), "firebreak_journal_depth 52\n")
		require.Regexp(t, `firebreak_journal_oldest_age_seconds 6\d`, w.metrics(t))

		w.temporal.mu.Lock()
		w.temporal.Fn = nil
		w.temporal.mu.Unlock()
		w.temporal.failing(false)
		time.Sleep(time.Minute)
		require.Equal(t, want, w.temporal.toldTo(target))
		require.Equal(t, []string{"other"}, w.temporal.toldTo("crypto-miner:node-1:bbbbbbbbbbbb"))
		require.Equal(t, map[string]int{target + " 0": 1}, w.temporal.repeated, "told once the incident is open")
		require.Contains(t, w.metrics(t), "firebreak_journal_depth 0\n")
		require.False(t, j.Holds(target))
		require.Len(t, accepted(t, w.post(t, miner("after"))).Joined, 1)
		w.counted(t, "journaled", 52)
	})
}

func TestTheJournalOfAKilledStarterFollowsAfterItsRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w, _, stop := journaling(t, dir, roomy)
		w.temporal.failing(true)
		for i := range 3 {
			accepted(t, w.post(t, miner(fmt.Sprint(i))))
		}
		stop()
		w.temporal.failing(false)
		_, j, stop := journaling(t, dir, roomy, func(c *starter.Config) { c.Temporal = w.temporal })
		defer stop()
		time.Sleep(time.Second)
		require.Equal(t, []string{"0", "1", "2"}, w.temporal.toldTo(target))
		stats, err := j.Stats()
		require.NoError(t, err)
		require.Zero(t, stats.Depth)
	})
}

// A starter that is killed after it told an incident from the journal, and
// before it removed that, tells it again.
func TestWhatTheJournalTellsTwiceOpensNoSecondIncident(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, j, stop := journaling(t, t.TempDir(), roomy)
		defer stop()
		w.temporal.failing(true)
		accepted(t, w.post(t, miner("1")))
		head, err := j.Head(1, 0, nil)
		require.NoError(t, err)
		w.temporal.failing(false)
		time.Sleep(time.Second)
		w.temporal.close(target)
		require.NoError(t, j.Append(head[0].Key, head[0].Body))
		time.Sleep(time.Second)
		require.False(t, j.Holds(target))
		require.Empty(t, w.temporal.toldTo(target))
	})
}

func TestAnIncidentThatCannotBeToldHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, j, stop := journaling(t, t.TempDir(), roomy)
		defer stop()
		w.temporal.refuse(target, serviceerror.NewInvalidArgument("exceeded workflow execution limit for signal events"))
		require.Len(t, accepted(t, w.post(t, miner("1"))).Journaled, 1)
		require.Len(t, accepted(t, w.post(t, miner("2"))).Journaled, 1)
		require.Len(t, accepted(t, w.post(t, event("other", "Miner", "bbbbbbbbbbbb", 2))).Opened, 1, "Temporal is not down")
		w.temporal.failing(true)
		require.Len(t, accepted(t, w.post(t, event("another", "Miner", "bbbbbbbbbbbb", 2))).Journaled, 1)
		w.temporal.failing(false)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"other", "another"}, w.temporal.toldTo("crypto-miner:node-1:bbbbbbbbbbbb"))
		require.True(t, j.Holds(target))
		w.temporal.refuse(target, nil)
		require.Len(t, accepted(t, w.post(t, miner("3"))).Journaled, 1, "it waits behind the others")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"1", "2", "3"}, w.temporal.toldTo(target))
	})
}

func TestAFullJournalIsA503AndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, j, stop := journaling(t, t.TempDir(), 3000)
		defer stop()
		w.temporal.failing(true)
		codes := map[int]int{}
		for i := range 20 {
			codes[w.post(t, miner(fmt.Sprint(i))).Code]++
		}
		require.Positive(t, codes[http.StatusAccepted])
		require.Positive(t, codes[http.StatusServiceUnavailable])
		require.ErrorIs(t, j.Err(), journal.ErrFull)
		w.temporal.failing(false)
		time.Sleep(time.Second)
		require.NoError(t, j.Err())
		require.Len(t, w.temporal.toldTo(target), codes[http.StatusAccepted])
		require.Len(t, accepted(t, w.post(t, miner("after"))).Joined, 1)
	})
}

func TestAJournalThatNeverTookAnythingDoesNotKeepEventsFromTemporal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, stop := journaling(t, t.TempDir(), 1)
		defer stop()
		w.temporal.failing(true)
		refused(t, w.post(t, miner("1")), http.StatusServiceUnavailable)
		w.temporal.failing(false)
		time.Sleep(time.Second)
		require.Len(t, accepted(t, w.post(t, miner("1"))).Opened, 1)
	})
}

func TestLargeJournaledDeliveriesAreToldInSignalsThatFit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, stop := journaling(t, t.TempDir(), roomy)
		defer stop()
		w.temporal.failing(true)
		var want []string
		for i := range 60 {
			id := fmt.Sprint(i)
			want = append(want, id)
			accepted(t, w.post(t, strings.Replace(miner(id), "xmrig", strings.Repeat("<", 4000), 1)))
		}
		w.temporal.failing(false)
		time.Sleep(time.Second)
		require.Equal(t, want, w.temporal.toldTo(target))
		require.Less(t, len(w.temporal.calls), 10)
		for _, c := range w.temporal.calls {
			encoded, err := json.Marshal(c.batch)
			require.NoError(t, err)
			require.Less(t, len(encoded), 1<<20+1000)
		}
	})
}
