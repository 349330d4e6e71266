package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/signals"
)

func TestASmallBenchmarkOfTheWebhookEndsWell(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{
		"ingest", "--events=3", "--copies=20", "--rate=200", "--concurrency=8", "--targets=2", "--each=20", "--senders=16",
	}, &stdout, &stderr)
	require.Zero(t, code, "%s\n%s", stderr.String(), stdout.String())
	for _, row := range []string{
		"acknowledged, p50", "acknowledged, p95", "acknowledged, p99", "acknowledged, max", "events accepted (/s)",
	} {
		require.Contains(t, stdout.String(), row)
	}
	// What is exact on every machine; on a slow one some events are sent again.
	require.NotRegexp(t, `(?m)^(events counted|event IDs|incidents).*missed$`, stdout.String())
	require.Regexp(t, `(?m)^incidents in all +7 += 7  met$`, stdout.String())
}

func TestSizesThatTheWebhookCannotBeSentAreRefused(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	require.Equal(t, 2, run(t.Context(), []string{"ingest", "--each=0", "--rate=0"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "--each 0: want 1 or more")
	require.Contains(t, stderr.String(), "--rate 0: want more than 0")
	require.Empty(t, stdout.String())
}

func TestAnEventThatWasNotCountedOnceIsAnError(t *testing.T) {
	t.Parallel()
	want := signals.EventCount{Count: 1, Duplicates: 9}
	for name, test := range map[string]struct {
		tally tally
		want  string
	}{
		"exact":      {tally{events: want, outcome: signals.Contained}, ""},
		"lost":       {tally{events: signals.EventCount{Count: 1, Duplicates: 8}, outcome: signals.Contained}, "counted 1 events and 8 duplicates: want 1 and 9"},
		"twice":      {tally{events: signals.EventCount{Count: 2, Duplicates: 8}, outcome: signals.Contained}, "counted 2 events and 8 duplicates: want 1 and 9"},
		"sent again": {tally{events: signals.EventCount{Count: 1, Duplicates: 11}, outcome: signals.Contained}, ""},
		"too often":  {tally{events: signals.EventCount{Count: 1, Duplicates: 12}, outcome: signals.Contained}, "counted 1 events and 12 duplicates: want 1 and 9"},
		"another":    {tally{events: want, lacking: 1, foreign: 2, outcome: signals.Contained}, "lack the IDs of 1 events that were sent, and have 2 others"},
		"ended ill":  {tally{events: want, outcome: signals.Failed}, "was failed: want it contained"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.tally.want = want
			r := ingestReport{ingestSizes: ingestSizes{events: 1}, copied: []tally{test.tally}, incidents: 1, refused: 2}
			if test.want == "" {
				require.NoError(t, r.wrong())
				return
			}
			require.ErrorContains(t, r.wrong(), test.want)
		})
	}
	r := ingestReport{ingestSizes: ingestSizes{events: 10}, incidents: 11}
	require.ErrorContains(t, r.wrong(), "there are 11 incidents: want 10")
}

func TestTheReportShowsWhatWasNotCounted(t *testing.T) {
	t.Parallel()
	r := ingestReport{
		ingestSizes:  ingestSizes{events: 2, copies: 10, targets: 1, perTarget: 3},
		acknowledged: latencies{51 * time.Millisecond},
		copied: []tally{
			{events: signals.EventCount{Count: 1, Duplicates: 9}},
			{events: signals.EventCount{Count: 1, Duplicates: 8}, lacking: 1},
		},
		distinctOnes: []tally{{events: signals.EventCount{Count: 3}}, {events: signals.EventCount{Count: 3}}},
		incidents:    4,
		refused:      1,
	}
	var b strings.Builder
	require.NoError(t, r.print(&b))
	require.Regexp(t, `(?m)^acknowledged, p99 \(ms\) +51\.0 +<= 50\.0  missed$`, b.String())
	require.Regexp(t, `(?m)^duplicates counted by each incident +8\.\.9 += 9  missed$`, b.String())
	require.Regexp(t, `(?m)^event IDs sent that its histories lack +0\.\.1 += 0  missed$`, b.String())
	require.Regexp(t, `(?m)^answers other than 202 +1 += 0  missed$`, b.String())
	require.Equal(t, 4, strings.Count(b.String(), "missed\n"), b.String())
}
