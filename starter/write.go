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

// recalled bounds what is read of the journal at the start, in bytes.
const recalled = 64 << 20

// recall remembers the events that an earlier process left in the journal.
func (d *dispatcher) recall() {
	head, err := d.journal.Head(generation, recalled, func(string) bool { return false })
	if err != nil {
		d.log.Error("the journal cannot be read", "error", err)
	}
	for _, stored := range head {
		var k kept
		if err := json.Unmarshal(stored.Body, &k); err != nil || k.Route == nil {
			continue // the drain reports it
		}
		ref := &Reference{WorkflowID: stored.Key, Route: k.Route.Name}
		for i := range k.Events {
			d.memory.add(k.Tenant, k.Events[i].ID, ref)
		}
	}
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
			d.memory.add(t.tenant, t.events[i].ID, ref)
		}
	}
	return ref, nil
}
