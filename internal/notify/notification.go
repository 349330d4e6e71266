package notify

import (
	"slices"
	"time"

	"firebreak/signals"
)

// ChangeKind is what a Change is about.
type ChangeKind string

// The changes that people are told of.
const (
	ChangeOpened     ChangeKind = "opened"
	ChangeRequest    ChangeKind = "request"    // a decision is asked for
	ChangeReminder   ChangeKind = "reminder"   // nobody has answered yet
	ChangeEscalation ChangeKind = "escalation" // others are asked too
	ChangeDecision   ChangeKind = "decision"   // a decision that counted, or an expiry
	ChangeResult     ChangeKind = "result"     // what became of an action
	ChangeClosed     ChangeKind = "closed"
)

// Kinds lists every kind of change, in the order an incident goes through them.
func Kinds() []ChangeKind {
	return []ChangeKind{
		ChangeOpened, ChangeRequest, ChangeReminder, ChangeEscalation, ChangeDecision, ChangeResult, ChangeClosed,
	}
}

// Valid reports whether k is one of the kinds.
func (k ChangeKind) Valid() bool { return slices.Contains(Kinds(), k) }

// Change is something that happened to an incident.
type Change struct {
	Kind ChangeKind `json:"kind"`
	At   time.Time  `json:"at"`
	// Actor is an analyst's name, or "firebreak", "sysdig", "starter".
	Actor string `json:"actor"`
	// Text is as in the war room: it may quote events and people.
	Text string `json:"text"`
}

// Notification is one message about an incident: what has changed since the last
// one.
type Notification struct {
	WorkflowID    string        `json:"workflow_id"`
	RunID         string        `json:"run_id"`
	Playbook      string        `json:"playbook"`
	Route         string        `json:"route"`
	Rule          string        `json:"rule,omitempty"`
	Target        string        `json:"target,omitempty"`
	Severity      int           `json:"severity"`
	SeverityLabel string        `json:"severity_label,omitempty"`
	State         signals.State `json:"state"`
	// Changes are oldest first.
	Changes []Change `json:"changes,omitempty"`
	// Pending is what is asked now, nil for nothing.
	Pending *signals.Request `json:"pending,omitempty"`
	// NeedsFields says that the pending request wants an amendment.
	NeedsFields bool `json:"needs_fields,omitempty"`
	// Groups are those to whom the pending request was escalated.
	Groups []string `json:"groups,omitempty"`
}
