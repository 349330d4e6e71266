package telemetry_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/metrics"
	"firebreak/internal/telemetry"
)

// shown is what Prometheus would see.
func shown(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	telemetry.Ops(m.Registry, nil).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return recorder.Body.String()
}

func TestDefinedMetricsHaveTheirLabelsAndNoOthers(t *testing.T) {
	t.Parallel()
	m, err := telemetry.NewMetrics(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, m.Define(
		metrics.Metric{Name: "firebreak_things_total", Kind: metrics.Counter, Help: "Things.", Labels: []metrics.Label{{Name: "colour", Values: []string{"red", "blue"}}}},
		metrics.Metric{Name: "firebreak_calls_total", Kind: metrics.Counter, Help: "Calls.", Labels: []metrics.Label{{Name: "who"}}},
		metrics.Metric{Name: "firebreak_wait_seconds", Kind: metrics.Histogram, Help: "Waits.", Labels: []metrics.Label{{Name: "colour", Values: []string{"red"}}}},
	))
	text := shown(t, m)
	require.Contains(t, text, "# HELP firebreak_things_total Things.\n")
	require.Contains(t, text, `firebreak_things_total{colour="blue"} 0`, "it is there before it is counted")
	require.Contains(t, text, `firebreak_wait_seconds_count{colour="red"} 0`)
	require.NotContains(t, text, "firebreak_calls_total", "nobody knows yet who calls")

	sdk := m.Temporal.WithTags(map[string]string{"task_queue": "firebreak", "colour": "red"})
	sdk.Counter("firebreak_things_total").Inc(2)
	sdk.WithTags(map[string]string{"colour": "blue"}).Counter("firebreak_things_total").Inc(1)
	sdk.WithTags(map[string]string{"colour": "node-1"}).Counter("firebreak_things_total").Inc(1)
	sdk.WithTags(map[string]string{"who": "notify.urls[0]"}).Counter("firebreak_calls_total").Inc(1)
	sdk.Counter("firebreak_things_total").Inc(-1) // as a size that another system tells may be
	sdk.Timer("firebreak_wait_seconds").Record(90 * time.Second)
	sdk.Counter("temporal_thing").Inc(3)
	sdk.Timer("temporal_wait").Record(time.Second)
	text = shown(t, m)
	for _, line := range []string{
		`firebreak_things_total{colour="red"} 2`,
		`firebreak_things_total{colour="blue"} 1`,
		`firebreak_things_total{colour="other"} 1`,
		`firebreak_calls_total{who="notify.urls[0]"} 1`,
		`firebreak_wait_seconds_sum{colour="red"} 90`,
		`temporal_thing_total{colour="red",task_queue="firebreak"} 3`,
		`temporal_wait_seconds_sum{colour="red",task_queue="firebreak"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "node-1")
}

func TestWhatPlaybooksCountIsDefinedOnce(t *testing.T) {
	t.Parallel()
	m, err := telemetry.NewMetrics(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, m.Define(metrics.All()...))
	for _, definition := range metrics.All() {
		require.Regexp(t, `^firebreak_[a-z_]+$`, definition.Name)
		require.NotEmpty(t, definition.Help)
		require.True(t, strings.HasSuffix(definition.Name, map[metrics.Kind]string{
			metrics.Counter: "_total", metrics.Histogram: "_seconds",
		}[definition.Kind]), definition.Name)
	}
}
