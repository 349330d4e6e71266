// Package signals is the contract between playbooks and everybody who talks to
// them: analysts (through the temporal CLI, Temporal Web or firebreak), the
// starter, and operations. It holds the names of signals, queries and search
// attributes, the payloads, their tolerant decoding, and the workflow IDs. It
// imports nothing of ours but the incident type, and does no I/O.
package signals

import (
	"encoding/json"
	"time"

	"firebreak/internal/incident"
)

// TaskQueue is the default task queue of playbooks and activities.
const TaskQueue = "firebreak"

// Signals that people send. Each carries one small JSON object.
const (
	Approve = "approve" // Decision: carry out the pending request
	Reject  = "reject"  // Decision: do not carry it out
	Note    = "note"    // NoteText: a remark for the war room
	Amend   = "amend"   // Amendment: supply fields the event did not have
)

// Events is the signal by which the starter adds events to an incident.
const Events = "events"

// descriptions are what Temporal Web's "Send a Signal" shows beside each name.
var descriptions = map[string]string{
	Approve: `Approve the pending request. Data: {"analyst":"YOU","reason":"WHY"}`,
	Reject:  `Reject the pending request. Data: {"analyst":"YOU","reason":"WHY"}`,
	Note:    `Write a note into the war room. Data: {"analyst":"YOU","text":"NOTE"}`,
	Amend:   `Supply missing fields. Data: {"analyst":"YOU","fields":{"host.id":"ID"}}`,
	Events:  "Used by the starter to add events to the incident",
}

// Description is what a signal is for, as Temporal Web shows it.
func Description(name string) string { return descriptions[name] }

// Queries.
const (
	QueryIncident = "incident" // the whole Page
	QueryWarRoom  = "war-room" // the timeline alone, []Entry
)

// Memo fields of an incident that has moved on to another run, where Temporal
// itself tells only of the last one.
const (
	MemoOpenedAt  = "opened_at"  // when the incident was opened
	MemoOpenedRun = "opened_run" // the run that opened it, which names its evidence
)

// Workflow types, which are also the names of the workflow functions.
const (
	WorkflowCapture     = "Capture"
	WorkflowCryptoMiner = "CryptoMiner"
)

// Playbooks as routes name them.
const (
	PlaybookCapture     = "capture"
	PlaybookCryptoMiner = "crypto-miner"
)

// WorkflowType is the workflow type that runs a playbook, and false for a
// playbook that does not exist.
func WorkflowType(playbook string) (string, bool) {
	switch playbook {
	case PlaybookCapture:
		return WorkflowCapture, true
	case PlaybookCryptoMiner:
		return WorkflowCryptoMiner, true
	default:
		return "", false
	}
}

// Trust says whose decision counts.
type Trust string

// The trust levels.
const (
	TrustOpen   Trust = "open"   // whoever can send a signal
	TrustListed Trust = "listed" // analysts on the list
)

// Approvers is who may decide. It travels with the incident, like its route.
type Approvers struct {
	Trust Trust `json:"trust,omitzero"`
	// Analysts is the list that TrustListed checks against.
	Analysts []string `json:"analysts,omitempty"`
}

// Input starts a playbook. The events follow by signal: the starter opens an
// incident and joins one by the same signal-with-start.
type Input struct {
	Route     incident.Route `json:"route"`
	Approvers Approvers      `json:"approvers"`
	// First is the event that opens the incident, whole. The signal brings it
	// once more, as Slim leaves it: the server keeps this input only if the
	// signal-with-start opened the incident, and a signal in any case. Without
	// First the signal's own event is all that is known of it.
	First *incident.Incident `json:"first,omitempty"`
	// Carried is what the run before this one knew of the incident, in JSON.
	// Playbooks hand it to themselves when a history has grown long; nobody else
	// writes it, or reads more of it than Counted tells.
	Carried json.RawMessage `json:"carried,omitempty"`
}

// Decision is the payload of Approve and Reject.
type Decision struct {
	// Analyst is who decides: a claim, which the approval's trust level weighs.
	Analyst string `json:"analyst"`
	Reason  string `json:"reason"`
	// Request is the ID of the request that is answered. It may be left out
	// while exactly one is pending.
	Request string `json:"request,omitzero"`
}

// NoteText is the payload of Note.
type NoteText struct {
	Analyst string `json:"analyst"`
	Text    string `json:"text"`
}

// Amendment is the payload of Amend. Fields maps an incident's field, such as
// "host.id", to its value.
type Amendment struct {
	Analyst string            `json:"analyst"`
	Fields  map[string]Scalar `json:"fields"`
}

// State is where an incident stands; it is the value of the search attribute
// IncidentState. A final state is also the incident's outcome.
type State string

// States on the way.
const (
	Open             State = "open"
	NeedsFields      State = "needs-fields"
	AwaitingApproval State = "awaiting-approval"
	Capturing        State = "capturing"
	Containing       State = "containing"
	AwaitingSave     State = "awaiting-save"
	Saving           State = "saving"
	Watching         State = "watching"
)

// Outcomes.
const (
	Contained      State = "contained"
	Captured       State = "captured"
	Rejected       State = "rejected"
	Expired        State = "expired"
	BelowThreshold State = "below-threshold"
	Failed         State = "failed"
	Ambiguous      State = "ambiguous"
)

// States lists every state, in the order an incident can pass through them,
// outcomes last.
func States() []State {
	return []State{
		Open, NeedsFields, AwaitingApproval, Capturing, Containing, AwaitingSave, Saving, Watching,
		Contained, Captured, Rejected, Expired, BelowThreshold, Failed, Ambiguous,
	}
}

// Page is an incident as people and programs see it: the answer of
// QueryIncident, the output of `firebreak show` and the playbook's result.
type Page struct {
	WorkflowID string            `json:"workflow_id"`
	RunID      string            `json:"run_id"`
	Playbook   string            `json:"playbook"`
	Route      string            `json:"route"`
	State      State             `json:"state"`
	Outcome    State             `json:"outcome"` // "" while open
	Incident   incident.Incident `json:"incident"`
	Pending    *Request          `json:"pending"`
	Events     EventCount        `json:"events"`
	Evidence   []string          `json:"evidence"`
	WarRoom    []Entry           `json:"war_room"`
}

// Request is a decision that an incident waits for.
type Request struct {
	// ID is a digest of action, target and parameters; see NewRequest.
	ID         string         `json:"request"`
	Action     string         `json:"action"`
	Parameters map[string]any `json:"parameters"`
	// Need is how many analysts must approve, Have who did so far.
	Need      int       `json:"need"`
	Have      []string  `json:"have"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// EventCount counts what an incident was told: distinct events, and repeated
// deliveries of them.
type EventCount struct {
	Count      int `json:"count"`
	Duplicates int `json:"duplicates"`
}

// Entry is a line of the war room, the incident's append-only timeline.
type Entry struct {
	Time time.Time `json:"time"`
	// Actor is an analyst's name, or "firebreak", "sysdig", "starter".
	Actor string `json:"actor"`
	Kind  Kind   `json:"kind"`
	// Text may quote events and people: escape it before rendering.
	Text string `json:"text"`
}

// Kind is what an Entry tells of.
type Kind string

// Kinds of war-room entries.
const (
	KindEvent    Kind = "event"    // events opened or joined the incident
	KindCheck    Kind = "check"    // severity and field checks, enrichment
	KindRequest  Kind = "request"  // a decision is asked for
	KindReminder Kind = "reminder" // nobody has answered yet
	KindDecision Kind = "decision" // a decision that counted, or an expiry
	KindRefused  Kind = "refused"  // a signal that did not count, and why
	KindNote     Kind = "note"
	KindAmend    Kind = "amend"
	KindAction   Kind = "action"   // an action, its parameters, its result
	KindCapture  Kind = "capture"  // a system capture and its progress
	KindEvidence Kind = "evidence" // a file stored, with its hash
	KindOutcome  Kind = "outcome"  // how the incident ended
)
