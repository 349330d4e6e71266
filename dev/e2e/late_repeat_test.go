package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// automatic handles a crypto-miner without asking anybody, and closes at once.
const automatic = `[{name: crypto-miner, when: "true", playbook: crypto-miner, approval: {mode: none}, cool_down: 0s}]`

// What the starter learns from Temporal is held back, so that it does not know
// that the events are stored, or learns it too late to tell the senders. They
// send again when the incidents are closed, which must not open them once more.
func TestAnEventThatIsSentAgainAfterItsIncidentWasClosedKillsNothing(t *testing.T) {
	t.Parallel()
	const containers = 60
	for name, test := range map[string]struct {
		journal bool
		// opened is how many incidents the events open while answers are held.
		opened int
		// meanwhile happens before these are closed, after when answers come again.
		meanwhile, after func(*burst)
	}{
		"the starter was killed": {
			opened:    containers,
			meanwhile: func(b *burst) { b.starterProc.kill() },
			after:     func(b *burst) { b.restartStarter() },
		},
		"the starter gave up": {opened: containers},
		// It asks no more once Temporal does not answer: not every event is in both.
		"the journal has it too": {
			journal:   true,
			opened:    2,
			meanwhile: func(b *burst) { <-b.taken },
			after: func(b *burst) {
				b.await("the journal is empty", func() bool { return b.journalDepth() == 0 })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBurst(t, automatic, containers)
			if test.journal {
				b.journal()
			}
			temporal := b.between()
			b.starter()
			b.worker()
			// The starter connects with its first event.
			_, err := b.deliver(b.ctx, nil, b.events[0])
			require.NoError(t, err)
			temporal.hold()
			b.start(time.Millisecond)
			opened := b.awaitOpened(test.opened)
			if test.meanwhile != nil {
				test.meanwhile(b)
			}
			b.awaitClosed(opened)
			temporal.release()
			if test.after != nil {
				test.after(b)
			}
			b.verify()
		})
	}
}

// Here the starter dies at any moment, and comes back at once.
func TestAContainerIsKilledOnceHoweverOftenTheStarterDies(t *testing.T) {
	t.Parallel()
	random := chance(t)
	b := newBurst(t, automatic, 200)
	b.starter()
	b.worker()
	b.start(25 * time.Millisecond)
	for dying := true; dying; {
		require.NoError(t, pause(b.ctx, moment(random, 600*time.Millisecond)))
		b.starterProc.kill()
		b.relaunchStarter()
		select {
		case <-b.taken:
			dying = false
		default:
		}
	}
	b.listening()
	b.verify()
}
