package sysdig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// list reads an array. A null is an empty list, as servers written in Go send
// it; a list that is not there at all is not the same.
type list[T any] struct {
	items   []T
	present bool
}

func (l *list[T]) UnmarshalJSON(raw []byte) error {
	l.present = true
	return json.Unmarshal(raw, &l.items)
}

// The types below read values whose JSON type differs between Sysdig's
// published descriptions and its recorded answers. They never fail: an answer
// to an action must not be lost over a detail nobody needs.

// text reads a string, or the literal of anything else; null is empty.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	switch {
	case string(raw) == "null":
		*t = ""
	case json.Unmarshal(raw, &s) == nil:
		*t = text(s)
	default:
		*t = text(raw)
	}
	return nil
}

// object reads an object, keeping its numbers exact; anything else is nil.
type object map[string]any

func (o *object) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var m map[string]any
	if dec.Decode(&m) != nil {
		m = nil
	}
	*o = m
	return nil
}

// strings renders every value as a string.
func (o object) strings() map[string]string {
	if o == nil {
		return nil
	}
	m := make(map[string]string, len(o))
	for k, v := range o {
		m[k] = fmt.Sprint(v)
	}
	return m
}

// stamp reads an RFC 3339 time; anything else is the zero time.
type stamp struct{ time.Time }

func (s *stamp) UnmarshalJSON(raw []byte) error {
	var v time.Time
	if json.Unmarshal(raw, &v) == nil {
		s.Time = v
	}
	return nil
}
