package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// executionsPath is where Sysdig takes response actions.
const executionsPath = "/secure/response-actions/v1alpha1/action-executions"

// arrivals notes when the request for each container's action reached Sysdig.
type arrivals struct {
	mu          sync.Mutex
	byContainer map[string]*arrival
}

type arrival struct {
	came  chan struct{} // closed by the first
	first time.Time
	count int
}

func newArrivals() *arrivals { return &arrivals{byContainer: map[string]*arrival{}} }

// wrap notes the requests for actions before they are answered.
func (a *arrivals) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != executionsPath {
			next.ServeHTTP(w, r)
			return
		}
		now := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var submission struct {
			Parameters victim `json:"parameters"`
		}
		if err := json.Unmarshal(body, &submission); err == nil {
			a.note(submission.Parameters.ContainerID, now)
		}
		next.ServeHTTP(w, r)
	})
}

func (a *arrivals) note(container string, at time.Time) {
	arrival := a.of(container)
	a.mu.Lock()
	defer a.mu.Unlock()
	if arrival.count++; arrival.count == 1 {
		arrival.first = at
		close(arrival.came)
	}
}

func (a *arrivals) of(container string) *arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byContainer[container] == nil {
		a.byContainer[container] = &arrival{came: make(chan struct{})}
	}
	return a.byContainer[container]
}

// wait returns when the first request for a container's action came.
func (a *arrivals) wait(ctx context.Context, container string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	arrival := a.of(container)
	select {
	case <-arrival.came:
		return arrival.first, nil
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("wait for the action on container %s: %w", container, context.Cause(ctx))
	}
}

// counts is how many requests came for each container.
func (a *arrivals) counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := map[string]int{}
	for container, arrival := range a.byContainer {
		counts[container] = arrival.count
	}
	return counts
}
