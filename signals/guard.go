package signals

import (
	"fmt"
	"time"
)

// GuardID is the workflow ID of the guard, of which there is one in a namespace.
const GuardID = "firebreak-guard"

// WorkflowGuard is the guard's workflow type.
const WorkflowGuard = "Guard"

// The guard's states, as its search attribute IncidentState shows them.
const (
	GuardOpen   State = "unfrozen"
	GuardFrozen State = "frozen"
)

// MemoFrozen is the field of the guard's memo that holds a Frozen; it is absent
// while containment is allowed. Workers read it there, which needs nobody to
// replay the guard.
const MemoFrozen = "frozen"

// Frozen says who stopped containment, when and why.
type Frozen struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// String words it for whoever wants to contain something.
func (f Frozen) String() string {
	return fmt.Sprintf("containment is frozen by %s since %s: %s", f.By, f.Since.UTC().Format(time.RFC3339), f.Reason)
}

// GuardPage is the guard as people and programs see it: its answer to
// QueryIncident.
type GuardPage struct {
	WorkflowID string  `json:"workflow_id"`
	RunID      string  `json:"run_id"`
	State      State   `json:"state"`
	Frozen     *Frozen `json:"frozen"`
	WarRoom    []Entry `json:"war_room"`
}

// GuardInput starts the guard, which the first signal to it does. It is empty;
// Carried is what the run before this one knew.
type GuardInput struct {
	Carried *GuardPage `json:"carried,omitempty"`
}
