package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"firebreak/internal/telemetry"
)

// traced runs a workflow of one activity with one worker's interceptors, and
// returns its spans by name.
func traced(t *testing.T, logger *slog.Logger) map[string]sdktrace.ReadOnlySpan {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	interceptors, err := telemetry.NewTestTracing(logger, sdktrace.WithSpanProcessor(recorder)).Interceptors()
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(logger))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{interceptors[0].(interceptor.WorkerInterceptor)}})
	env.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: "act"})
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		workflow.GetLogger(ctx).Info("in the workflow")
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		return workflow.ExecuteActivity(ctx, "act").Get(ctx, nil)
	})
	require.NoError(t, env.GetWorkflowError())
	spans := map[string]sdktrace.ReadOnlySpan{}
	for _, span := range recorder.Ended() {
		kind, _, _ := bytes.Cut([]byte(span.Name()), []byte(":"))
		spans[string(kind)] = span
	}
	return spans
}

func TestTheSpanOfAWorkflowIsTheSameInEveryWorker(t *testing.T) {
	t.Parallel()
	discard := slog.New(slog.DiscardHandler)
	one, other := traced(t, discard), traced(t, discard)
	for _, name := range []string{"RunWorkflow", "StartActivity", "RunActivity"} {
		require.Contains(t, one, name)
		require.NotContains(t, one[name].Name(), "\x00")
		require.Equal(t, one[name].SpanContext().TraceID(), other[name].SpanContext().TraceID(), name)
	}
	require.Equal(t, one["RunWorkflow"].SpanContext().SpanID(), other["RunWorkflow"].SpanContext().SpanID())
	require.NotEqual(t, one["StartActivity"].SpanContext().SpanID(), other["StartActivity"].SpanContext().SpanID())
	require.Equal(t, one["RunWorkflow"].SpanContext().SpanID(), one["StartActivity"].Parent().SpanID())
	require.Equal(t, one["StartActivity"].SpanContext().SpanID(), one["RunActivity"].Parent().SpanID())
}

func TestLinesInASpanNameItAndAllKeysHaveOneForm(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, err := telemetry.Logger(&out, "json", "debug")
	require.NoError(t, err)
	run := traced(t, logger)["RunWorkflow"].SpanContext()
	var line map[string]any
	for raw := range bytes.Lines(out.Bytes()) {
		fields := map[string]any{}
		require.NoError(t, json.Unmarshal(raw, &fields))
		for key := range fields {
			require.Regexp(t, `^[a-z][a-z_]*$`, key, string(raw))
		}
		if fields["msg"] == "in the workflow" {
			line = fields
		}
	}
	require.Equal(t, run.TraceID().String(), line["trace_id"])
	require.Equal(t, run.SpanID().String(), line["span_id"])

	out.Reset()
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "request")
	logger.With("a", 1).InfoContext(ctx, "here", "EventID", 7)
	require.Contains(t, out.String(), `"trace_id":"`+span.SpanContext().TraceID().String()+`"`)
	require.Contains(t, out.String(), `"history_event_id":7`, "no event of Sysdig's")
	out.Reset()
	logger.InfoContext(t.Context(), "here")
	require.NotContains(t, out.String(), "trace_id")
}

func TestTracingIsOffUnlessTheEnvironmentSaysWhereSpansGo(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"nothing":         {nil, false},
		"an endpoint":     {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, true},
		"one of traces":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, true},
		"another service": {map[string]string{"OTEL_SERVICE_NAME": "x"}, false},
		"off":             {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, false},
		"no exporter":     {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"} {
				t.Setenv(variable, c.env[variable])
			}
			require.Equal(t, c.want, telemetry.Traced())
		})
	}
}

// hung is an exporter that takes nothing until it is told to end.
type hung struct{}

func (hung) ExportSpans(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
	<-ctx.Done()
	return ctx.Err()
}
func (hung) Shutdown(context.Context) error { return nil }

func TestAnExporterThatHangsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, err := telemetry.Logger(&out, "json", "info")
	require.NoError(t, err)
	tracing := telemetry.NewTestTracing(logger, sdktrace.WithBatcher(hung{}, sdktrace.WithMaxQueueSize(8), sdktrace.WithMaxExportBatchSize(4)))
	for range 1000 { // far more than there is room for
		_, span := tracing.Provider().Tracer("test").Start(t.Context(), "work")
		span.End()
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("out of time"))
	tracing.Close(ended)
	require.Contains(t, out.String(), "last spans not sent")
}
