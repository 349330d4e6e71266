package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// How far a document that no adapter recognises is searched. Deeper parts are not
// read, so that no message hides behind a deep one. A document of more messages
// goes to quarantine whole, so that none of them is lost.
const (
	maxFound  = 10_000 // messages
	maxLevels = 32     // objects and arrays around a message
	maxTexts  = 4      // texts that hold JSON, one within the other
)

// unwrap finds the messages inside a document that no adapter recognises, in
// the order of the document's keys. The rest of the document is not read. A
// message that is there several times, as it was received, in parts or in several
// encodings, counts once, as it was received.
//
// If a part of the document could not be read, or a message lies under a key that
// is not searched, a last event without an adapter stands for the document: it is
// kept whole.
func unwrap(all []adapter, o object, e *expander) []Event {
	s := search{adapters: all, places: map[string]int{}, expander: e}
	s.object(o, place{})
	if len(s.found) > maxFound {
		return nil
	}
	events := make([]Event, 0, len(s.found)+1)
	for _, f := range s.found {
		events = append(events, f.event)
	}
	if len(events) > 0 && (s.unread || slices.ContainsFunc(s.unlisted, func(id string) bool { _, read := s.places[id]; return !read })) {
		events = append(events, Event{})
	}
	return events
}

// search is a walk through a document.
type search struct {
	adapters []adapter
	found    []finding
	// places are the indexes of found by what identifies the event.
	places map[string]int
	// recognised counts the messages, also those that are there several times.
	recognised int
	expander   *expander
	// unread reports that a part of the document that may hold messages could not
	// be read.
	unread bool
	// unlisted identify messages under keys that are not searched.
	unlisted []string
}

// finding is an event and whether it was read from a text.
type finding struct {
	event  Event
	asText bool
}

// place is where a walk is. A path is built for messages only: a walk has many more
// places, and a key may be as long as the document.
type place struct {
	// above is the place of the object or array around the value, nil at the document.
	above *place
	// name is the key of the value, "" for an item of an array, which has a number.
	name   string
	number int
	// parent is the plain key of the value, or of the array that it is in.
	parent        string
	levels, texts int
}

func (p place) key(name string) place {
	return place{above: &p, name: name, parent: plainKey(name), levels: p.levels + 1, texts: p.texts}
}

func (p place) index(n int) place {
	return place{above: &p, number: n, parent: p.parent, levels: p.levels + 1, texts: p.texts}
}

// path returns the place as a path, like records[0].data.
func (p place) path() string {
	switch {
	case p.above == nil:
		return ""
	case p.name == "":
		return fmt.Sprintf("%s[%d]", p.above.path(), p.number)
	default:
		return strings.TrimPrefix(p.above.path()+"."+cut(p.name, maxKey), ".")
	}
}

func (s *search) value(v any, at place) {
	if len(s.found) > maxFound {
		return
	}
	if at.levels > maxLevels {
		s.unread = s.unread || isNested(v)
		return
	}
	switch v := v.(type) {
	case map[string]any:
		s.object(v, at)
	case []any:
		s.list(v, at)
	case string:
		s.text(v, at)
	}
}

func (s *search) list(list []any, at place) {
	for n, item := range list {
		if text, is := item.(string); isNested(item) || is && mayHoldMessage(text) {
			s.value(item, at.index(n))
		}
	}
}

// text searches a text that is JSON: one value, or several after one another, or
// one behind a log header.
func (s *search) text(v string, at place) {
	if at.texts == maxTexts {
		s.unread = s.unread || mayHoldMessage(v)
		return
	}
	decoded := decodeText(v)
	at.texts++
	if len(decoded) == 1 {
		s.value(decoded[0], at)
	} else {
		s.list(decoded, at)
	}
}

// encoded searches a text in base64. Each of its values is a message of its own: one
// that no adapter recognises is not read.
func (s *search) encoded(v string, at place) {
	if decodeText(v) != nil {
		return // plain JSON, which is searched like any other
	}
	text, ok := s.expander.decode(v)
	messages := decodeText(text)
	if !ok || len(messages) == 0 || at.texts == maxTexts {
		s.unread = true
		return
	}
	at.texts++
	for n, message := range messages {
		where, before := at, s.recognised
		if len(messages) > 1 {
			where = at.index(n)
		}
		s.value(message, where)
		s.unread = s.unread || s.recognised == before
	}
}

func (s *search) object(o object, at place) {
	asSent := o
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
		s.inside(asSent, o, at)
		return
	}
	for n := range events {
		e := &events[n]
		e.Path = at.path()
		s.add(e, identify(e, n, o), at.texts > 0)
	}
}

// inside searches an object that is no message, as it was sent and as expanded.
func (s *search) inside(asSent, o object, at place) {
	if v, is := anyValue(map[string]any(o)); is {
		s.value(v, at)
		return
	}
	if rows, is := table(o); is {
		if len(rows) > maxElements {
			s.unread = true
			return
		}
		s.list(rows, at.key("rows"))
		return
	}
	for _, k := range encodedIn(asSent, at.parent) {
		s.encoded(asSent[k].(string), at.key(k))
	}
	s.below(o, at, wrapping)
	for k, v := range o {
		if !slices.Contains(wrapping, plainKey(k)) {
			s.pass(v, at.levels+1)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(asSent)) {
		if strings.Contains(k, ".") && slices.Contains(wrapping, plainKey(k)) && !levelsAreSearched(k) {
			s.value(asSent[k], at.key(k)) // the dot separates words, and no levels
		}
	}
}

// levelsAreSearched reports whether each level of a dotted key is a wrapping key. The
// expanded object leads to its value then. A second search of it would double the
// work with every level.
func levelsAreSearched(k string) bool {
	for level := range strings.SplitSeq(k, ".") {
		if !slices.Contains(wrapping, plainKey(level)) {
			return false
		}
	}
	return true
}

// pass notes the messages among values that are not searched. Texts are not looked
// into.
func (s *search) pass(v any, levels int) {
	if levels > maxLevels {
		return
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			s.pass(item, levels+1)
		}
	case map[string]any:
		events := recognise(s.adapters, v)
		for n := range events {
			s.unlisted = append(s.unlisted, identify(&events[n], n, v))
		}
		if len(events) == 0 {
			for _, inner := range v {
				s.pass(inner, levels+1)
			}
		}
	}
}

// identify tells an event from the others of a document. n is its number in o.
func identify(e *Event, n int, o object) string {
	return cmp.Or(e.Incident.ID, fmt.Sprint("ignored ", n, " ", o.identity()))
}

// below searches the values of o under the given keys, and reports whether it found
// a message.
func (s *search) below(o object, at place, keys []string) bool {
	before := s.recognised
	for _, k := range slices.Sorted(maps.Keys(o)) {
		if slices.Contains(keys, plainKey(k)) {
			s.value(o[k], at.key(k))
		}
	}
	return s.recognised > before
}

func (s *search) add(e *Event, identity string, asText bool) {
	s.recognised++
	at, twice := s.places[identity]
	switch {
	case !twice:
		s.places[identity] = len(s.found)
		s.found = append(s.found, finding{*e, asText})
	case asText && !s.found[at].asText:
		s.found[at] = finding{*e, asText}
	}
}
