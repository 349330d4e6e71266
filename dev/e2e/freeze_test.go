package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// unasked is a route that asks nobody.
const unasked = `
  - {name: automatic, when: "true", playbook: crypto-miner, approval: none, cool_down: 100ms}
`

// turn freezes or unfreezes, as Temporal Web does, and waits until it shows.
func (f *installation) turn(name string, want signals.State) {
	f.t.Helper()
	f.await("the guard runs", func() bool {
		return f.temporal.SignalWorkflow(f.ctx, signals.GuardID, "", name, signals.Instruction{Analyst: "ann", Reason: "maintenance"}) == nil
	})
	f.await("the guard is "+string(want), func() bool { return f.guard() == want })
}

// guard is the guard's state as lists show it.
func (f *installation) guard() signals.State {
	description, err := f.temporal.DescribeWorkflow(f.ctx, signals.GuardID, "")
	if err != nil {
		return ""
	}
	state, _ := description.TypedSearchAttributes.GetKeyword(signals.IncidentState)
	return signals.State(state)
}

// approveUntilItCounts approves what is pending, again where a worker could not
// ask the guard just then.
func (i *incident) approveUntilItCounts() {
	i.t.Helper()
	i.await("the approval counts", func() bool {
		// The incident may be closed by now, if the last one counted.
		_ = i.temporal.SignalWorkflow(i.ctx, i.WorkflowID, i.RunID, signals.Approve, signals.Decision{Analyst: "ann", Reason: "confirmed"})
		page, err := i.look()
		return err == nil && page.Pending == nil
	})
}

func TestAFreezeStopsEveryWorkerAndSurvivesTheirDeath(t *testing.T) {
	t.Parallel()
	f := install(t, ownTemporal(t), unasked, sysdigtest.Options{})
	first, second := f.worker(), f.worker()
	f.turn(signals.Freeze, signals.GuardFrozen)

	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	require.True(t, told(i.show(), signals.KindAction, "KILL_CONTAINER was not carried out: containment is frozen by ann since "))
	first.kill()
	second.kill()
	f.worker()
	i.approve()
	i.await("the approval is refused", func() bool {
		page, err := i.look()
		return err == nil && told(page, signals.KindRefused, "approve did not count: containment is frozen by ann since ")
	})
	require.Zero(t, f.killed())

	// What was terminated says so until the next worker, and then goes on.
	require.NoError(t, f.temporal.TerminateWorkflow(f.ctx, signals.GuardID, "", "an accident"))
	i.approve()
	i.await("the next approval is refused, too", func() bool {
		page, err := i.look()
		refused := 0
		for _, entry := range page.WarRoom {
			if entry.Kind == signals.KindRefused {
				refused++
			}
		}
		return err == nil && refused == 2
	})
	f.worker()
	f.await("the next guard is frozen", func() bool { return f.guard() == signals.GuardFrozen })
	f.turn(signals.Unfreeze, signals.GuardOpen)
	i.approveUntilItCounts()
	i.contained()
}

func TestAFreezeSurvivesTheDeathOfTemporal(t *testing.T) {
	t.Parallel()
	f := install(t, ownTemporal(t), unasked, sysdigtest.Options{})
	f.worker()
	f.turn(signals.Freeze, signals.GuardFrozen)
	f.temporal.kill()
	require.NoError(t, f.temporal.restart(f.ctx))
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	require.Zero(t, f.killed())
	f.turn(signals.Unfreeze, signals.GuardOpen)
	i.approveUntilItCounts()
	i.contained()
}
