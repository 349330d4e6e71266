package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
)

func TestASmallBenchmarkEndsWell(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"--samples=3", "--incidents=4", "--rate=0", "--concurrency=8"}, &stdout, &stderr)
	require.Zero(t, code, stderr.String())
	for _, row := range []string{
		"event to action, p50", "event to action, p95", "signal to action, p50", "signal to action, p95",
		"automatic incidents completed", "history, automatic incident (events)", "history, approved incident (KiB)",
		"every action was done exactly once",
	} {
		require.Contains(t, stdout.String(), row)
	}
}

func TestSizesThatMeasureNothingAreRefused(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	require.Equal(t, 2, run(t.Context(), []string{"--samples=0", "--rate=-1"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "--samples 0: want 1 or more")
	require.Contains(t, stderr.String(), "--rate -1: want 0 or more")
	require.Equal(t, 2, run(t.Context(), []string{"fast"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), `argument "fast": want none`)
	require.Empty(t, stdout.String())
}

func TestAnActionThatWasNotDoneOnceIsAnError(t *testing.T) {
	t.Parallel()
	killed := func(containers ...string) (l sysdigtest.Ledger) {
		for _, c := range containers {
			l = append(l, sysdigtest.Effect{Action: "KILL_CONTAINER", ContainerID: c})
		}
		return l
	}
	for name, test := range map[string]struct {
		requests map[string]int
		ledger   sysdigtest.Ledger
		want     string
	}{
		"once":            {map[string]int{"a": 1, "other": 2}, killed("a", "other"), ""},
		"asked for twice": {map[string]int{"a": 2}, killed("a"), "container a: the action was asked for 2 times and done 1 times: want once"},
		"never asked for": {nil, nil, "container a: the action was asked for 0 times and done 0 times: want once"},
		"not done": {map[string]int{"a": 1}, sysdigtest.Ledger{{
			Action: "KILL_CONTAINER", ContainerID: "a", Failure: sysdigtest.ContainerNotFound,
		}}, "done 0 times"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := once([]target{{container: "a"}}, test.requests, test.ledger)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestAQuantileIsTheSampleOfItsRank(t *testing.T) {
	t.Parallel()
	var l latencies
	for i := 100; i > 0; i-- {
		l = append(l, time.Duration(i))
	}
	require.Equal(t, time.Duration(50), l.quantile(0.50))
	require.Equal(t, time.Duration(95), l.quantile(0.95))
	require.Equal(t, time.Duration(7), latencies{7}.quantile(0.95))
}

func TestTheReportSaysWhichBarsAreMissed(t *testing.T) {
	t.Parallel()
	r := report{
		event:      pair[latencies]{latencies{13 * time.Millisecond}, latencies{10 * time.Millisecond}},
		signal:     pair[latencies]{latencies{12 * time.Millisecond}, latencies{10 * time.Millisecond}},
		throughput: pair[float64]{79, 100},
		histories: histories{
			automatic: pair[history]{history{41, 64 << 10}, history{11, 1}},
			approved:  pair[history]{history{120, 256<<10 + 1}, history{11, 1}},
		},
	}
	var b strings.Builder
	require.NoError(t, r.print(&b))
	var verdicts []string
	for line := range strings.Lines(b.String()) {
		if fields := strings.Fields(line); len(fields) > 0 && (fields[len(fields)-1] == "met" || fields[len(fields)-1] == "missed") {
			verdicts = append(verdicts, fields[len(fields)-1])
		}
	}
	require.Equal(t, []string{"missed", "met", "missed", "missed", "met", "met", "missed"}, verdicts, b.String())
}
