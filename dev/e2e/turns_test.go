package e2e_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// Sysdig takes one capture of a host at a time, and refuses any other meanwhile.
func TestCapturesOfOneHostTakeTurns(t *testing.T) {
	t.Parallel()
	const size, step = 4 << 10, 200 * time.Millisecond
	targets := newTargets(10)
	unasked := `[{name: capture, when: "true", playbook: capture, approval: {mode: none}, save_approval: {mode: none}}]`
	f := prepare(t, shared, unasked, sysdigtest.Options{Step: step, CaptureSize: size}, targets...)
	f.starter()
	f.worker()
	f.worker()
	f.awaitReady()
	var together []event
	for _, target := range targets {
		together = append(together, newEvent(t, target, toolRule))
	}
	a, err := f.deliver(f.ctx, nil, together...)
	require.NoError(t, err)
	opened := slices.Concat(a.Opened, a.Joined)
	require.Len(t, opened, len(targets))
	for _, reference := range opened {
		i := &incident{installation: f, reference: reference}
		page := i.page()
		require.Equal(t, signals.Captured, page.Outcome)
		i.holds(page, size)
	}

	var taken []time.Time
	of := map[string]int{}
	for _, e := range f.sysdig.Ledger() {
		if e.Kind == sysdigtest.Capture {
			taken = append(taken, e.Time)
			of[e.ContainerID]++
		}
	}
	require.Len(t, taken, len(targets))
	require.Len(t, of, len(targets), "one of each container")
	for n := range taken[1:] {
		require.GreaterOrEqual(t, taken[n+1].Sub(taken[n]), 3*step, "no two at a time")
	}
	asked := f.sysdig.Requests(http.MethodPost, captures)
	require.Greater(t, asked, len(targets), "nobody had to wait")
	require.Less(t, asked, len(targets)*(len(targets)+1)/2, "all who wait ask together, and one of them gets its turn")
	t.Logf("%d captures were asked for %d times, and took %s", len(targets), asked, taken[len(taken)-1].Sub(taken[0]).Round(time.Millisecond))
}
