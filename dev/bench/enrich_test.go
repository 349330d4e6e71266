package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEnrichReportSaysWhichBarsAreMet(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := enrichReport{
		enrichSizes: enrichSizes{incidents: 500, concurrency: 8, agents: 20_000},
		few:         enrichment{latencies: latencies{20 * time.Millisecond}, lists: 2, took: time.Minute, resident: 60 << 20},
		many:        enrichment{latencies: latencies{26 * time.Millisecond}, lists: 3, took: time.Minute, resident: 76 << 20},
	}
	require.NoError(t, r.print(&out))
	var verdicts []string
	for line := range strings.Lines(out.String()) {
		if fields := strings.Fields(line); len(fields) > 0 && (fields[len(fields)-1] == "met" || fields[len(fields)-1] == "missed") {
			verdicts = append(verdicts, fields[len(fields)-1])
		}
	}
	require.Equal(t, []string{"missed", "missed", "met"}, verdicts, out.String())
}

func TestEnrichBenchmarkRefusesWrongSizes(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	require.Equal(t, 2, run(t.Context(), []string{"enrich", "--firebreak=nowhere", "--agents=1", "--rate=-1"}, &stdout, &stderr))
	for _, problem := range []string{`--firebreak "nowhere": stat nowhere`, "--agents 1: must be 20 or more", "--rate -1: must be 0 or more"} {
		require.Contains(t, stderr.String(), problem)
	}
}

func TestIncidentsOfTheBenchmarkAreSpreadOverHosts(t *testing.T) {
	t.Parallel()
	hosts := connected(100, 45)
	require.Len(t, hosts, 100)
	all := withoutHostID(targets(hosts))
	require.Len(t, all, 45)
	for _, of := range all {
		require.Empty(t, of.hostID)
	}
	require.Empty(t, hosts[fewAgents].Containers)
}
