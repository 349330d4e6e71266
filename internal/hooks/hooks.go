// Package hooks calls other vendors over HTTP when something happens to an
// incident: an issue tracker that is to have a ticket, an EDR that is to isolate
// a host. What is sent is a template of JSON. A call may be made more than once,
// each time under the same idempotency key. The package decides nothing: routes
// name the hooks, playbooks have them called.
package hooks

import (
	"slices"
	"time"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// Moment is when a hook is called.
type Moment string

// The moments.
const (
	Opened    Moment = "opened"    // the incident was opened
	Contained Moment = "contained" // a containment was carried out
	Closed    Moment = "closed"    // the outcome is known
)

// Event is what a hook is called with: the data of its template, in the names of
// its JSON.
type Event struct {
	Moment     Moment `json:"moment"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	Playbook   string `json:"playbook"`
	Route      string `json:"route"`
	State      string `json:"state"`
	// Outcome is "" while the incident is open.
	Outcome string `json:"outcome"`
	// Action and Parameters are those of the last action that was carried out,
	// absent where none was.
	Action     string         `json:"action,omitzero"`
	Parameters map[string]any `json:"parameters,omitempty"`
	// Evidence are names of files.
	Evidence []string          `json:"evidence"`
	Incident incident.Incident `json:"incident"`
	// Link opens the incident in Temporal Web, absent where its address is not
	// configured. The sender fills it in.
	Link string `json:"link,omitzero"`
}

// UnmarshalJSON keeps the numbers of Parameters as they are written: a start time in
// nanoseconds does not fit a float64.
func (e *Event) UnmarshalJSON(raw []byte) error {
	type plain Event
	return signals.DecodeExactly(raw, (*plain)(e))
}

// Secret is a value that is looked up each time it is needed, so that a token
// that was renewed is used from the next call on.
type Secret interface {
	Resolve() (string, error)
}

// Hook is a request that is made of an Event.
type Hook struct {
	Name string
	// Method is POST, PUT or PATCH.
	Method string
	// URL is absolute, and Headers go with it.
	URL     Secret
	Headers map[string]Secret
	Body    *Template
	// Timeout bounds an attempt, the answer included.
	Timeout time.Duration
	// Routes are those that call the hook, by moment. No other does: whoever may
	// start an incident with a route of their own gets no hook called with it.
	Routes map[Moment][]string
}

// DefaultTimeout bounds an attempt where nothing else is said.
const DefaultTimeout = 10 * time.Second

// MaxTimeout is what a worker that stops lets an attempt take.
const MaxTimeout = 20 * time.Second

// Methods are those a hook may have; the first is the default.
func Methods() []string { return []string{"POST", "PUT", "PATCH"} }

// Own are the headers that the sender writes, and no configuration.
func Own() []string {
	return []string{keyHeader, "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Expect", "Accept-Encoding"}
}

func (h *Hook) calledBy(e *Event) bool { return slices.Contains(h.Routes[e.Moment], e.Route) }
