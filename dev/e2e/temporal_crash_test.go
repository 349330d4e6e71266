package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
)

// Worker and starter stay up while Temporal is gone, and connect again by
// themselves.
func TestAnIncidentSurvivesAKilledTemporalServer(t *testing.T) {
	t.Parallel()
	own := ownTemporal(t)
	f := install(t, own, routes, sysdigtest.Options{})
	worker := f.worker()
	detection := newEvent(t, f.host, minerRule)
	i := f.open(detection)
	i.awaitRequest("KILL_CONTAINER")

	own.kill()
	require.Equal(t, http.StatusServiceUnavailable, f.post(newEvent(t, f.host, minerRule)).Status,
		"the starter takes nothing that it cannot store")
	require.NoError(t, own.restart(f.ctx))

	// The sender does not know what became of its event, and sends it again.
	var again answer
	f.await("the starter takes events again", func() bool {
		again = f.post(detection)
		return again.Status == http.StatusAccepted
	})
	require.Empty(t, again.Opened)
	require.Equal(t, []reference{i.reference}, again.Joined)
	// The starter, which remembers the event, tells of its return a little later.
	f.await("the second delivery is counted", func() bool { return i.counted().Duplicates >= 1 })
	i.approve()
	page := i.contained()
	require.Equal(t, 1, page.Events.Count)
	for _, p := range []*process{worker, f.starterProc} {
		select {
		case <-p.ended:
			require.Fail(t, "a process did not outlive the server", p.tail())
		default:
		}
	}
}

func TestAnEventThatTheStarterAnsweredSurvivesAKilledStarter(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	detection := newEvent(t, f.host, minerRule)
	i := f.open(detection)
	f.starterProc.kill()
	f.starter()
	f.awaitReady()
	require.Equal(t, []reference{i.reference}, f.post(detection).Joined)
	f.worker()
	i.awaitRequest("KILL_CONTAINER")
	i.approve()
	page := i.contained()
	require.Equal(t, 1, page.Events.Count)
	require.Equal(t, 1, page.Events.Duplicates)
}
