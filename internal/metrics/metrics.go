// Package metrics says what playbooks and activities count for operations: the
// names, and the labels with every value they can have. What a metric tells is
// bounded by that: no host, no incident and no person is ever a label. It counts
// nothing itself; docs/metrics.md lists these metrics beside those that a process
// has by itself.
package metrics

import (
	"slices"

	"firebreak/internal/catalogue"
	"firebreak/signals"
)

// Kind is what a metric does.
type Kind string

// The kinds. A counter's name ends in _total, a histogram of times in _seconds.
const (
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Label is a label of a metric, with the values it can have. A label without
// values has those that the worker's configuration gives names to.
type Label struct {
	Name   string
	Values []string
}

// Other stands for a value that is none of a label's.
const Other = "other"

// Value is how a label shows a value: as it is, if it is one of the label's.
func (l *Label) Value(value string) string {
	if l.Values == nil || slices.Contains(l.Values, value) {
		return value
	}
	return Other
}

// Metric is what is counted.
type Metric struct {
	Name   string
	Kind   Kind
	Help   string
	Labels []Label
}

// The metrics of playbooks, which count a thing once however often a worker
// replays it, and of activities, which count every attempt.
const (
	IncidentsOpened   = "firebreak_incidents_opened_total"
	IncidentsClosed   = "firebreak_incidents_closed_total"
	IncidentsReopened = "firebreak_incidents_reopened_total"
	ApprovalWait      = "firebreak_approval_wait_seconds"
	Reminders         = "firebreak_approval_reminders_total"
	Escalations       = "firebreak_approval_escalations_total"
	AnalystSignals    = "firebreak_analyst_signals_total"
	Actions           = "firebreak_actions_total"
	Captures          = "firebreak_captures_total"
	CaptureBytes      = "firebreak_capture_bytes_total"
	EvidenceFiles     = "firebreak_evidence_files_total"
	EvidenceBytes     = "firebreak_evidence_bytes_total"
	HookCalls         = "firebreak_hook_calls_total"
	Notifications     = "firebreak_notifications_total"
	BudgetRefusals    = "firebreak_budget_refusals_total"
)

// The labels' names.
const (
	LabelPlaybook  = "playbook"
	LabelOutcome   = "outcome"
	LabelSignal    = "signal"
	LabelResult    = "result"
	LabelAction    = "action"
	LabelOperation = "operation"
	LabelKind      = "kind"
	LabelMoment    = "moment"
	LabelChannel   = "channel"
)

// What became of a signal: it counted, or why it did not. The war room says it in
// words.
const (
	Counted         = "counted"
	Undecodable     = "undecodable"
	UnknownSignal   = "unknown-signal"
	TooEarly        = "too-early"
	TooLate         = "too-late"
	WrongRequest    = "wrong-request"
	AlreadyApproved = "already-approved"
	OwnRequest      = "own-request"
	NotEntitled     = "not-entitled"
	Unverified      = "unverified"
	SenderNotFound  = "sender-not-found"
	Frozen          = "frozen"
	NotApplicable   = "not-applicable"
)

// What became of an action or a capture. The first three are as it was meant to
// be; what was withheld was never asked of Sysdig.
const (
	Completed    = "completed"
	Adopted      = "adopted"
	Observed     = "observed"
	Failed       = "failed"
	SysdigNo     = "refused"
	Forbidden    = "forbidden"
	Ambiguous    = "ambiguous"
	NotPermitted = "not-permitted"
	Protected    = "protected"
	// A freeze is Frozen.
)

// What is done with an action.
const (
	Execute = "execute"
	Undo    = "undo"
)

// What evidence is of.
const (
	OfCapture = "capture"
	OfAction  = "action"
	OfReport  = "report"
)

// What became of a call of a hook or a notification.
const (
	Delivered   = "delivered"
	Undelivered = "failed"
)

// All are the metrics of playbooks and activities.
func All() []Metric {
	playbook := Label{LabelPlaybook, []string{
		signals.PlaybookCapture, signals.PlaybookCryptoMiner, signals.PlaybookRespond, signals.PlaybookManual,
	}}
	carriedOut := []string{
		Completed, Adopted, Observed, Failed, SysdigNo, Forbidden, Ambiguous, NotPermitted, Protected, Frozen,
	}
	var names []string
	for _, action := range catalogue.All() {
		names = append(names, action.Name)
	}
	action := Label{LabelAction, names}
	kind := Label{LabelKind, []string{OfCapture, OfAction, OfReport}}
	delivered := Label{LabelResult, []string{Delivered, Undelivered}}
	return []Metric{
		{IncidentsOpened, Counter, "Incidents opened, manual actions among them.", []Label{playbook}},
		{IncidentsClosed, Counter, "Incidents closed, by outcome.", []Label{playbook, {LabelOutcome, outcomes()}}},
		{IncidentsReopened, Counter, "Closes taken back because the detection returned meanwhile.", []Label{playbook}},
		{ApprovalWait, Histogram, "From a request to what became of it.", []Label{playbook, {LabelOutcome, []string{
			"approved", "rejected", "expired",
		}}}},
		{Reminders, Counter, "Reminders of requests that nobody had answered.", []Label{playbook}},
		{Escalations, Counter, "Requests escalated because nobody had answered.", []Label{playbook}},
		{AnalystSignals, Counter, "Signals of people: those that counted, and the others by why they did not.", []Label{
			{LabelSignal, []string{
				signals.Approve, signals.Reject, signals.Note, signals.Amend, signals.Undo, signals.Freeze, signals.Unfreeze,
			}},
			{LabelResult, []string{
				Counted, Undecodable, UnknownSignal, TooEarly, TooLate, WrongRequest, AlreadyApproved, OwnRequest, NotEntitled, Unverified,
				SenderNotFound, Frozen, NotApplicable,
			}},
		}},
		{Actions, Counter, "Response actions and undos, by what became of them.", []Label{
			action, {LabelOperation, []string{Execute, Undo}}, {LabelOutcome, carriedOut},
		}},
		{Captures, Counter, "System captures, by what became of them.", []Label{{LabelOutcome, carriedOut}}},
		{CaptureBytes, Counter, "What completed system captures take, as Sysdig says.", nil},
		{EvidenceFiles, Counter, "Files stored as evidence, by what they are of.", []Label{kind}},
		{EvidenceBytes, Counter, "What the files stored as evidence take.", []Label{kind}},
		{HookCalls, Counter, "Calls of hooks that ended, retries included in one.", []Label{
			{LabelMoment, []string{"opened", "contained", "closed"}}, delivered,
		}},
		{Notifications, Counter, "Notifications by channel, as the configuration names it; failed are those given up.", []Label{{LabelChannel, nil}, delivered}},
		{BudgetRefusals, Counter, "Actions not carried out because a budget of unapproved actions was spent.", []Label{action}},
	}
}

// outcomes are how incidents end.
func outcomes() []string {
	states := []signals.State{
		signals.Contained, signals.Captured, signals.Rejected, signals.Expired, signals.BelowThreshold, signals.Failed, signals.Ambiguous,
	}
	all := make([]string, len(states))
	for i, state := range states {
		all[i] = string(state)
	}
	return all
}
