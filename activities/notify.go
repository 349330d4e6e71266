package activities

import (
	"context"
	"time"

	"firebreak/signals"
)

// ChangeKind is what a Change is.
type ChangeKind string

// Kinds of changes.
const (
	ChangeOpened     ChangeKind = "opened"
	ChangeRequest    ChangeKind = "request"
	ChangeReminder   ChangeKind = "reminder"
	ChangeEscalation ChangeKind = "escalation"
	ChangeDecision   ChangeKind = "decision"
	ChangeResult     ChangeKind = "result"
	ChangeClosed     ChangeKind = "closed"
)

// Change is something that happened to an incident.
type Change struct {
	Kind  ChangeKind `json:"kind"`
	At    time.Time  `json:"at"`
	Actor string     `json:"actor"`
	Text  string     `json:"text"`
}

// Notification is one message about an incident: what has changed since the last
// one.
type Notification struct {
	WorkflowID    string           `json:"workflow_id"`
	RunID         string           `json:"run_id"`
	Playbook      string           `json:"playbook"`
	Route         string           `json:"route"`
	Rule          string           `json:"rule"`
	Target        string           `json:"target"`
	Severity      int              `json:"severity"`
	SeverityLabel string           `json:"severity_label"`
	State         signals.State    `json:"state"`
	Changes       []Change         `json:"changes"`
	Pending       *signals.Request `json:"pending,omitempty"`
	NeedsFields   bool             `json:"needs_fields,omitzero"`
	Groups        []string         `json:"groups,omitempty"`
}

// Notify tells people.
func (a *Activities) Notify(context.Context, Notification) ([]string, error) {
	return nil, nil
}
