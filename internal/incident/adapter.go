package incident

import "encoding/json"

// adapter maps one sender's messages to events. Adding a sender is a file with
// a function that returns its adapter, and a line in adapters.
type adapter struct {
	// name is what [Event.Adapter] says.
	name string
	// recognises reports, from the keys and the kinds of their values, whether o
	// is this sender's. Adapters must not overlap: a payload has one meaning.
	recognises func(o object) bool
	// events maps o. It returns at least one event, and leaves Adapter, Path and
	// Raw to the caller.
	events func(o object) []Event
}

// adapters lists every adapter.
func adapters() []adapter {
	return []adapter{
		forwarder(),
		legacy(),
		notification(),
		secureEvent(),
		falco(),
	}
}

// adapt turns one object of a payload into events: those of the adapter that
// recognises it, or else those of the messages found inside it.
func adapt(all []adapter, o object, raw json.RawMessage, e *expander) []Event {
	var events []Event
	if !o.flattened() {
		events = recognise(all, o)
	}
	if len(events) == 0 {
		events = unwrap(all, o, e)
	}
	if len(events) == 0 {
		return []Event{{Raw: raw}}
	}
	for i := range events {
		events[i].Raw = raw
	}
	return events
}

// recognise is the events of the adapter that recognises o, none when no
// adapter does.
func recognise(all []adapter, o object) []Event {
	for _, a := range all {
		if !a.recognises(o) {
			continue
		}
		events := a.events(o)
		for i := range events {
			events[i].Adapter = a.name
		}
		return events
	}
	return nil
}
