package incident

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// readDepth bounds the nesting of what is read. Sysdig's own payloads nest six
	// levels; an object that nests deeper than this is nothing that is known.
	readDepth = 64
	// maxDepth bounds the nesting of a body: what nests deeper than this was made to
	// exhaust somebody's stack.
	maxDepth = 1000
)

// maxElements bounds a body. A MiB of Sysdig's events has some hundreds; a body
// of tiny objects would take hundreds of times its size as events.
const maxElements = 20_000

// Event is what one element of a payload turned out to be: an incident, a
// known message that is no incident, or something nobody recognised.
type Event struct {
	// Adapter is the name of the adapter that recognised the element, or the
	// message found inside it; "" when none did, and then the element belongs in
	// quarantine.
	Adapter string
	// Path is where inside the element the message was found, for example
	// "result._raw"; "" when the element itself is the message.
	Path string
	// Incident is set when Adapter is and Ignored is not.
	Incident Incident
	// Ignored is why a recognised element is no incident, for example that it
	// is a platform audit event.
	Ignored string
	// Lacks are the fields that routes need and the message does not state, by their
	// paths: rule.name, severity, occurred_at. Its severity is the mildest then.
	Lacks []string
	// Raw is the element as it was sent, with all that was around the message but
	// the log header of a line.
	Raw json.RawMessage
}

// event is the event of an incident; ranked reports that its severity is stated.
func event(i Incident, ranked bool) Event {
	e := Event{Incident: i}
	for n, stated := range []bool{i.Rule.Name != "", ranked, !i.OccurredAt.IsZero()} {
		if !stated {
			e.Lacks = append(e.Lacks, needed[n])
		}
	}
	return e
}

// needed are the paths of what routes need of every event.
var needed = []string{"rule.name", "severity", "occurred_at"}

// Needed lists the paths that [Event.Lacks] may have.
func Needed() []string { return slices.Clone(needed) }

// MalformedError says where a payload stops being JSON that Parse can take.
type MalformedError struct {
	// Offset is the offending byte, counted from 0; the payload's length when
	// it ends too early.
	Offset int64
	Reason string
}

// Error is the offset and the reason.
func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed payload at byte %d: %s", e.Offset, e.Reason)
}

// Parse turns the body of a webhook request into events. The body is a JSON
// array of objects, one object, several objects after one another (NDJSON), or
// lines of a log, each of which is a log header and a JSON object; its kind is
// recognised from its shape. A message of a known kind inside another document, as
// a SIEM sends it on, is taken out of it (see unwrap). A document that could be read
// only in part is among the events once more, without an adapter. An empty array
// holds no events. Any error is a *[MalformedError], and then there are no events:
// the sender can send the whole body again, and nothing is lost or counted twice.
func Parse(body []byte) ([]Event, error) {
	elements, err := split(body)
	if err != nil {
		return nil, err
	}
	all, e := adapters(), &expander{left: maxExpanded}
	events := make([]Event, 0, len(elements))
	for _, raw := range elements {
		if checkDepth(raw, readDepth) != nil {
			events = append(events, Event{Raw: raw})
			continue
		}
		o, err := decodeObject(raw)
		if err != nil {
			return nil, err
		}
		events = append(events, adapt(all, o, raw, e)...)
	}
	return events, nil
}

// utf8BOM is a byte order mark, which some senders put before the text.
const utf8BOM = "\xef\xbb\xbf"

// split takes a body apart into its objects.
func split(body []byte) ([]json.RawMessage, error) {
	if bytes.HasPrefix(body, []byte(utf8BOM)) {
		// Blanks keep the offsets those of the body as it was sent.
		body = append([]byte("   "), body[len(utf8BOM):]...)
	}
	start := bytes.TrimLeft(body, " \t\r\n")
	if len(start) == 0 {
		return nil, &MalformedError{Offset: int64(len(body)), Reason: "the body is empty: expected a JSON object, an array of objects or NDJSON"}
	}
	if beginsLog(start) {
		return splitLog(body)
	}
	if err := checkDepth(body, maxDepth); err != nil {
		return nil, err
	}
	if start[0] == '[' {
		return splitArray(body)
	}
	return splitSequence(body)
}

// beginsLog reports whether a body begins with a log header.
func beginsLog(body []byte) bool {
	if body[0] == '{' || body[0] == '[' {
		return false
	}
	line, _, _ := bytes.Cut(body, []byte("\n"))
	_, ok := afterHeader(string(line))
	return ok
}

// splitLog takes lines apart, each of which is one JSON object behind a log header
// or alone. A line of anything else is an error, for it would be lost.
func splitLog(body []byte) ([]json.RawMessage, error) {
	var elements []json.RawMessage
	at := 0 // where the line begins
	for line := range bytes.Lines(body) {
		start := at
		at += len(line)
		text := string(bytes.TrimSpace(line))
		if text == "" {
			continue
		}
		message, logged := afterHeader(text)
		if !logged {
			message = text
		}
		one, err := splitMessage([]byte(message), len(elements))
		var m *MalformedError
		if errors.As(err, &m) {
			m.Offset += int64(start + bytes.LastIndex(line, []byte(message)))
		}
		if err != nil {
			return nil, err
		}
		elements = append(elements, one)
	}
	return elements, nil
}

// splitMessage checks that a line is one object.
func splitMessage(message []byte, before int) (json.RawMessage, error) {
	if err := checkDepth(message, maxDepth); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(message))
	raw, err := next(dec, message, before)
	if err != nil {
		return nil, err
	}
	if end := dec.InputOffset(); len(bytes.TrimSpace(message[end:])) > 0 {
		return nil, &MalformedError{Offset: end, Reason: "the line goes on after its object: expected one object behind a log header"}
	}
	return raw, nil
}

func splitArray(body []byte) ([]json.RawMessage, error) {
	// Unmarshal checks the whole body first and knows its offsets; the decoder
	// below then only takes apart what is known to be valid.
	if err := json.Unmarshal(body, new(json.RawMessage)); err != nil {
		return nil, malformed(err, body)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, malformed(err, body)
	}
	var elements []json.RawMessage
	for dec.More() {
		raw, err := next(dec, body, len(elements))
		if err != nil {
			return nil, err
		}
		elements = append(elements, raw)
	}
	return elements, nil
}

func splitSequence(body []byte) ([]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	var elements []json.RawMessage
	for {
		raw, err := next(dec, body, len(elements))
		if errors.Is(err, io.EOF) {
			return elements, nil
		}
		if err != nil {
			return nil, err
		}
		elements = append(elements, raw)
	}
}

// next reads one element after the given number, which must be an object, or
// returns io.EOF.
func next(dec *json.Decoder, body []byte, before int) (json.RawMessage, error) {
	var raw json.RawMessage
	if err := dec.Decode(&raw); errors.Is(err, io.EOF) {
		return nil, io.EOF
	} else if err != nil {
		return nil, malformed(err, body)
	}
	if raw[0] != '{' {
		return nil, &MalformedError{Offset: dec.InputOffset() - int64(len(raw)), Reason: "want an object, found " + kind(raw)}
	}
	if before == maxElements {
		return nil, &MalformedError{Offset: dec.InputOffset() - int64(len(raw)), Reason: fmt.Sprintf("more than %d objects; want them in several bodies", maxElements)}
	}
	return raw, nil
}

// malformed words an error that encoding/json met while reading body.
func malformed(err error, body []byte) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset >= int64(len(body)) && syntax.Error() == "unexpected end of JSON input" {
		return &MalformedError{Offset: int64(len(body)), Reason: "the body ends in the middle of a value"}
	}
	// Offset counts the bytes read, the offending one included.
	return &MalformedError{Offset: syntax.Offset - 1, Reason: syntax.Error()}
}

// checkDepth refuses JSON that nests deeper than so many levels, before anything
// recursive reads it.
func checkDepth(body []byte, most int) error {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return &MalformedError{Offset: int64(i), Reason: fmt.Sprintf("nested deeper than %d levels", most)}
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// kind names the kind of a JSON value that is not an object.
func kind(raw json.RawMessage) string {
	switch raw[0] {
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
