package telemetry

import (
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"firebreak/internal/metrics"
)

// maxPrepared is how many series of one metric are there from the start. A counter
// that begins to exist with its first count has no increase that an alert could
// see; but nobody needs hundreds of zeros.
const maxPrepared = 100

// Define registers metrics that workflows and activities count by their SDK
// metrics handlers. These have the labels of their definition and no other: what
// the SDK adds to its own, like the task queue, would say the same once more.
func (m *Metrics) Define(all ...metrics.Metric) error {
	own := map[string]*instrument{}
	for _, definition := range all {
		i := &instrument{Metric: definition}
		names := make([]string, len(definition.Labels))
		for at, label := range definition.Labels {
			names[at] = label.Name
		}
		var collector prometheus.Collector
		switch definition.Kind {
		case metrics.Histogram:
			i.histogram = prometheus.NewHistogramVec(prometheus.HistogramOpts{
				Name: definition.Name, Help: definition.Help, Buckets: buckets,
			}, names)
			collector = i.histogram
		default:
			i.counter = prometheus.NewCounterVec(prometheus.CounterOpts{Name: definition.Name, Help: definition.Help}, names)
			collector = i.counter
		}
		if err := m.Registry.Register(collector); err != nil {
			return fmt.Errorf("register metric %s: %w", definition.Name, err)
		}
		i.prepare()
		own[definition.Name] = i
	}
	m.own.Store(&own)
	return nil
}

// instrument is a metric that was defined: one of both vectors.
type instrument struct {
	metrics.Metric

	counter   *prometheus.CounterVec
	histogram *prometheus.HistogramVec
}

// prepare makes every series that the metric can have, if these are few.
func (i *instrument) prepare() {
	series := [][]string{nil}
	for _, label := range i.Labels {
		if label.Values == nil || len(series)*len(label.Values) > maxPrepared {
			return
		}
		var longer [][]string
		for _, values := range series {
			for _, value := range label.Values {
				longer = append(longer, append(values[:len(values):len(values)], value))
			}
		}
		series = longer
	}
	for _, values := range series {
		if i.counter != nil {
			i.counter.WithLabelValues(values...)
		} else {
			i.histogram.WithLabelValues(values...)
		}
	}
}

// handler is the metrics handler of the Temporal SDK, to which workflows and
// activities have access: the SDK's own metrics go to OpenTelemetry, and those
// that were defined to the registry.
type handler struct {
	client.MetricsHandler

	own    *atomic.Pointer[map[string]*instrument]
	parent *handler
	tags   map[string]string
}

// WithTags adds tags, which become labels.
func (h *handler) WithTags(tags map[string]string) client.MetricsHandler {
	return &handler{MetricsHandler: h.MetricsHandler.WithTags(tags), own: h.own, parent: h, tags: maps.Clone(tags)}
}

// Counter is the counter of that name.
func (h *handler) Counter(name string) client.MetricsCounter {
	if i := h.find(name); i != nil && i.counter != nil {
		counter := i.counter.WithLabelValues(h.values(i)...)
		// A counter panics when it is to go down, and a playbook that panics stands
		// still: sizes come from others.
		return counterFunc(func(n int64) { counter.Add(float64(max(n, 0))) })
	}
	return h.MetricsHandler.Counter(name)
}

// Timer is the histogram of that name.
func (h *handler) Timer(name string) client.MetricsTimer {
	if i := h.find(name); i != nil && i.histogram != nil {
		observer := i.histogram.WithLabelValues(h.values(i)...)
		return timerFunc(func(d time.Duration) { observer.Observe(d.Seconds()) })
	}
	return h.MetricsHandler.Timer(name)
}

func (h *handler) find(name string) *instrument {
	if own := h.own.Load(); own != nil {
		return (*own)[name]
	}
	return nil
}

// values are those of an instrument's labels, in their order.
func (h *handler) values(i *instrument) []string {
	values := make([]string, len(i.Labels))
	for at := range i.Labels {
		values[at] = i.Labels[at].Value(h.tag(i.Labels[at].Name))
	}
	return values
}

// tag is what was last said of a label.
func (h *handler) tag(name string) string {
	for ; h != nil; h = h.parent {
		if value, said := h.tags[name]; said {
			return value
		}
	}
	return ""
}

type counterFunc func(int64)

func (f counterFunc) Inc(n int64) { f(n) }

type timerFunc func(time.Duration)

func (f timerFunc) Record(d time.Duration) { f(d) }
