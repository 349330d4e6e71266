package starter

import (
	"encoding/json"
	"fmt"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// maxSignal bounds the events of one signal, in bytes of JSON. Temporal refuses
// a payload of 2 MiB.
const maxSignal = 1 << 20

// group is what a request holds for one incident.
type group struct {
	workflowID string
	route      *incident.Route
	// batches are signalled in order. There is one, unless the events are too
	// large for one signal.
	batches []signals.EventBatch

	size   int // of the last batch
	events int
	seen   map[string]bool
}

// sorted is a request's events by what becomes of them.
type sorted struct {
	groups []*group // in the order of their first events
	// unknown and oversized go into quarantine.
	unknown, oversized []json.RawMessage
	duplicate          int
	ignored            []ignored
}

// ignored is an event that nobody wants, and why.
type ignored struct{ eventID, reason string }

// assign finds the incident of each event. An event ID that one incident is told
// twice counts as a duplicate.
func assign(events []incident.Event, router *incident.Router) (*sorted, error) {
	s := &sorted{}
	byID := map[string]*group{}
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
		route, verdicts := router.Match(&event.Incident)
		if route == nil {
			s.ignored = append(s.ignored, ignored{event.Incident.ID, unmatched(verdicts)})
			continue
		}
		encoded, err := json.Marshal(event.Incident)
		if err != nil {
			return nil, fmt.Errorf("encode event %q: %w", event.Incident.ID, err)
		}
		if len(encoded) > maxSignal {
			s.oversized = append(s.oversized, event.Raw)
			continue
		}
		id := signals.WorkflowID(route, &event.Incident)
		g := byID[id]
		if g == nil {
			g = &group{workflowID: id, route: route, seen: map[string]bool{}}
			byID[id] = g
			s.groups = append(s.groups, g)
		}
		if !g.add(event.Incident, len(encoded)) {
			s.duplicate++
		}
	}
	return s, nil
}

// add adds an event, and reports whether it is new.
func (g *group) add(event incident.Incident, size int) bool {
	last := len(g.batches) - 1
	if g.seen[event.ID] {
		g.batches[last].Duplicates++
		return false
	}
	if last < 0 || g.size+size > maxSignal {
		g.batches = append(g.batches, signals.EventBatch{})
		g.size = 0
		last++
	}
	g.batches[last].Events = append(g.batches[last].Events, event)
	g.seen[event.ID] = true
	g.size += size
	g.events++
	return true
}

// unmatched says why an event opens nothing: a condition that could not be
// evaluated must not look like one that does not hold.
func unmatched(verdicts []incident.Verdict) string {
	reason := "no route matches"
	for _, v := range verdicts {
		if v.Failed {
			reason += "; route " + v.Name + ": " + v.Reason
		}
	}
	return reason
}
