package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
)

// Temporal's answer is held back until the starter has begun to stop.
func TestAStarterThatStopsAnswersWhatItHasBegun(t *testing.T) {
	t.Parallel()
	f := prepare(t, shared, routes, sysdigtest.Options{}, newHost())
	f.journal() // in case that the answer is held for too long
	temporal := f.between()
	f.starter()
	i := f.openMiner()
	temporal.hold()
	type outcome struct {
		answer answer
		err    error
	}
	answered := make(chan outcome, 1)
	second := newEvent(t, f.host, minerRule)
	go func() {
		a, err := f.send(f.ctx, second)
		answered <- outcome{a, err}
	}()
	f.await("Temporal has the event", func() bool { return len(i.signalled()) == 2 })
	f.starterProc.terminate()
	f.await("the starter is not ready", func() bool { return f.probe("/readyz") != http.StatusOK })
	temporal.release()
	got := <-answered
	require.NoError(t, got.err)
	require.Equal(t, http.StatusAccepted, got.answer.Status)
	require.Zero(t, f.starterProc.code(f.ctx, t))
}

func TestNoEventThatWasAnsweredIsLostWithAStarterThatStops(t *testing.T) {
	t.Parallel()
	for name, journal := range map[string]bool{"in Temporal": false, "in the journal": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets := newTargets(4)
			f := prepare(t, shared, routes, sysdigtest.Options{}, targets...)
			temporal := f.between()
			if journal {
				f.journal()
			}
			f.starter()
			f.worker()
			l := f.load(targets, 20*time.Millisecond)
			l.more(100)
			if journal {
				temporal.sever()
				f.await("the journal is used", func() bool { return l.journaled.Load() > 0 })
			}
			f.starterProc.terminate()
			require.Zero(t, f.starterProc.code(f.ctx, t))
			temporal.release()
			f.restartStarter()
			l.more(100)
			l.end()
			l.verify()
		})
	}
}
