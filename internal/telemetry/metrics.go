package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// Metrics is where a process counts.
type Metrics struct {
	// Registry is what /metrics shows: the Go runtime, the process, the
	// Temporal SDK, and what the process registers with the prefix firebreak_.
	Registry *prometheus.Registry
	// Temporal is for the Temporal client's options.
	Temporal client.MetricsHandler

	provider *sdkmetric.MeterProvider
	// own are the metrics that were defined, by name.
	own atomic.Pointer[map[string]*instrument]
}

// buckets reach from a local call to an incident that waited a day for its
// approval, in seconds: the SDK's timers are all in seconds, which
// OpenTelemetry's default buckets are not made for.
var buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}

// NewMetrics returns the metrics of a process.
func NewMetrics(log *slog.Logger) (*Metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	exporter, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry),
		otelprometheus.WithoutTargetInfo(),
		otelprometheus.WithoutScopeInfo(),
	)
	if err != nil {
		return nil, fmt.Errorf("create metrics exporter: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(exporter),
		sdkmetric.WithView(sdkmetric.NewView(
			sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram},
			sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: buckets}},
		)),
	)
	m := &Metrics{Registry: registry, provider: provider}
	m.Temporal = &handler{own: &m.own, MetricsHandler: opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: provider.Meter("temporal-sdk-go"),
		// The default panics; a metric is not worth a process.
		OnError:              func(err error) { log.Warn("Temporal SDK metric was dropped", "error", err) },
		UseMonotonicCounters: true,
	})}
	return m, nil
}

// Close ends the metrics of a process.
func (m *Metrics) Close(ctx context.Context) error {
	if err := m.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("close metrics: %w", err)
	}
	return nil
}
