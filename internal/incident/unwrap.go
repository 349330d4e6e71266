package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// How far a document that nobody recognises is searched. What lies deeper is
// not looked at, so that nobody can hide a message behind a deep one. A document
// of more messages goes to quarantine whole: none of them is to be lost.
const (
	maxFound  = 10_000 // messages
	maxLevels = 32     // objects and arrays around a message
	maxTexts  = 4      // texts that are JSON, one within the other
)

// wrapping are the keys under which SIEMs and log shippers put the messages
// they pass on, in lower case without "_", "-" and "@": the Splunk webhook
// alert action (result, _raw), Elasticsearch (hits, _source, fields,
// event.original, message) and Elastic's Sysdig integration (sysdig), the
// events API's and CloudEvents' data, container logs (log), queues and
// functions (Records, body, detail, Message), and the words that Sentinel,
// QRadar and Chronicle playbooks use; their documents are their authors' own
// and have no one shape.
//
// No other key is searched. In what people, commands and other systems wrote
// anybody can plant a text that looks like a message and names a container to
// kill; for the same reason a text counts only when all of it is JSON, and
// nothing is searched inside a message.
var wrapping = []string{
	"additionaldata", "alert", "alertcontext", "alerts", "attachment", "attachments", "body", "customdetails", "data",
	"detail", "details", "document", "documents", "event", "eventdata", "events", "extendedproperties", "fields", "finding",
	"findings", "hit", "hits", "incident", "item", "items", "log", "logs", "message", "messages", "msg", "notification",
	"object", "offense", "original", "originalevent", "payload", "payloads", "properties", "raw", "rawdata", "rawevent",
	"rawlog", "rawlogs", "rawmessage", "record", "records", "result", "results", "row", "rows", "source", "sysdig", "falco",
	"value", "values",
}

// originals are those of the wrapping keys that hold a message as it was
// received, beside what was made of it.
var originals = []string{"original", "originalevent", "raw", "rawdata", "rawevent", "rawlog", "rawmessage"}

// unwrap finds the messages inside a document that no adapter recognises, in
// the order of the document's keys. What it holds besides is not looked at. A
// message that is there twice, as it was received and in parts, counts once,
// as it was received.
func unwrap(all []adapter, o object) []Event {
	s := search{adapters: all, places: map[string]int{}}
	s.object(o, place{})
	if len(s.found) > maxFound {
		return nil
	}
	events := make([]Event, 0, len(s.found))
	for _, f := range s.found {
		events = append(events, f.event)
	}
	return events
}

// search is a walk through a document.
type search struct {
	adapters []adapter
	found    []finding
	// places are the indexes of found by what identifies the event.
	places map[string]int
}

// finding is an event and whether it was read from a text.
type finding struct {
	event  Event
	asText bool
}

// place is where a walk is.
type place struct {
	path          string
	levels, texts int
}

func (p place) key(name string) place {
	p.path = strings.TrimPrefix(p.path+"."+name, ".")
	p.levels++
	return p
}

func (p place) index(n int) place {
	p.path = fmt.Sprintf("%s[%d]", p.path, n)
	p.levels++
	return p
}

func (s *search) value(v any, at place) {
	if at.levels > maxLevels || len(s.found) > maxFound {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		s.object(v, at)
	case []any:
		s.list(v, at)
	case string:
		if at.texts < maxTexts {
			s.text(v, at)
		}
	}
}

func (s *search) list(list []any, at place) {
	for n, item := range list {
		if text, is := item.(string); isNested(item) || is && looksLikeJSON(text) {
			s.value(item, at.index(n))
		}
	}
}

// text searches a text that is JSON: one value, or several after one another.
func (s *search) text(v string, at place) {
	decoded := decodeText(v)
	at.texts++
	if len(decoded) == 1 {
		s.value(decoded[0], at)
	} else {
		s.list(decoded, at)
	}
}

func (s *search) object(o object, at place) {
	var events []Event
	if o.flattened() {
		events = recognise(s.adapters, o.expanded(last))
		o = o.expanded(every)
		if len(events) > 0 && s.below(o, at, originals) {
			return // a row and the text it was made of are one message
		}
	} else {
		events = recognise(s.adapters, o)
	}
	if len(events) == 0 {
		s.below(o, at, wrapping)
		return
	}
	for n := range events {
		e := &events[n]
		e.Path = at.path
		s.add(e, cmp.Or(e.Incident.ID, fmt.Sprint("ignored ", n, " ", o.identity())), at.texts > 0)
	}
}

// below searches what o has under the given keys, and reports whether it found
// anything.
func (s *search) below(o object, at place, keys []string) bool {
	before := len(s.found)
	for _, k := range slices.Sorted(maps.Keys(o)) {
		if slices.Contains(keys, plainKey(k)) {
			s.value(o[k], at.key(k))
		}
	}
	return len(s.found) > before
}

func (s *search) add(e *Event, identity string, asText bool) {
	at, twice := s.places[identity]
	switch {
	case !twice:
		s.places[identity] = len(s.found)
		s.found = append(s.found, finding{*e, asText})
	case asText && !s.found[at].asText:
		s.found[at] = finding{*e, asText}
	}
}

// plainKey is a key without what senders vary: its case, "_", "-" and "@".
func plainKey(k string) string { return strings.ToLower(without(k, "_-@")) }
