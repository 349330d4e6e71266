package signals

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/incident"
)

// Search attributes. They are not encrypted: nothing secret goes in.
var (
	IncidentState     = temporal.NewSearchAttributeKeyKeyword("IncidentState")
	IncidentRule      = temporal.NewSearchAttributeKeyKeyword("IncidentRule")
	IncidentHost      = temporal.NewSearchAttributeKeyKeyword("IncidentHost")
	IncidentContainer = temporal.NewSearchAttributeKeyKeyword("IncidentContainer")
	// IncidentPending is the action that waits for a decision, unset otherwise.
	IncidentPending  = temporal.NewSearchAttributeKeyKeyword("IncidentPending")
	IncidentSeverity = temporal.NewSearchAttributeKeyInt64("IncidentSeverity")
)

// mostOfKeyword bounds a search attribute, in runes; databases store 255.
const mostOfKeyword = 200

// Opened are the search attributes by which an incident is found before its
// playbook has said anything; its severity is not among them. What is absent has
// none.
func Opened(inc *incident.Incident) []temporal.SearchAttributeUpdate {
	set := []temporal.SearchAttributeUpdate{IncidentState.ValueSet(string(Open))}
	for _, attribute := range []struct {
		key   temporal.SearchAttributeKeyKeyword
		value string
	}{
		{IncidentRule, inc.Rule.Name},
		{IncidentHost, cmp.Or(inc.Host.Name, inc.Host.ID, inc.Host.MAC)},
		{IncidentContainer, inc.Container.ID},
	} {
		if value := keyword(attribute.value); value != "" {
			set = append(set, attribute.key.ValueSet(value))
		}
	}
	return set
}

// keyword makes a value fit for a search attribute, in one line. Control
// characters go: PostgreSQL refuses a NUL, and the incident would never be listed.
func keyword(value string) string {
	return Cut(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(value, string(unicode.ReplacementChar))), mostOfKeyword)
}

// ChangeEscalated is the change ID, as workflow.GetVersion has it, that marks the
// runs in which a request was escalated. The SDK writes the changes of a run into
// a search attribute that every server has, TemporalChangeVersion. One of our own
// would have to be registered first: without it the server would refuse the
// escalation itself.
const ChangeEscalated = "request-escalated"

// OpenOnly is the visibility condition for open workflows. A paused workflow is
// open too, but its ExecutionStatus is not Running. Servers that do not know the
// status Paused reject its name; all of them know CloseTime.
const OpenOnly = "CloseTime IS NULL"

// IsOpen reports whether a run with this status is open: running or paused.
func IsOpen(status enums.WorkflowExecutionStatus) bool {
	return status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING || status == enums.WORKFLOW_EXECUTION_STATUS_PAUSED
}

// Waiting is the query for the open incidents that are in a state.
func Waiting(state State) string {
	return fmt.Sprintf(`%s AND IncidentState = %q`, OpenOnly, state)
}

// Escalated is the query for the open incidents that wait for a person although a
// request was escalated. One that asks once more after the answer to that is among
// them, too.
func Escalated() string {
	return fmt.Sprintf(`%s AND IncidentState IN (%q, %q, %q) AND TemporalChangeVersion = "%s-1"`,
		OpenOnly, AwaitingApproval, NeedsFields, AwaitingSave, ChangeEscalated)
}

// SearchAttributeKeys lists every search attribute, for registration.
func SearchAttributeKeys() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{
		IncidentState, IncidentRule, IncidentHost, IncidentContainer, IncidentPending, IncidentSeverity,
	}
}
