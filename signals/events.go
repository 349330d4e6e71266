package signals

import "firebreak/internal/incident"

// EventBatch is the payload of Events.
type EventBatch struct {
	Events []incident.Incident `json:"events,omitempty"`
	// Duplicates counts deliveries of these events beyond the first.
	Duplicates int `json:"duplicates,omitzero"`
	// Repeated are further deliveries of events that the starter knows to be
	// with an incident already, so that it does not send them again.
	Repeated []Repeat `json:"repeated,omitempty"`
}

// Repeat counts further deliveries of one event. It concerns the incident that
// counted the event, and no other: once that one is closed, the next incident
// of the same target does not know the event, and leaves the repeat alone.
type Repeat struct {
	ID    string `json:"id"`
	Times int    `json:"times"`
}

// Slim is an event as it joins an incident that is open: with all that tells it
// apart, fills what the first event lacked, or shows that a detection returned,
// and without what only the page of the event that opened the incident shows.
// That one travels whole, as Input's First.
func Slim(e incident.Incident) incident.Incident {
	e.Labels, e.Fields, e.Actions = nil, nil, nil
	e.Output, e.EventURL = "", ""
	e.Rule.Tags, e.Mitre = nil, incident.Mitre{}
	return e
}
