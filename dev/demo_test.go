package main

import (
	"bytes"
	"context"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// screen is what the demo prints, while it prints it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await returns the first group of the pattern once it is on the screen.
func (s *screen) await(t *testing.T, pattern string) string {
	t.Helper()
	want := regexp.MustCompile(pattern)
	var found []string
	if !assert.Eventually(t, func() bool {
		found = want.FindStringSubmatch(s.String())
		return found != nil
	}, time.Minute, 50*time.Millisecond) {
		require.FailNow(t, "not on the screen: "+pattern, s.String())
	}
	return found[len(found)-1]
}

// startDemo runs the demo on free ports. What it returns presses Ctrl-C.
func startDemo(t *testing.T, state string, auto bool) (*screen, func()) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	out, ended := &screen{}, make(chan error, 1)
	go func() { ended <- demo(ctx, demoFlags{autoApprove: auto, state: state}, out) }()
	stop := sync.OnceFunc(func() {
		if !auto {
			interrupt()
		}
		require.NoError(t, <-ended, "%s", out)
		interrupt()
	})
	t.Cleanup(stop)
	return out, stop
}

func TestTheUnattendedDemoKillsOneContainerAndStoresOneCapture(t *testing.T) {
	t.Parallel()
	out, stop := startDemo(t, t.TempDir(), true)
	stop()
	text := out.String()
	require.Contains(t, text, "Outcome: contained.")
	require.Contains(t, text, "In Sysdig: KILL_CONTAINER of container")
	require.Contains(t, text, "Outcome: captured.")
	require.Regexp(t, `firebreak-[0-9a-f]{12}\.scap +5242880 bytes  SHA-256 [0-9a-f]{64}`, text)
	require.Contains(t, text, "was killed once, and the capture is stored")
}

func TestAnIncidentThatWaitsIsStillThereWhenTheDemoStartsAgain(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	out, stop := startDemo(t, state, false)
	id := out.await(t, `temporal workflow signal --address \S+ -w (\S+) --name approve`)
	stop()
	require.Contains(t, out.String(), "still there when you start again")

	out, _ = startDemo(t, state, false)
	require.Equal(t, id, out.await(t, `temporal workflow signal --address \S+ -w (\S+) --name approve`))
	require.Contains(t, out.String(), "1 incident(s) from before are still open")
}
