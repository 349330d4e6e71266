package starter

import (
	"encoding/json"
	"fmt"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// maxSignal bounds the events of one signal, and the event that a start input
// carries whole, in bytes of JSON. Temporal refuses a payload of 2 MiB.
const maxSignal = 1 << 20

// growth is how much larger than as it was sent an event can be in a signal: a
// value may stand twice in it, and JSON may write one byte as six.
const growth = 12

// delivery is what one request, or one message of the journal, has for one
// incident. It fits into one signal.
type delivery struct {
	incident string // the workflow ID
	route    *incident.Route
	source   string
	tenant   string
	// events are in the order in which they came, repeated ones included.
	events []incident.Incident
	// size is what they take in a signal, in bytes of JSON.
	size int
}

// sorted is a request's events by what becomes of them.
type sorted struct {
	deliveries []*delivery // in the order of their first events
	// elsewhere are events that other incidents have than those that they correlate
	// with.
	elsewhere []*elsewhere
	// unknown and oversized go into quarantine.
	unknown, oversized []json.RawMessage
	ignored            []ignored
	incomplete         []incomplete
}

// incomplete is an event that does not state what routes need.
type incomplete struct {
	eventID, adapter string
	lacks            []string
}

// ignored is an event that nobody wants, and why.
type ignored struct{ eventID, reason string }

// assign finds the incident of each event: by its ID if that is known, or else by
// what it is about. place says whether it is known, and claims it if not.
func assign(source *Source, events []incident.Event, router *incident.Router, place func(tenant, eventID, incident string) *elsewhere) (*sorted, error) {
	s := &sorted{}
	last := map[string]*delivery{} // by incident
	for i := range events {
		event := &events[i]
		switch {
		case event.Adapter == "":
			s.unknown = append(s.unknown, event.Raw)
			continue
		case event.Ignored != "":
			s.ignored = append(s.ignored, ignored{event.Incident.ID, event.Ignored})
			continue
		}
		if len(event.Lacks) > 0 {
			s.incomplete = append(s.incomplete, incomplete{event.Incident.ID, event.Adapter, event.Lacks})
		}
		route, verdicts := router.Match(&event.Incident)
		if route == nil {
			s.ignored = append(s.ignored, ignored{event.Incident.ID, incident.Unmatched(&event.Incident, verdicts)})
			continue
		}
		size, fits, err := measure(event)
		if err != nil {
			return s, fmt.Errorf("encode event %q: %w", event.Incident.ID, err)
		}
		if !fits {
			s.oversized = append(s.oversized, event.Raw)
			continue
		}
		id := signals.WorkflowID(route, source.Tenant, &event.Incident)
		if e := place(source.Tenant, event.Incident.ID, id); e != nil {
			s.elsewhere = append(s.elsewhere, e)
			continue
		}
		d := last[id]
		if d == nil || d.size+size > maxSignal {
			d = &delivery{incident: id, route: route, source: source.Name, tenant: source.Tenant}
			last[id] = d
			s.deliveries = append(s.deliveries, d)
		}
		d.events = append(d.events, event.Incident)
		d.size += size
	}
	return s, nil
}

// measure is what an event takes in a signal, and whether it fits, also as the
// event that opens its incident, which travels whole.
func measure(event *incident.Event) (size int, fits bool, err error) {
	slim, err := json.Marshal(signals.Slim(event.Incident))
	if err != nil || len(slim) > maxSignal {
		return 0, false, err
	}
	if len(event.Raw)*growth <= maxSignal {
		return len(slim), true, nil
	}
	whole, err := json.Marshal(event.Incident)
	return len(slim), len(whole) <= maxSignal, err
}
