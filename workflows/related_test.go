package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"firebreak/activities"
	"firebreak/signals"
	"firebreak/workflows"
)

func TestPageSaysThatRelatedEventsAreCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cut  bool
		text string
	}{
		"all of them": {false, "1 related events of the same container"},
		"the nearest": {true, "the 1 nearest related events of the same container; Sysdig has more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.related = func(activities.RelatedInput) (activities.RelatedResult, error) {
				return activities.RelatedResult{Events: []signals.RelatedEvent{{ID: "event-0"}}, Cut: tc.cut}, nil
			}
			b.at(time.Minute, signals.Approve, decision("ann"))
			page := b.run(workflows.CryptoMiner, minerInput(), miner())
			require.Len(t, page.Related, 1)
			require.Equal(t, tc.cut, page.RelatedCut)
			require.Contains(t, texts(page, signals.KindCheck), tc.text)
		})
	}
}

func TestPageSaysThatRelatedEventsAreNotReadable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.related = func(activities.RelatedInput) (activities.RelatedResult, error) {
		return activities.RelatedResult{}, temporal.NewNonRetryableApplicationError("404", activities.ErrRefused, nil)
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Contains(t, strings.Join(texts(page, signals.KindCheck), "\n"), "related events not readable: 404")
}
