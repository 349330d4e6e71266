package starter

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"firebreak/internal/incident"
	"firebreak/internal/journal"
)

// result is what became of an event.
type result string

const (
	resultOpened      result = "opened" // with others, if they came together
	resultJoined      result = "joined"
	resultJournaled   result = "journaled" // an incident follows
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
	lacks    *prometheus.CounterVec
	signals  prometheus.Counter
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firebreak_events_total",
			Help: "Events by source and what became of them.",
		}, []string{"source", "result"}),
		lacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firebreak_incomplete_events_total",
			Help: "Recognised events without a field that routes need, by source and field.",
		}, []string{"source", "field"}),
		signals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "firebreak_event_signals_total",
			Help: "Signals that told incidents their events; fewer than events when these come together.",
		}),
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
	if err := errors.Join(registry.Register(m.events), registry.Register(m.lacks), registry.Register(m.signals), registry.Register(m.requests),
		registry.Register(m.seconds)); err != nil {
		return nil, fmt.Errorf("register webhook metrics: %w", err)
	}
	return m, nil
}

// prepare makes the series of a source's events. A counter that begins to exist
// with its first count has no increase that an alert could see.
func (m *metrics) prepare(source string) {
	for _, r := range []result{resultOpened, resultJoined, resultJournaled, resultDuplicate, resultIgnored, resultQuarantined} {
		m.count(source, r, 0)
	}
	for _, field := range incident.Needed() {
		m.lacks.WithLabelValues(source, field).Add(0)
	}
}

// lacking counts an event that lacks fields, by their paths.
func (m *metrics) lacking(source string, fields []string) {
	for _, field := range fields {
		m.lacks.WithLabelValues(source, field).Inc()
	}
}

func (m *metrics) count(source string, r result, events int) {
	m.events.WithLabelValues(source, string(r)).Add(float64(events))
}

func (m *metrics) request(source string, status int, took time.Duration) {
	m.requests.WithLabelValues(source, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(source).Observe(took.Seconds())
}

// watchJournal adds the journal's gauges. They are read when they are asked for.
func watchJournal(registry prometheus.Registerer, j *journal.Journal) error {
	gauge := func(name, help string, value func(journal.Stats) float64) error {
		return registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			stats, err := j.Stats()
			if err != nil {
				return math.NaN()
			}
			return value(stats)
		}))
	}
	err := errors.Join(
		gauge("firebreak_journal_depth", "Deliveries in the journal that Temporal has not taken yet.",
			func(s journal.Stats) float64 { return float64(s.Depth) }),
		gauge("firebreak_journal_bytes", "What the deliveries in the journal take.",
			func(s journal.Stats) float64 { return float64(s.Bytes) }),
		gauge("firebreak_journal_oldest_age_seconds", "How long the oldest delivery has been in the journal; 0 when it is empty.",
			func(s journal.Stats) float64 {
				if s.Oldest.IsZero() {
					return 0
				}
				return time.Since(s.Oldest).Seconds()
			}),
	)
	if err != nil {
		return fmt.Errorf("register journal metrics: %w", err)
	}
	return nil
}
