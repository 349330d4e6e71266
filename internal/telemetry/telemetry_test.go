package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"firebreak/internal/telemetry"
)

func TestLogIsJSONUnlessItGoesToATerminal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ format, level, want string }{
		"a file":           {"", "", `"msg":"hello","workflow_id":"w"}`},
		"JSON by name":     {"json", "info", `"msg":"hello","workflow_id":"w"}`},
		"text by name":     {"text", "debug", "msg=hello workflow_id=w"},
		"below the level":  {"text", "warn", ""},
		"far below it too": {"json", "error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log, err := telemetry.Logger(&out, tc.format, tc.level)
			require.NoError(t, err)
			log.Info("hello", "workflow_id", "w")
			if tc.want == "" {
				require.Empty(t, out.String())
				return
			}
			require.Contains(t, out.String(), tc.want)
		})
	}
}

func TestUnknownLogSettingsAreRefused(t *testing.T) {
	t.Parallel()
	_, err := telemetry.Logger(&bytes.Buffer{}, "xml", "")
	require.EqualError(t, err, `log format "xml": want text or json`)
	_, err = telemetry.Logger(&bytes.Buffer{}, "", "info+2")
	require.EqualError(t, err, `log level "info+2": want debug, info, warn or error`)
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestMetricsShowTheTemporalSDKUnderItsDocumentedNames(t *testing.T) {
	t.Parallel()
	log, err := telemetry.Logger(&bytes.Buffer{}, "", "")
	require.NoError(t, err)
	metrics, err := telemetry.NewMetrics(log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, metrics.Close(context.Background())) })
	tagged := metrics.Temporal.WithTags(map[string]string{"namespace": "default"})
	tagged.Counter("temporal_request").Inc(3)
	tagged.Timer("temporal_request_latency").Record(40 * time.Millisecond)
	tagged.Gauge("temporal_num_pollers").Update(2)

	body := get(t, telemetry.Ops(metrics.Registry, nil), "/metrics").Body.String()
	require.Contains(t, body, "# TYPE temporal_request_total counter\n")
	require.Contains(t, body, `temporal_request_total{namespace="default"} 3`)
	require.Contains(t, body, `temporal_request_latency_seconds_bucket{namespace="default",le="0.025"} 0`)
	require.Contains(t, body, `temporal_request_latency_seconds_bucket{namespace="default",le="0.05"} 1`)
	require.Contains(t, body, `temporal_num_pollers{namespace="default"} 2`)
	require.Contains(t, body, "go_goroutines ")
}

func TestProbesAnswerWhatTheyAreAsked(t *testing.T) {
	t.Parallel()
	var down error
	ops := telemetry.Ops(prometheus.NewRegistry(), func(context.Context) error { return down })
	require.Equal(t, http.StatusOK, get(t, ops, "/livez").Code)
	require.Equal(t, http.StatusOK, get(t, ops, "/readyz").Code)
	down = errors.New("Temporal does not answer")
	require.Equal(t, http.StatusOK, get(t, ops, "/livez").Code)
	answer := get(t, ops, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	require.Equal(t, "Temporal does not answer\n", answer.Body.String())
}

func TestReadinessAsksAtMostOncePerSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, down := 0, error(nil)
		r := telemetry.NewReadiness(func(context.Context) error { asked++; return down })
		require.NoError(t, r.Ready(t.Context()))
		down = errors.New("gone")
		require.NoError(t, r.Ready(t.Context()), "the answer holds for a second")
		time.Sleep(time.Second)
		require.EqualError(t, r.Ready(t.Context()), "not ready: gone")
		down = nil
		require.Error(t, r.Ready(t.Context()))
		require.Equal(t, 2, asked)
		time.Sleep(time.Second)
		require.NoError(t, r.Ready(t.Context()))
		r.Drain()
		require.EqualError(t, r.Ready(t.Context()), "shutting down")
		require.Equal(t, 3, asked)
	})
}

func TestReadinessGivesUpOnACheckThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := telemetry.NewReadiness(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		begin := time.Now()
		require.ErrorIs(t, r.Ready(t.Context()), context.DeadlineExceeded)
		require.Less(t, time.Since(begin), time.Second)
	})
}
