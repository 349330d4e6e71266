package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"firebreak/internal/guard"
	"firebreak/internal/sysdig"
	"firebreak/signals"
)

// sysdigMetrics count the requests to Sysdig, of all its accounts.
type sysdigMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newSysdigMetrics(registry prometheus.Registerer) (*sysdigMetrics, error) {
	m := &sysdigMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firebreak_sysdig_requests_total",
			Help: "Requests to Sysdig by account, endpoint and status code; error is no answer. Requests that the rate limit holds back are not sent and not counted.",
		}, []string{"tenant", "endpoint", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "firebreak_sysdig_request_duration_seconds",
			Help:    "How long requests to Sysdig took, until the answer began.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"endpoint"}),
	}
	if err := errors.Join(registry.Register(m.requests), registry.Register(m.seconds)); err != nil {
		return nil, fmt.Errorf("register Sysdig metrics: %w", err)
	}
	return m, nil
}

// of counts the requests to a tenant's account.
func (m *sysdigMetrics) of(tenant string) func(sysdig.Exchange) {
	return func(e sysdig.Exchange) {
		m.requests.WithLabelValues(tenant, e.Endpoint, e.Code).Inc()
		m.seconds.WithLabelValues(e.Endpoint).Observe(e.Took.Seconds())
	}
}

// watchGuard adds the gauges of the guard, as this worker knows it.
func watchGuard(registry prometheus.Registerer, watch *guard.Watch) error {
	gauge := func(name, help string, is func() bool) error {
		return registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			if is() {
				return 1
			}
			return 0
		}))
	}
	err := errors.Join(
		gauge("firebreak_frozen", "1 while containment is frozen, as this worker saw it last.", func() bool {
			frozen, _ := watch.Seen()
			return frozen
		}),
		gauge("firebreak_guard_followed", "1 while this worker follows the guard; 0 makes it ask before every containment.", func() bool {
			_, followed := watch.Seen()
			return followed
		}),
	)
	if err != nil {
		return fmt.Errorf("register metrics of the guard: %w", err)
	}
	return nil
}

const (
	// waitingHolds is how long one count of waiting incidents holds, however often
	// the metrics are read, and waitingBudget how long a count may take.
	waitingHolds  = 30 * time.Second
	waitingBudget = 3 * time.Second
)

// waiting is how many incidents wait for people, all that are open in the
// namespace: every worker counts the same, when it is asked for its metrics and
// not more often than twice a minute. Temporal counts, by its index of search
// attributes, so that nothing is lost with a worker, and nobody lists ten thousand
// incidents. While Temporal does not answer there are no numbers.
type waiting struct {
	client    client.Client
	namespace string
	log       *slog.Logger

	state, escalated *prometheus.Desc

	mu      sync.Mutex
	counted time.Time
	last    []prometheus.Metric
}

func newWaiting(c client.Client, namespace string, log *slog.Logger) *waiting {
	return &waiting{
		client: c, namespace: namespace, log: log,
		state: prometheus.NewDesc("firebreak_incidents_waiting",
			"Open incidents, paused ones included, that wait for a person, by state. Every worker counts all of the namespace.", []string{"state"}, nil),
		escalated: prometheus.NewDesc("firebreak_incidents_waiting_escalated",
			"Those of them in which a request was escalated. Every worker counts all of the namespace.", nil, nil),
	}
}

// Describe tells the metrics' names.
func (w *waiting) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- w.state
	descriptions <- w.escalated
}

// Collect tells the numbers.
func (w *waiting) Collect(numbers chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counted.IsZero() || time.Since(w.counted) >= waitingHolds {
		var err error
		if w.last, err = w.count(); err != nil {
			w.log.Warn("waiting incidents not counted", "error", err)
		}
		w.counted = time.Now()
	}
	for _, number := range w.last {
		numbers <- number
	}
}

func (w *waiting) count() ([]prometheus.Metric, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waitingBudget)
	defer cancel()
	var numbers []prometheus.Metric
	add := func(desc *prometheus.Desc, query string, labels ...string) error {
		answer, err := w.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: w.namespace, Query: query})
		if err != nil {
			return fmt.Errorf("count %s: %w", query, err)
		}
		number, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, float64(answer.GetCount()), labels...)
		numbers = append(numbers, number)
		return err
	}
	for _, state := range []signals.State{signals.AwaitingApproval, signals.NeedsFields, signals.AwaitingSave} {
		if err := add(w.state, signals.Waiting(state), string(state)); err != nil {
			return nil, err
		}
	}
	if err := add(w.escalated, signals.Escalated()); err != nil {
		return nil, err
	}
	return numbers, nil
}
