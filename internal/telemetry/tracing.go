package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
)

// Tracing is where the spans of a process go. Spans wait in memory and are sent
// beside the work: while nobody takes them, those that find no room are dropped.
type Tracing struct {
	provider *sdktrace.TracerProvider
	log      *slog.Logger
}

// Traced reports whether the process's environment says where spans go, as
// OpenTelemetry specifies it: OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, unless OTEL_TRACES_EXPORTER is none or
// OTEL_SDK_DISABLED is true.
func Traced() bool {
	endpoint := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	return endpoint != "" && os.Getenv("OTEL_TRACES_EXPORTER") != "none" && !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true")
}

// NewTracing returns the tracing of a process, which sends spans by OTLP over
// HTTP. The other variables that OpenTelemetry specifies hold: OTEL_SERVICE_NAME,
// which is the name given otherwise, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_… and more. It
// connects to nothing. What goes wrong later is logged, now and then.
func NewTracing(ctx context.Context, service string, logger *slog.Logger) (*Tracing, error) {
	// Also what the exporter has to say about its variables.
	otel.SetErrorHandler(&seldom{log: logger})
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("create trace exporter: %w", err)
	}
	// The process's own attributes are left out: a command line can hold anything.
	of, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attribute.String("service.name", service)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read what traces are of: %w", err)
	}
	return newTracing(logger, sdktrace.WithBatcher(exporter), sdktrace.WithResource(of)), nil
}

func newTracing(logger *slog.Logger, options ...sdktrace.TracerProviderOption) *Tracing {
	return &Tracing{log: logger, provider: sdktrace.NewTracerProvider(append(options, sdktrace.WithIDGenerator(spanIDs{}))...)}
}

// Provider is where tracers come from.
func (t *Tracing) Provider() trace.TracerProvider { return t.provider }

// Interceptors trace what a Temporal client asks for and what its workers do.
// Queries are left out: they are not part of what happens. Nothing but the span's
// identity travels to Temporal.
func (t *Tracing) Interceptors() ([]interceptor.ClientInterceptor, error) {
	tracer, err := opentelemetry.NewTracer(opentelemetry.TracerOptions{
		Tracer:              t.provider.Tracer("temporal-sdk-go"),
		DisableQueryTracing: true,
		DisableBaggage:      true,
		// A header that cannot be read must not wedge an incident.
		AllowInvalidParentSpans: true,
		TextMapPropagator:       propagation.TraceContext{},
		SpanStarter:             startSpan,
	})
	if err != nil {
		return nil, fmt.Errorf("create tracer: %w", err)
	}
	return []interceptor.ClientInterceptor{interceptor.NewTracingInterceptor(&workflowTracer{tracer})}, nil
}

// flushBudget bounds how long a process that ends waits for spans to be sent: they
// are worth less than its restart.
const flushBudget = 5 * time.Second

// Close sends the spans that wait, and ends the tracing.
func (t *Tracing) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushBudget)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("last spans not sent", "error", err)
	}
}

// workflowTracer is the SDK's tracer, but for two things: the span of a workflow
// has the same identity in every worker that runs it, be it after a restart or
// because the workflow fell out of a cache, so that what happens in it stays below
// it; and the log's keys are those of the other lines.
type workflowTracer struct{ interceptor.Tracer }

// inName stands in the name of a span before what its identity is made of. There
// is no other way for it through the SDK's tracer.
const inName = "\x00"

// StartSpan starts a span.
func (t *workflowTracer) StartSpan(options *interceptor.TracerStartSpanOptions) (interceptor.TracerSpan, error) {
	// The SDK's idempotency keys would not do: they count signals, which only the
	// worker that takes them sees.
	if run := options.Tags["temporalRunID"]; options.Operation == "RunWorkflow" && run != "" {
		identified := *options
		identified.Name += inName + run
		options = &identified
	}
	return t.Tracer.StartSpan(options)
}

// GetLogger adds the span to the log.
func (t *workflowTracer) GetLogger(logger log.Logger, ref interceptor.TracerSpanRef) log.Logger {
	if span, ok := ref.(interface{ SpanContext() trace.SpanContext }); ok {
		return log.With(logger, keyTrace, span.SpanContext().TraceID().String(), keySpan, span.SpanContext().SpanID().String())
	}
	return logger
}

// identityKey is where the context of a span that is started has what its identity
// is made of.
type identityKey struct{}

func startSpan(ctx context.Context, tracer trace.Tracer, name string, options ...trace.SpanStartOption) trace.Span {
	if plain, identity, has := strings.Cut(name, inName); has {
		name, ctx = plain, context.WithValue(ctx, identityKey{}, identity)
	}
	_, span := tracer.Start(ctx, name, options...)
	return span
}

// spanIDs makes IDs: at random, or of what the identity of a span is made of.
type spanIDs struct{}

// NewIDs is for a span without a parent.
func (spanIDs) NewIDs(ctx context.Context) (traceID trace.TraceID, spanID trace.SpanID) {
	if identity, has := ctx.Value(identityKey{}).(string); has {
		sum := sha256.Sum256([]byte(identity))
		copy(traceID[:], sum[:])
		copy(spanID[:], sum[len(traceID):])
		return traceID, spanID
	}
	binary.NativeEndian.PutUint64(traceID[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(traceID[8:], rand.Uint64()|1) // never all zeros
	return traceID, randomSpan()
}

// NewSpanID is for a span in a trace.
func (spanIDs) NewSpanID(ctx context.Context, traceID trace.TraceID) (spanID trace.SpanID) {
	if identity, has := ctx.Value(identityKey{}).(string); has {
		sum := sha256.Sum256([]byte(traceID.String() + identity))
		copy(spanID[:], sum[:])
		return spanID
	}
	return randomSpan()
}

func randomSpan() (spanID trace.SpanID) {
	binary.NativeEndian.PutUint64(spanID[:], rand.Uint64()|1)
	return spanID
}

// pauseBetween is the least time between two lines about spans that are not sent.
const pauseBetween = time.Minute

// seldom logs the errors of OpenTelemetry: an exporter that is down has one every
// few seconds.
type seldom struct {
	log *slog.Logger

	mu   sync.Mutex
	last time.Time
}

// Handle logs an error, unless one was logged a moment ago.
func (s *seldom) Handle(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.IsZero() || time.Since(s.last) >= pauseBetween {
		s.last = time.Now()
		s.log.Warn("spans not sent", "error", err)
	}
}
