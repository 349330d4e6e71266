package e2e_test

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
)

// outage is how long Temporal is gone. FIREBREAK_OUTAGE makes it longer.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("FIREBREAK_OUTAGE")
	if text == "" {
		return 6 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "FIREBREAK_OUTAGE")
	return d
}

// Temporal is killed under load, and in the middle of the outage so is the
// starter. With a journal no sender notices, and afterwards every incident has
// every event, in its order.
func TestAJournalTakesEventsWhileTemporalIsGone(t *testing.T) {
	t.Parallel()
	long := outage(t)
	targets := newTargets(8)
	f := prepare(t, ownTemporal(t), routes, sysdigtest.Options{}, targets...)
	f.allow(long + 4*time.Minute)
	f.journal()
	f.starter()
	f.worker()
	f.awaitReady()
	l := f.load(targets, 100*time.Millisecond)
	l.more(100)

	f.temporal.kill()
	begin := time.Now()
	f.await("the journal is used", func() bool { return l.journaled.Load() > 0 })
	f.readyUntil(begin.Add(long / 2))
	f.starterProc.kill()
	f.restartStarter()
	l.more(int64(len(l.streams)))
	f.readyUntil(begin.Add(long))
	depth := f.journalDepth()
	require.Positive(t, depth)
	gone := time.Since(begin)
	require.NoError(t, f.temporal.restart(f.ctx))

	back := time.Now()
	f.await("the journal is empty", func() bool { return f.journalDepth() == 0 })
	empty := time.Since(back)
	l.end()
	l.verify()
	t.Logf("Temporal was gone for %s, with %g deliveries in the journal at the end; it was empty %s after the return, and all was counted after %s",
		gone.Round(time.Millisecond), depth, empty.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
	require.Empty(t, l.others, "every event was taken at once")
	require.Zero(t, f.journalDepth())
}

// readyUntil checks, up to a time, that the starter takes events although
// Temporal does not.
func (f *installation) readyUntil(end time.Time) {
	f.t.Helper()
	f.await("the outage goes on", func() bool {
		require.Equal(f.t, http.StatusOK, f.probe("/readyz"))
		return time.Now().After(end)
	})
}

func TestWithoutAJournalTheStarterRefusesWhatTemporalDoesNotTake(t *testing.T) {
	t.Parallel()
	f := prepare(t, shared, routes, sysdigtest.Options{}, newHost())
	temporal := f.between()
	temporal.sever()
	f.starter()
	e := newEvent(t, f.host, minerRule)
	refused := f.post(e)
	require.Equal(t, http.StatusServiceUnavailable, refused.Status)
	require.Equal(t, "application/problem+json", refused.header.Get("Content-Type"))
	require.Regexp(t, `^[1-9][0-9]*$`, refused.header.Get("Retry-After"))
	require.Equal(t, http.StatusServiceUnavailable, f.probe("/readyz"))
	require.Equal(t, http.StatusOK, f.probe("/livez"))
	_, ok := f.metric("firebreak_journal_depth")
	require.False(t, ok, "there is no journal")

	temporal.release()
	f.awaitReady()
	a, err := f.deliver(f.ctx, nil, e)
	require.NoError(t, err)
	require.Len(t, a.Opened, 1)
}
