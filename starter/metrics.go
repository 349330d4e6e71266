package starter

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// result is what became of an event.
type result string

const (
	resultOpened      result = "opened" // with others, if they came together
	resultJoined      result = "joined"
	resultDuplicate   result = "duplicate"
	resultIgnored     result = "ignored"
	resultQuarantined result = "quarantined"
)

// unknownSource is the label of every source that is not configured: a caller
// cannot make up labels.
const unknownSource = "(unknown)"

// metrics is what the webhook counts.
type metrics struct {
	events   *prometheus.CounterVec
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firebreak_events_total",
			Help: "Events by source and what became of them.",
		}, []string{"source", "result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firebreak_webhook_requests_total",
			Help: "Webhook requests by source and status code.",
		}, []string{"source", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "firebreak_webhook_request_duration_seconds",
			Help:    "How long webhook requests took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"source"}),
	}
	if err := errors.Join(registry.Register(m.events), registry.Register(m.requests), registry.Register(m.seconds)); err != nil {
		return nil, fmt.Errorf("register webhook metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) count(source string, r result, events int) {
	m.events.WithLabelValues(source, string(r)).Add(float64(events))
}

func (m *metrics) request(source string, status int, took time.Duration) {
	m.requests.WithLabelValues(source, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(source).Observe(took.Seconds())
}
