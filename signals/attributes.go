package signals

import "go.temporal.io/sdk/temporal"

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

// SearchAttributeKeys lists every search attribute, for registration.
func SearchAttributeKeys() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{
		IncidentState, IncidentRule, IncidentHost, IncidentContainer, IncidentPending, IncidentSeverity,
	}
}
