package incident

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Route sends the incidents that match its condition to a playbook, and says
// how that playbook behaves. The first matching route wins. A route travels
// with the incident it opened: a change of the configuration applies to
// incidents opened after it.
type Route struct {
	Name string `yaml:"name" json:"name"`
	// When is a CEL condition over `incident`, in the JSON names of [Incident].
	When string `yaml:"when" json:"when"`
	// SelfReports also lets the route match what products report of themselves
	// ([Incident.SelfReport]), if its condition holds for it. No other route does, so
	// that a condition on the severity alone opens no incident for dropped system
	// calls, a metrics snapshot or a test.
	SelfReports bool `yaml:"self_reports,omitempty" json:"self_reports,omitzero"`
	// Playbook is "capture", "crypto-miner" or "respond".
	Playbook string `yaml:"playbook" json:"playbook"`
	// CorrelateBy names the fields whose values tell incidents apart; events
	// with the same values join the open incident. Default: host.name and
	// container.id.
	CorrelateBy []string `yaml:"correlate_by" json:"correlate_by,omitempty"`
	// MaxSeverity is the severity check of crypto-miner and respond: they act only
	// when severity <= MaxSeverity. Default: 7, always.
	MaxSeverity *Severity `yaml:"max_severity" json:"max_severity,omitempty"`
	// Approval is asked before the playbook acts. Default: DefaultApproval.
	Approval Approval `yaml:"approval" json:"approval"`
	// SaveApproval is asked before a capture is saved; mode none skips it.
	// Default: the same as Approval.
	SaveApproval Approval `yaml:"save_approval" json:"save_approval"`
	// CaptureFirst takes and saves a system capture before containment.
	CaptureFirst bool           `yaml:"capture_first" json:"capture_first,omitzero"`
	Capture      CaptureOptions `yaml:"capture" json:"capture"`
	// CoolDown is how long crypto-miner and respond watch for the same detection
	// after they contained the threat. Default: 30s; "0s" closes at once.
	CoolDown *Duration `yaml:"cool_down" json:"cool_down,omitempty"`
	// Action is respond's: a response action of the catalogue, or ActionAuto.
	// Default: ActionAuto.
	Action string `yaml:"action,omitempty" json:"action,omitzero"`
	// Parameters of respond's action, by their name at Sysdig: CEL expressions over
	// `incident`. Those that are left out are taken from the incident, as the
	// catalogue says.
	Parameters map[string]string `yaml:"parameters,omitempty" json:"parameters,omitempty"`
	// AutoUndoAfter is when a containment by respond that can be undone is undone,
	// unless an analyst confirms it before. Default: never.
	AutoUndoAfter Duration `yaml:"auto_undo_after,omitempty" json:"auto_undo_after,omitzero"`
	// MaxProcessAge is how long after an event, or after an analyst stated it, a process
	// may be killed by its ID, which another process may have by then. Beyond it an
	// analyst is asked to state the process again. Only routes that may ask for
	// KILL_PROCESS have it. Default: DefaultMaxProcessAge.
	MaxProcessAge Duration `yaml:"max_process_age,omitempty" json:"max_process_age,omitzero"`
	// OnOpened, OnContained and OnClosed name hooks of the configuration, which are
	// called when the incident was opened, after a containment, and at the end.
	// Their URLs and secrets stay with the workers.
	OnOpened    []string `yaml:"on_opened,omitempty" json:"on_opened,omitempty"`
	OnContained []string `yaml:"on_contained,omitempty" json:"on_contained,omitempty"`
	OnClosed    []string `yaml:"on_closed,omitempty" json:"on_closed,omitempty"`
}

// ActionAuto lets respond choose by what the incident carries: FILE_QUARANTINE
// for a file in a container, KILL_CONTAINER for a container, KILL_PROCESS for a
// process on a host.
const ActionAuto = "auto"

// Mode is how many analysts must approve.
type Mode string

// The approval modes.
const (
	ModeNone Mode = "none" // act without asking
	ModeOne  Mode = "one"  // one analyst
	ModeTwo  Mode = "two"  // two different analysts
)

// Approval is how a decision is asked for. Expiry denies.
type Approval struct {
	Mode Mode `yaml:"mode" json:"mode"`
	// Groups are those whose members may decide; none means all groups. With
	// trust open they are asked, and anybody may decide.
	Groups []string `yaml:"groups,omitempty" json:"groups,omitempty"`
	// RemindEvery is the time between reminders while nobody has answered.
	RemindEvery Duration `yaml:"remind_every" json:"remind_every,omitzero"`
	// EscalateAfter is when the request is escalated, once.
	EscalateAfter Duration `yaml:"escalate_after" json:"escalate_after,omitzero"`
	// EscalateTo are groups who are asked besides from then on, and may decide.
	EscalateTo []string `yaml:"escalate_to,omitempty" json:"escalate_to,omitempty"`
	// ExpireAfter is when an unanswered request is denied.
	ExpireAfter Duration `yaml:"expire_after" json:"expire_after,omitzero"`
}

// Asked are the groups that are asked, those it escalates to included once it is
// escalated; none means all.
func (a Approval) Asked(escalated bool) []string {
	if len(a.Groups) == 0 || !escalated {
		return a.Groups
	}
	asked := slices.Clone(a.Groups)
	for _, group := range a.EscalateTo {
		if !slices.Contains(asked, group) {
			asked = append(asked, group)
		}
	}
	return asked
}

// CaptureOptions shape a system capture.
type CaptureOptions struct {
	// Duration of the capture, whole seconds, 1s to 300s. Default: 15s.
	Duration Duration `yaml:"duration" json:"duration,omitzero"`
	// Filter in Falco's condition syntax; empty records everything of the scope.
	Filter string `yaml:"filter" json:"filter,omitzero"`
	// Scope is what is recorded. Default: ScopeContainer.
	Scope Scope `yaml:"scope,omitempty" json:"scope,omitzero"`
	// Backend is what takes the capture. Default: BackendCapture.
	Backend Backend `yaml:"backend,omitempty" json:"backend,omitzero"`
	// StorageConfigurationID names the remote storage that Sysdig writes captures
	// of BackendResponseAction to, which needs it.
	StorageConfigurationID string `yaml:"storage_configuration_id,omitempty" json:"storage_configuration_id,omitzero"`
}

// Scope is what a system capture records.
type Scope string

// The scopes.
const (
	// ScopeContainer is the container of the incident, or the host of an incident that
	// is about the host itself. Where the container is unknown it is a missing field.
	ScopeContainer Scope = "container"
	// ScopeHost is the whole host, with whatever else runs on it.
	ScopeHost Scope = "host"
)

// CapturedContainer is the container that a capture is restricted to, "" for the
// whole host.
func (o CaptureOptions) CapturedContainer(inc *Incident) string {
	if o.Scope == ScopeHost {
		return ""
	}
	return inc.Container.ID
}

// NeedsContainer reports whether a capture cannot be taken before the container of
// the incident is known.
func (o CaptureOptions) NeedsContainer(inc *Incident) bool {
	return o.Scope != ScopeHost && !inc.HostLevel
}

// ScopedFilter returns the filter that restricts a capture to a container, beside a
// filter of the caller's; an empty ID leaves that as it is. A container's capture
// needs it: Sysdig's agents record the host. An ID that does not have the shape of
// one is refused, for it could widen the filter.
func ScopedFilter(containerID, filter string) (string, error) {
	switch {
	case containerID == "":
		return filter, nil
	case !filterable.MatchString(containerID):
		return "", fmt.Errorf("container.id %q: expected 12 to 64 hexadecimal digits, or Fargate's 32 hexadecimal digits, a hyphen and digits", containerID)
	case !closes(filter):
		return "", fmt.Errorf("filter %q: parentheses and quotation marks must be balanced", filter)
	case strings.TrimSpace(filter) == "":
		return "container.id=" + containerID, nil
	default:
		return "container.id=" + containerID + " and (" + filter + ")", nil
	}
}

// filterable are the container IDs that a filter may name.
var filterable = regexp.MustCompile(`^(?:[0-9a-f]{12,64}|[0-9a-f]{32}-[0-9]{1,20})$`)

// closes reports whether every parenthesis of a filter is closed, none is closed
// that was not opened, and every quotation ends: a filter that is put into brackets
// stays within them.
func closes(filter string) bool {
	open, quote := 0, rune(0)
	escaped := false
	for _, r := range filter {
		switch {
		case escaped:
			escaped = false
		case quote != 0 && r == '\\':
			escaped = true
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '(':
			open++
		case r == ')':
			if open--; open < 0 {
				return false
			}
		}
	}
	return open == 0 && quote == 0
}

// Backend is a way by which Sysdig takes captures.
type Backend string

// The backends.
const (
	// BackendCapture is Sysdig's captures API: the file is kept by Sysdig, and
	// saved as evidence.
	BackendCapture Backend = "capture"
	// BackendResponseAction is the response action CAPTURE: the file goes to a
	// storage of the customer's own, where it stays.
	BackendResponseAction Backend = "response-action"
)

// Duration is a time.Duration that reads and writes "15m" in YAML and JSON.
type Duration time.Duration

// UnmarshalText parses Go's duration syntax.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("duration %q: want a number and a unit, like 30s, 15m or 24h", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes Go's duration syntax.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// String is the duration in Go's syntax.
func (d Duration) String() string { return time.Duration(d).String() }
