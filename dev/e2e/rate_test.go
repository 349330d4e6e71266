package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

func TestAllWorkersTogetherKeepToTheRateOfActivities(t *testing.T) {
	t.Parallel()
	const incidents, perMinute = 8, 60
	targets := newTargets(incidents)
	f := prepare(t, shared, unasked, sysdigtest.Options{}, targets...)
	f.configure("worker: {activities_per_minute: 60}")
	f.starter()
	for range 2 {
		f.worker()
	}
	var opened []*incident
	for _, target := range targets {
		opened = append(opened, f.open(newEvent(t, target, minerRule)))
	}
	for _, i := range opened {
		i.awaitState(signals.Contained)
	}
	ledger := f.sysdig.Ledger()
	require.Len(t, ledger, incidents)
	// The server lets the first few through at once.
	least := time.Minute / perMinute * (incidents - 3)
	require.Greater(t, ledger[incidents-1].Time.Sub(ledger[0].Time), least)
}
