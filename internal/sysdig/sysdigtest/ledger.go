package sysdigtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Kind is what took effect.
type Kind string

// The kinds of effects.
const (
	Action   Kind = "action"   // a response action was carried out
	Undo     Kind = "undo"     // a response action was reverted
	Capture  Kind = "capture"  // an agent began to capture
	Download Kind = "download" // a capture's file or an acquired one was handed out
)

// Effect is something that happened to the simulated world.
type Effect struct {
	Time        time.Time      `json:"time"`
	Kind        Kind           `json:"kind"`
	Action      string         `json:"action,omitzero"`
	CallerID    string         `json:"caller_id,omitzero"`
	HostID      string         `json:"host_id,omitzero"`
	ContainerID string         `json:"container_id,omitzero"`
	ExecutionID string         `json:"execution_id,omitzero"`
	CaptureID   int64          `json:"capture_id,omitzero"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	// Failure is why nothing changed although Sysdig tried; "" if it worked.
	Failure string `json:"failure,omitzero"`
}

// Ledger is everything that took effect, in order.
type Ledger []Effect

// Count is the number of effects that match.
func (l Ledger) Count(match func(Effect) bool) int {
	n := 0
	for _, e := range l {
		if match(e) {
			n++
		}
	}
	return n
}

// Killed is how often a container was killed. It counts every attempt that found
// the container, dead or alive: 2 means that it was killed twice, though it
// could die only once.
func (l Ledger) Killed(containerID string) int {
	return l.Count(func(e Effect) bool {
		return e.Action == "KILL_CONTAINER" && e.ContainerID == containerID &&
			(e.Failure == "" || e.Failure == ContainerNotEligible)
	})
}

// Ledger returns a copy of everything that has taken effect so far.
func (s *Server) Ledger() Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(time.Now())
	s.save()
	return slices.Clone(s.state.Ledger)
}

// Invalid are the requests that were refused because they are not as Sysdig
// describes them, each as method, path and reason: an unknown or missing field, a
// wrong type, a bad query, an endpoint that does not exist. Requests that were
// fine but for the state of things, such as for an ID that is unknown, are not
// among them.
func (s *Server) Invalid() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state.Invalid)
}

func (s *Server) noteInvalid(request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Invalid = append(s.state.Invalid, request)
	s.touch()
	s.save()
}

// Requests is how many requests of a method and path have arrived, faults and
// refusals included. Both match as they do in a [Fault].
func (s *Server) Requests(method, path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, a := range s.requests {
		if matches(method, path, a) {
			n++
		}
	}
	return n
}

// WaitFor returns as soon as ok does: it is asked again whenever a request has
// arrived or something has taken effect, and may call the server's methods. It
// must not keep or change the ledger it is shown.
func (s *Server) WaitFor(ctx context.Context, ok func(Ledger) bool) error {
	for {
		s.mu.Lock()
		now := time.Now()
		s.settle(now)
		s.save()
		changed, ledger := s.changed, slices.Clip(s.state.Ledger)
		next := time.Hour
		for _, p := range s.pending {
			next = min(next, p.dueAt().Sub(now))
		}
		s.mu.Unlock()
		if ok(ledger) {
			return nil
		}
		due := time.NewTimer(next)
		select {
		case <-changed:
		case <-due.C:
		case <-ctx.Done():
			due.Stop()
			return fmt.Errorf("wait for the simulated Sysdig, %d effects so far: %w", len(ledger), context.Cause(ctx))
		}
		due.Stop()
	}
}

// arrival is a request that has arrived.
type arrival struct{ method, path string }

// arrive counts a request, and takes the fault that is due for it.
func (s *Server) arrive(r *http.Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := arrival{r.Method, r.URL.Path}
	s.requests = append(s.requests, a)
	s.notify()
	return s.takeFault(a)
}

// record appends to the ledger.
func (s *Server) record(e Effect) {
	s.state.Ledger = append(s.state.Ledger, e)
	s.touch()
}

// notify wakes those who wait.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}
