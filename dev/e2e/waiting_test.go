package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// TestRemindersEscalationAndExpiryComeOnceWhateverDies kills workers while nobody
// answers: each of the next ones replays the incident.
func TestRemindersEscalationAndExpiryComeOnceWhateverDies(t *testing.T) {
	t.Parallel()
	f := install(t, shared, minerRoute(`, approval: {mode: one, remind_every: 2s, escalate_after: 5s, expire_after: 13s}`), sysdigtest.Options{})
	worker := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	for _, seen := range []string{"still waiting", "escalated"} {
		i.await("the war room says "+seen, func() bool {
			page, err := i.look()
			return err == nil && told(page, signals.KindReminder, seen)
		})
		worker.kill()
		worker = f.worker()
	}
	page := i.page()
	require.Equal(t, signals.Expired, page.Outcome)
	times := map[string]int{}
	for _, entry := range page.WarRoom {
		if entry.Kind == signals.KindReminder || entry.Kind == signals.KindDecision {
			what, _, _ := strings.Cut(strings.ReplaceAll(entry.Text, ":", ""), " ")
			times[what]++
			times[entry.Text]++
			require.LessOrEqual(t, times[entry.Text], 1, entry.Text)
		}
	}
	require.Equal(t, 1, times["escalated"])
	require.Equal(t, 1, times["KILL_CONTAINER"], "denied")
	// One that is missed while no worker runs is not made up for.
	require.LessOrEqual(t, times["still"], 6)
	require.GreaterOrEqual(t, times["still"], 1)
	require.Empty(t, f.sysdig.Ledger())
}
