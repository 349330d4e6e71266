package signals

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
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

// ChangeEscalated is the change ID, as workflow.GetVersion has it, that marks the
// runs in which a request was escalated. The SDK writes the changes of a run into
// a search attribute that every server has, TemporalChangeVersion. One of our own
// would have to be registered first: without it the server would refuse the
// escalation itself.
const ChangeEscalated = "request-escalated"

// Waiting is the query for the open incidents that are in a state.
func Waiting(state State) string {
	return fmt.Sprintf(`ExecutionStatus = "Running" AND IncidentState = %q`, state)
}

// Escalated is the query for the open incidents that wait for a person although a
// request was escalated. One that asks once more after the answer to that is among
// them, too.
func Escalated() string {
	return fmt.Sprintf(`ExecutionStatus = "Running" AND IncidentState IN (%q, %q, %q) AND TemporalChangeVersion = "%s-1"`,
		AwaitingApproval, NeedsFields, AwaitingSave, ChangeEscalated)
}

// SearchAttributeKeys lists every search attribute, for registration.
func SearchAttributeKeys() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{
		IncidentState, IncidentRule, IncidentHost, IncidentContainer, IncidentPending, IncidentSeverity,
	}
}
