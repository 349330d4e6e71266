package starter

import (
	"go.opentelemetry.io/otel/trace"

	"firebreak/internal/incident"
)

// message is what an incident is told in one signal, and what came of it.
type message struct {
	incident string // the workflow ID
	route    *incident.Route
	tenant   string
	// events are distinct; again counts further deliveries of each, by ID.
	events []incident.Incident
	again  map[string]int
	// size is at least what the events take in a signal, in bytes of JSON.
	size int
	// spans are those that the events came by.
	spans []trace.SpanContext

	// ref, opened and earlier are set by tell: the incident, whether the signal
	// opened it, and the IDs of events that the incident before it was told.
	ref     *Reference
	opened  bool
	earlier map[string]bool
}

// add adds an event, and reports whether it is new to the message.
func (m *message) add(event *incident.Incident) bool {
	if _, there := m.again[event.ID]; there {
		m.again[event.ID]++
		return false
	}
	if m.again == nil {
		m.again = map[string]int{}
	}
	m.again[event.ID] = 0
	m.events = append(m.events, *event)
	return true
}

// merged is a message made of several tickets.
type merged struct {
	message
	// owner is the ticket, by its index, of each of the events.
	owner []int
	// repeated counts the events of each ticket that are stored, or that an
	// earlier one holds too.
	repeated []int
	// known are the IDs of the events that are stored, and stored is where.
	known  []string
	stored []*Reference
}

// merge makes one message of tickets for one incident.
func (d *dispatcher) merge(tickets []*ticket) *merged {
	first := tickets[0]
	m := &merged{
		message:  message{incident: first.incident, route: first.route, tenant: first.tenant},
		repeated: make([]int, len(tickets)), stored: make([]*Reference, len(tickets)),
	}
	for i, t := range tickets {
		m.size += t.size
		m.from(t.from)
		for j := range t.events {
			event := &t.events[j]
			if ref := d.memory.findIn(m.incident, m.tenant, event.ID); ref != nil {
				m.repeated[i]++
				m.stored[i] = ref
				m.known = append(m.known, event.ID)
			} else if m.add(event) {
				m.owner = append(m.owner, i)
			} else {
				m.repeated[i]++
			}
		}
	}
	return m
}

// settle gives the tickets of a message that was told their outcomes.
func (m *merged) settle(d *dispatcher, tickets []*ticket) {
	for _, eventID := range m.known {
		d.repeats.add(m.incident, eventID, 1)
	}
	opener := -1
	for i := range m.events {
		switch {
		case m.earlier[m.events[i].ID]:
			m.repeated[m.owner[i]]++
		case opener < 0:
			opener = m.owner[i]
		}
	}
	for i, t := range tickets {
		o := outcome{ref: m.ref, result: resultJoined, duplicates: m.repeated[i]}
		switch {
		case m.opened && i == opener:
			o.result = resultOpened
		case m.repeated[i] == len(t.events) && m.stored[i] != nil:
			o = repeatedOutcome(m.stored[i], len(t.events))
		}
		t.done <- o
	}
}
