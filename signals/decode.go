package signals

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.temporal.io/sdk/converter"
)

// maxSignal bounds what a person may send in one signal, in bytes. What the
// starter sends is bounded by the server instead.
const maxSignal = 16 << 10

// maxName bounds an analyst's name, in bytes.
const maxName = 128

// maxQuoted bounds what an error quotes back, in bytes.
const maxQuoted = 60

// encrypted is the encoding of a payload that should have been decrypted before
// it came here, as the payload codec writes it.
const encrypted = "binary/encrypted"

// Scalar is a JSON string or number, kept as text: an analyst who amends
// process.pid may type 4711 or "4711".
type Scalar string

// UnmarshalJSON accepts a string or a number.
func (s *Scalar) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*s = Scalar(strings.TrimSpace(text))
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(data, &number); err != nil || number == "" {
		return fmt.Errorf("value %s: want a string or a number", Clip(string(data), maxQuoted))
	}
	*s = Scalar(number)
	return nil
}

// DecodeDecision reads the payload of Approve and Reject.
func DecodeDecision(raw converter.RawValue) (Decision, error) {
	var d Decision
	if err := decode(raw, &d, `{"analyst":"ann","reason":"confirmed"}`); err != nil {
		return Decision{}, err
	}
	d.Analyst, d.Reason, d.Request = strings.TrimSpace(d.Analyst), strings.TrimSpace(d.Reason), strings.TrimSpace(d.Request)
	return d, checkAnalyst(d.Analyst)
}

// DecodeNote reads the payload of Note.
func DecodeNote(raw converter.RawValue) (NoteText, error) {
	var n NoteText
	if err := decode(raw, &n, `{"analyst":"ann","text":"seen before"}`); err != nil {
		return NoteText{}, err
	}
	n.Analyst, n.Text = strings.TrimSpace(n.Analyst), strings.TrimSpace(n.Text)
	if n.Text == "" {
		return NoteText{}, errors.New(`field "text" is missing or empty: want the note`)
	}
	return n, checkAnalyst(n.Analyst)
}

// DecodeAmendment reads the payload of Amend.
func DecodeAmendment(raw converter.RawValue) (Amendment, error) {
	var a Amendment
	if err := decode(raw, &a, `{"analyst":"ann","fields":{"host.id":"0a1b…"}}`); err != nil {
		return Amendment{}, err
	}
	a.Analyst = strings.TrimSpace(a.Analyst)
	if len(a.Fields) == 0 {
		return Amendment{}, errors.New(`field "fields" is missing or empty: want the fields to set, like {"host.id":"0a1b…"}`)
	}
	return a, checkAnalyst(a.Analyst)
}

// DecodeInstruction reads the payload of Undo, Freeze and Unfreeze.
func DecodeInstruction(raw converter.RawValue) (Instruction, error) {
	var i Instruction
	if err := decode(raw, &i, `{"analyst":"ann","reason":"a false alarm"}`); err != nil {
		return Instruction{}, err
	}
	i.Analyst, i.Reason = strings.TrimSpace(i.Analyst), strings.TrimSpace(i.Reason)
	if err := checkAnalyst(i.Analyst); err != nil {
		return Instruction{}, err
	}
	if i.Reason == "" {
		return Instruction{}, errors.New(`field "reason" is missing or empty: want why, for the war room`)
	}
	return i, nil
}

// DecodeEvents reads the payload of Events. Unknown fields are let through, so
// that a newer starter can talk to an older worker.
func DecodeEvents(raw converter.RawValue) (EventBatch, error) {
	var b EventBatch
	data, err := object(raw)
	if err != nil {
		return EventBatch{}, err
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return EventBatch{}, fmt.Errorf("decode events: %w", err)
	}
	if len(b.Events) == 0 && len(b.Repeated) == 0 && b.Duplicates <= 0 {
		return EventBatch{}, errors.New(`field "events" is missing or empty: want at least one event`)
	}
	for i := range b.Events {
		if b.Events[i].ID == "" {
			return EventBatch{}, fmt.Errorf(`events[%d]: field "id" is missing: want the event's ID`, i)
		}
	}
	for i, repeat := range b.Repeated {
		if repeat.ID == "" {
			return EventBatch{}, fmt.Errorf(`repeated[%d]: field "id" is missing: want the event's ID`, i)
		}
		if repeat.Times < 1 {
			return EventBatch{}, fmt.Errorf("repeated[%d]: times %d: want 1 or more", i, repeat.Times)
		}
	}
	return b, nil
}

// DecodeTelling reads the payload of Told.
func DecodeTelling(raw converter.RawValue) (Telling, error) {
	var t Telling
	if err := decode(raw, &t, `{"action":"action:KILL_CONTAINER:node-1","text":"contained"}`); err != nil {
		return Telling{}, err
	}
	// It is who tells, in the war room: nobody's name is taken.
	if !strings.HasPrefix(t.Action, manualPrefix) || len(t.Action) > maxTeller || t.Text == "" {
		return Telling{}, errors.New(`want "action", the workflow ID of a manual action like action:KILL_CONTAINER:node-1, and "text"`)
	}
	return t, nil
}

// maxTeller bounds the workflow ID that a telling names, in bytes.
const maxTeller = 1000

func checkAnalyst(name string) error {
	switch {
	case name == "":
		return errors.New(`field "analyst" is missing or empty: want the name of who decides`)
	case len(name) > maxName:
		return fmt.Errorf(`field "analyst" has %d bytes: want at most %d`, len(name), maxName)
	default:
		return nil
	}
}

// decode is strict about what a person typed: a misspelt field must not be
// read as an empty one.
func decode(raw converter.RawValue, into any, example string) error {
	data, err := object(raw)
	if err != nil {
		return fmt.Errorf("%w: want %s", err, example)
	}
	if len(data) > maxSignal {
		return fmt.Errorf("%d bytes of data: want at most %d", len(data), maxSignal)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return fmt.Errorf("field %q is a %s: want %s", wrong.Field, wrong.Value, example)
		}
		return fmt.Errorf("%s: want %s", strings.TrimPrefix(err.Error(), "json: "), example)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more data after the object: want just %s", example)
	}
	return nil
}

// object returns the payload's bytes if they hold a JSON object.
func object(raw converter.RawValue) ([]byte, error) {
	if string(raw.Payload().GetMetadata()[converter.MetadataEncoding]) == encrypted {
		return nil, errors.New("data is encrypted, and the key that it names does not open it")
	}
	data := bytes.TrimSpace(raw.Payload().GetData())
	if len(data) == 0 {
		return nil, errors.New("no data")
	}
	switch c := data[0]; {
	case c == '{':
		return data, nil
	case c == '"':
		return nil, fmt.Errorf("data is a string, %s", Clip(string(data), maxQuoted))
	case c == '[':
		return nil, errors.New("data is an array")
	case c == '-' || c >= '0' && c <= '9':
		return nil, fmt.Errorf("data is a number, %s", Clip(string(data), maxQuoted))
	case json.Valid(data):
		return nil, fmt.Errorf("data is %s", Clip(string(data), maxQuoted))
	default:
		return nil, fmt.Errorf("data is not JSON, %s", Clip(string(data), maxQuoted))
	}
}
