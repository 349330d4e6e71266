package starter_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestASlowTemporalIsGivenUpOnAfterTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		w.temporal.Fn = hang
		begin := time.Now()
		refused(t, w.post(t, event("1", "Miner", "6949e5f10829", 2)), http.StatusServiceUnavailable)
		require.Equal(t, 2*time.Second, time.Since(begin))
	})
}

func TestEventsOfASenderThatHangsUpAreStoredAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	ctx, hangUp := context.WithCancel(t.Context())
	w.temporal.Fn = func(ctx context.Context, _ call) (string, bool, error) {
		hangUp()
		return "run", true, ctx.Err()
	}
	answer := accepted(t, w.post(t, event("1", "Miner", "6949e5f10829", 2), func(r *http.Request) { *r = *r.WithContext(ctx) }))
	require.Len(t, answer.Opened, 1)
}

func TestWhatWaitsBehindASlowSignalDoesNotWaitForAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		w.temporal.Fn = hang
		begin := time.Now()
		first := w.posting(t, miner("1"))
		time.Sleep(time.Second)
		refused(t, w.post(t, miner("2")), http.StatusServiceUnavailable)
		require.Equal(t, 2*time.Second, time.Since(begin))
		refused(t, <-first, http.StatusServiceUnavailable)
	})
}

// An incident must get to act between two signals.
func TestSignalsToOneIncidentKeepADistance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		begin := time.Now()
		accepted(t, w.post(t, miner("1")))
		require.Zero(t, time.Since(begin), "one that comes alone does not wait")
		accepted(t, w.post(t, event("other", "Miner", "bbbbbbbbbbbb", 2)))
		require.Zero(t, time.Since(begin), "nor does another incident's")
		accepted(t, w.post(t, miner("2")))
		require.Equal(t, 20*time.Millisecond, time.Since(begin))
	})
}
