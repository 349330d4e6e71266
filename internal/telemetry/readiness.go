package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Readiness is whether a process can do its work now. It is safe for concurrent
// use.
type Readiness struct {
	check func(context.Context) error

	mu       sync.Mutex
	draining bool
	checked  time.Time
	result   error
}

// How long one answer holds, so that probes cannot load what they ask about,
// and how long a check may take, so that a probe gets an answer before it gives
// up (Kubernetes: after one second by default).
const (
	readinessHolds  = time.Second
	readinessBudget = 900 * time.Millisecond
)

// NewReadiness returns a Readiness that asks check.
func NewReadiness(check func(context.Context) error) *Readiness {
	return &Readiness{check: check}
}

// Ready returns nil when the process is ready, and why not otherwise. Callers
// that arrive together share one check, and its answer holds for a second.
func (r *Readiness) Ready(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining {
		return errors.New("shutting down")
	}
	if r.checked.IsZero() || time.Since(r.checked) >= readinessHolds {
		// The answer is everybody's: it does not end with the one who asked.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readinessBudget)
		defer cancel()
		r.result = nil
		if err := r.check(ctx); err != nil {
			r.result = fmt.Errorf("not ready: %w", err)
		}
		r.checked = time.Now()
	}
	return r.result
}

// Drain makes the process not ready, for good: it is shutting down.
func (r *Readiness) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
}
