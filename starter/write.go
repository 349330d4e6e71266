package starter

import (
	"encoding/json"
	"fmt"

	"firebreak/internal/incident"
)

// kept is a delivery as the journal has it. Route and tenant are those that were
// in force when the events came.
type kept struct {
	Route  *incident.Route     `json:"route"`
	Source string              `json:"source"`
	Tenant string              `json:"tenant,omitzero"`
	Events []incident.Incident `json:"events"`
	Size   int                 `json:"size"`
	// Trace is the span of the request, as W3C Trace Context writes it.
	Trace string `json:"trace,omitzero"`
}

// write puts deliveries for one incident into the journal, all or none, and
// remembers that they are there.
func (d *dispatcher) write(id string, tickets []*ticket) (*Reference, error) {
	bodies := make([][]byte, len(tickets))
	for i, t := range tickets {
		body, err := json.Marshal(kept{Route: t.route, Source: t.source, Tenant: t.tenant, Events: t.events, Size: t.size, Trace: traceparent(t.from)})
		if err != nil {
			return nil, fmt.Errorf("encode for the journal: %w", err)
		}
		bodies[i] = body
	}
	if err := d.journal.Append(id, bodies...); err != nil {
		return nil, err
	}
	ref := &Reference{WorkflowID: id, Route: tickets[0].route.Name}
	for _, t := range tickets {
		for i := range t.events {
			d.memory.add(t.events[i].ID, ref)
		}
	}
	return ref, nil
}
