// Package signals is the contract between playbooks and everybody who talks to
// them: analysts (through the temporal CLI, Temporal Web or firebreak), the
// starter, and operations. It holds the names of signals, queries and search
// attributes, the payloads, their tolerant decoding, and the workflow IDs. It
// imports nothing of ours but the incident type, and does no I/O.
package signals

import (
	"bytes"
	"encoding/json"
	"slices"
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
	Undo    = "undo"    // Instruction: take the last reversible action back
)

// Signals that people send to the guard.
const (
	Freeze   = "freeze"   // Instruction: no containment, everywhere, from now on
	Unfreeze = "unfreeze" // Instruction: containment is allowed again
)

// Events is the signal by which the starter adds events to an incident, and Told
// the one by which a manual action tells of itself in its war room.
const (
	Events = "events"
	Told   = "told"
)

// descriptions are what Temporal Web's "Send a Signal" shows beside each name.
var descriptions = map[string]string{
	Approve: `Approve the pending request. Data: {"analyst":"YOU","reason":"WHY"}`,
	Reject:  `Reject the pending request. Data: {"analyst":"YOU","reason":"WHY"}`,
	Note:    `Write a note into the war room. Data: {"analyst":"YOU","text":"NOTE"}`,
	Amend:   `Supply missing fields. Data: {"analyst":"YOU","fields":{"host.id":"ID"}}`,
	Undo:    `Undo the last action, if it can be undone. Data: {"analyst":"YOU","reason":"WHY"}`,
	Events:  "Used by the starter to add events to the incident",
	Told:    "Used by manual actions to tell of themselves",

	Retrying: "Used by workers to report that a step failed and is tried again",

	Freeze:   `Stop every containment action, everywhere. Data: {"analyst":"YOU","reason":"WHY"}`,
	Unfreeze: `Allow containment actions again. Data: {"analyst":"YOU","reason":"WHY"}`,
}

// Description is what a signal is for, as Temporal Web shows it.
func Description(name string) string { return descriptions[name] }

// Queries.
const (
	QueryIncident = "incident" // the whole Page
	QueryWarRoom  = "war-room" // the timeline alone, []Entry
	QueryReceipt  = "receipt"  // what became of a signal, a Receipt; its argument is the ID
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
	WorkflowRespond     = "Respond"
	// WorkflowResponseAction is that of a manual action, which no route opens.
	WorkflowResponseAction = "ResponseAction"
)

// Playbooks as routes name them.
const (
	PlaybookCapture     = "capture"
	PlaybookCryptoMiner = "crypto-miner"
	PlaybookRespond     = "respond"
	// PlaybookManual is what the page of a manual action shows as its playbook.
	PlaybookManual = "response-action"
)

// WorkflowType is the workflow type that runs a playbook, and false for a
// playbook that does not exist.
func WorkflowType(playbook string) (string, bool) {
	switch playbook {
	case PlaybookCapture:
		return WorkflowCapture, true
	case PlaybookCryptoMiner:
		return WorkflowCryptoMiner, true
	case PlaybookRespond:
		return WorkflowRespond, true
	default:
		return "", false
	}
}

// ActionKeep is the action of a request that asks whether to keep a containment,
// which is undone without an answer.
const ActionKeep = "KEEP_CONTAINMENT"

// Trust says whose decision counts.
type Trust string

// The trust levels.
const (
	TrustOpen   Trust = "open"   // whoever can send a signal
	TrustListed Trust = "listed" // analysts on the list
	// TrustVerified counts the analyst whom the Temporal server authenticated,
	// if that one is on the list; what the payload claims counts for nothing.
	TrustVerified Trust = "verified"
)

// Approvers is who may decide. It travels with the incident, like its route: it
// says whom the incident asks. Whether an action is carried out is checked once
// more against the worker's own configuration.
type Approvers struct {
	Trust Trust `json:"trust,omitzero"`
	// Analysts are the members of all groups.
	Analysts []string `json:"analysts,omitempty"`
	// Groups are the members of each group.
	Groups map[string][]string `json:"groups,omitempty"`
	// Policies says that the worker has rules that look at the incident, policies
	// for single actions or protected targets: it is to be asked before a decision
	// is asked for, and told of the incident before it acts.
	Policies bool `json:"policies,omitzero"`
}

// Members are the analysts of some groups, each once, sorted; of all groups
// where none is named.
func (a *Approvers) Members(groups []string) []string {
	if len(groups) == 0 {
		return a.Analysts
	}
	var members []string
	for _, group := range groups {
		members = append(members, a.Groups[group]...)
	}
	slices.Sort(members)
	return slices.Compact(members)
}

// Input starts a playbook. The events follow by signal: the starter opens an
// incident and joins one by the same signal-with-start.
type Input struct {
	Route     incident.Route `json:"route"`
	Approvers Approvers      `json:"approvers"`
	// Notify says that there is somebody to be notified.
	Notify bool `json:"notify,omitzero"`
	// Tenant is the Sysdig account that the event came from, by the name that the
	// configuration gives it: actions go to it and to no other. "" is the one
	// account of a configuration without tenants.
	Tenant string `json:"tenant,omitzero"`
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
	// Receipt is an ID by which the sender can ask, with QueryReceipt, what became
	// of the signal; "" asks for none. So in the other payloads.
	Receipt string `json:"receipt,omitzero"`
}

// NoteText is the payload of Note.
type NoteText struct {
	Analyst string `json:"analyst"`
	Text    string `json:"text"`
	Receipt string `json:"receipt,omitzero"`
}

// Amendment is the payload of Amend. Fields maps an incident's field, such as
// "host.id", to its value.
type Amendment struct {
	Analyst string            `json:"analyst"`
	Fields  map[string]Scalar `json:"fields"`
	Receipt string            `json:"receipt,omitzero"`
}

// Telling is the payload of Told: what a manual action says of itself.
type Telling struct {
	// Action is its workflow ID.
	Action string `json:"action"`
	Text   string `json:"text"`
}

// Instruction is the payload of Undo, Freeze and Unfreeze.
type Instruction struct {
	Analyst string `json:"analyst"`
	Reason  string `json:"reason"`
	Receipt string `json:"receipt,omitzero"`
}

// Receipt is what became of a signal.
type Receipt struct {
	// Answered says that it was counted or refused: Text is not yet known before.
	Answered bool `json:"answered"`
	Counted  bool `json:"counted"`
	// Analyst is to whom the signal was attributed, which trust verified may see
	// otherwise than its sender.
	Analyst string `json:"analyst"`
	// Text is what the incident made of it, in the words of its war room, or why
	// it did not count.
	Text string `json:"text"`
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
	// Tenant is the Sysdig account it belongs to, "" where there is one only.
	Tenant string `json:"tenant,omitzero"`
	// Actions are the response actions that were carried out, in their order.
	Actions []Executed `json:"actions,omitempty"`
	// Related are the events around it of the same container or host that are nearest
	// to it. RelatedCut reports that Sysdig has more.
	Related    []RelatedEvent `json:"related,omitempty"`
	RelatedCut bool           `json:"related_cut,omitzero"`
	// Retrying are the steps that failed and are tried again.
	Retrying []Retry `json:"retrying,omitempty"`
	// Paused is set by `firebreak show` if the workflow is paused in Temporal: the
	// page then holds only what Temporal itself knows.
	Paused *Paused `json:"paused,omitempty"`
}

// Paused says who paused a workflow in Temporal, and when and why.
type Paused struct {
	// By is the identity of the Temporal client.
	By     string    `json:"by"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// Executed is a response action that was carried out.
type Executed struct {
	Action string `json:"action"`
	// ExecutionID is Sysdig's.
	ExecutionID string         `json:"execution_id"`
	Parameters  map[string]any `json:"parameters"`
	At          time.Time      `json:"at"`
	// Observed says that it was not carried out: the worker only observes.
	Observed bool `json:"observed,omitzero"`
	// UndoneBy is who took it back, "" for nobody, and UndoID the execution that
	// did.
	UndoneBy string `json:"undone_by,omitzero"`
	UndoID   string `json:"undo_id,omitzero"`
}

// UnmarshalJSON keeps the numbers of Parameters as they are written: a start time in
// nanoseconds does not fit a float64.
func (e *Executed) UnmarshalJSON(raw []byte) error {
	type plain Executed
	return DecodeExactly(raw, (*plain)(e))
}

// RelatedEvent is an event of Sysdig's that may tell more of what happened.
type RelatedEvent struct {
	ID       string            `json:"id"`
	Time     time.Time         `json:"time"`
	Rule     string            `json:"rule"`
	Severity incident.Severity `json:"severity"`
	Output   string            `json:"output,omitzero"`
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
	// SeenAt is when the process that KILL_PROCESS is to kill was last known to have
	// its ID: the time of the event, or of a person's statement. Zero where there is
	// none.
	SeenAt time.Time `json:"seen_at,omitzero"`
}

// UnmarshalJSON keeps the numbers of Parameters as they are written, see
// [Executed.UnmarshalJSON].
func (r *Request) UnmarshalJSON(raw []byte) error {
	type plain Request
	return DecodeExactly(raw, (*plain)(r))
}

// DecodeExactly decodes one JSON value and keeps its numbers as they are written: a
// time in nanoseconds is too long for a float64.
func DecodeExactly(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return decoder.Decode(into)
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
	KindRetry    Kind = "retry"    // a step failed and is tried again
	KindOutcome  Kind = "outcome"  // how the incident ended
	// KindNotification is a notification that could not be delivered.
	KindNotification Kind = "notification"
)
