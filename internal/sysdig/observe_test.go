package sysdig_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
)

func TestEveryRequestIsObservedByItsTemplate(t *testing.T) {
	t.Parallel()
	sim := sysdigtest.Start(t, sysdigtest.Options{})
	var seen []sysdig.Exchange
	cfg := sim.Config()
	cfg.Observe = func(e sysdig.Exchange) { seen = append(seen, e) }
	client, err := sysdig.NewClient(cfg)
	require.NoError(t, err)
	recorder := tracetest.NewSpanRecorder()
	ctx, parent := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test").Start(t.Context(), "activity")

	_, _ = client.Execution(ctx, "secret-id")
	_, _ = client.Undo(ctx, "secret-id", "caller")
	_, _ = client.ExecutionsByCaller(ctx, "caller", time.Now().Add(-time.Minute), time.Now())
	_, _ = client.Event(ctx, "secret-id")
	_, _ = client.DownloadCapture(ctx, 777, time.Minute)
	_, _ = client.AcquiredFile(ctx, "secret-id", time.Minute)
	_, _ = client.ConnectedAgents(ctx)
	parent.End()

	const executions = "/secure/response-actions/v1alpha1/action-executions"
	want := []string{
		"GET " + executions + "/{id} 404", "DELETE " + executions + "/{id} 404", "GET " + executions + " 200",
		"GET /secure/events/v1/events/{id} 404", "GET /api/v1/captures/{id}/download 404", "GET /api/sysdig/{id}/download 404", "GET " + executions + "/{id}/acquired-file 404",
		"GET /api/agents/connected 200",
	}
	var got []string
	for _, e := range seen {
		got = append(got, e.Endpoint+" "+e.Code)
		require.Positive(t, e.Took)
	}
	require.Equal(t, want, got)
	spans := recorder.Ended()
	require.Len(t, spans, len(want)+1)
	for i, span := range spans[:len(want)] {
		require.Equal(t, seen[i].Endpoint, span.Name())
		require.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID())
		require.Equal(t, seen[i].Code != "200", span.Status().Code == codes.Error)
		for _, a := range span.Attributes() {
			require.NotContains(t, a.Value.String(), "secret-id")
			require.NotContains(t, a.Value.String(), cfg.Token)
		}
	}
}

func TestARequestWithoutAnAnswerIsAnError(t *testing.T) {
	t.Parallel()
	sim := sysdigtest.Start(t, sysdigtest.Options{})
	sim.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: "/api/agents/connected", Times: 1, ResetBefore: true})
	var seen []sysdig.Exchange
	cfg := sim.Config()
	cfg.Observe = func(e sysdig.Exchange) { seen = append(seen, e) }
	client, err := sysdig.NewClient(cfg)
	require.NoError(t, err)
	_, err = client.ConnectedAgents(t.Context())
	require.Error(t, err)
	require.Len(t, seen, 1)
	require.Equal(t, "error", seen[0].Code)
}
