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

// An agent takes one capture at a time, and refuses any other after Sysdig has
// accepted it. Three incidents of one host need a capture at once, and a worker is
// killed while the first is taken: all three files are stored, and Sysdig is never
// asked while the host is busy.
func TestCapturesOfOneHostTakeTurns(t *testing.T) {
	t.Parallel()
	const size, step = 4 << 10, time.Second
	targets := newTargets(3)
	unasked := `[{name: capture, when: "true", playbook: capture, approval: {mode: none}, save_approval: {mode: none}}]`
	f := prepare(t, shared, unasked, sysdigtest.Options{Step: step, CaptureSize: size}, targets...)
	f.starter()
	first := f.worker()
	f.awaitReady()
	var together []event
	for _, target := range targets {
		together = append(together, newEvent(t, target, toolRule))
	}
	a, err := f.deliver(f.ctx, nil, together...)
	require.NoError(t, err)
	opened := slices.Concat(a.Opened, a.Joined)
	require.Len(t, opened, len(targets))
	f.await("a capture is under way", func() bool {
		return f.sysdig.Ledger().Count(func(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Capture }) > 0
	})
	first.kill()
	f.worker()
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
	require.Len(t, of, len(targets), "one of each container, restricted to it")
	for n := range taken[1:] {
		require.GreaterOrEqual(t, taken[n+1].Sub(taken[n]), 3*step, "no two at a time")
	}
	require.Equal(t, len(targets), f.sysdig.Requests(http.MethodPost, captures), "none was refused")
}
