package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
)

// kills is how often the starter is killed under load.
const kills = 20

// The starter dies again and again, also while it starts, and senders send what
// was not answered again.
func TestNoEventThatWasAnsweredIsLostWithAKilledStarter(t *testing.T) {
	t.Parallel()
	t.Run("without a journal", func(t *testing.T) {
		t.Parallel()
		targets := newTargets(8)
		f := prepare(t, shared, routes, sysdigtest.Options{}, targets...)
		f.starter()
		f.killUnderLoad(targets, func(*load, int) {})
	})
	// Temporal comes and goes as well, so that the starter dies with events in
	// its journal, and while it takes them from there.
	t.Run("with a journal", func(t *testing.T) {
		t.Parallel()
		targets := newTargets(8)
		f := prepare(t, shared, routes, sysdigtest.Options{}, targets...)
		f.journal()
		temporal := f.between()
		f.starter()
		f.killUnderLoad(targets, func(l *load, round int) {
			if round%2 == 1 {
				temporal.release()
				return
			}
			temporal.sever()
			if round == 0 {
				f.await("the journal is used", func() bool { return l.journaled.Load() > 0 })
			}
		})
		f.await("the journal is empty", func() bool { return f.journalDepth() == 0 })
	})
}

// killUnderLoad kills the starter at random moments, and checks that nothing was
// lost. Before each of them it calls meanwhile.
func (f *installation) killUnderLoad(targets []sysdigtest.Host, meanwhile func(l *load, round int)) {
	f.t.Helper()
	random := chance(f.t)
	f.allow(4 * time.Minute)
	f.worker()
	l := f.load(targets, 50*time.Millisecond)
	for round := range kills {
		meanwhile(l, round)
		require.NoError(f.t, pause(f.ctx, moment(random, time.Second)))
		f.starterProc.kill()
		f.relaunchStarter()
	}
	f.listening()
	l.more(int64(len(l.streams)))
	l.end()
	l.verify()
}
