package incident

import "encoding/json"

// adapter maps one sender's messages to events. Adding a sender is a file with
// a function that returns its adapter, and a line in adapters.
type adapter struct {
	// name is what [Event.Adapter] says.
	name string
	// recognises reports, from the keys alone, whether o is this sender's.
	// Adapters must not overlap: a payload has one meaning.
	recognises func(o object) bool
	// events maps o. It returns at least one event, and leaves Adapter and Raw
	// to the caller.
	events func(o object) []Event
}

// adapters lists every adapter.
func adapters() []adapter {
	return []adapter{
		forwarder(),
		notification(),
	}
}

// adapt turns one object of a payload into events, by the adapter that
// recognises it.
func adapt(o object, raw json.RawMessage) []Event {
	for _, a := range adapters() {
		if !a.recognises(o) {
			continue
		}
		events := a.events(o)
		for i := range events {
			events[i].Adapter, events[i].Raw = a.name, raw
		}
		return events
	}
	return []Event{{Raw: raw}}
}
