package sysdigtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// field is a member of an object in a request, or a query parameter.
type field struct {
	name     string
	required bool
	want     check
}

// check returns what is wanted instead of a value, or "" if the value is fine.
type check func(v any) string

func required(name string, want check) field { return field{name, true, want} }
func optional(name string, want check) field { return field{name, false, want} }

// checkFields refuses members that are unknown, missing or wrong.
func checkFields(kind string, object map[string]any, fields []field) *problem {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			return badRequest("unknown %s %q", kind, name)
		}
	}
	for _, f := range fields {
		v, ok := object[f.name]
		if !ok && f.required {
			return &problem{
				status: http.StatusBadRequest, invalid: true, Type: "missing_required_parameter",
				Message: fmt.Sprintf("missing required %s %q", kind, f.name),
			}
		}
		if ok {
			if want := f.want(v); want != "" {
				return badRequest("%s %q: want %s", kind, f.name, want)
			}
		}
	}
	return nil
}

// printable accepts what Sysdig's public OpenAPI accepts as a string.
func printable(maxLen int) check {
	return func(v any) string {
		s, ok := v.(string)
		if !ok || len(s) > maxLen || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Sprintf("a string of at most %d printable ASCII characters", maxLen)
		}
		return ""
	}
}

// filled is printable, and not empty.
func filled(v any) string {
	if v == "" || printable(512)(v) != "" {
		return "a string of 1 to 512 printable ASCII characters"
	}
	return ""
}

func exactly(s string) check {
	return func(v any) string {
		if v != s {
			return strconv.Quote(s)
		}
		return ""
	}
}

// integer accepts a JSON integer, not a string that holds one.
func integer(v any) string {
	n, ok := v.(json.Number)
	if _, err := n.Int64(); !ok || err != nil {
		return "an integer"
	}
	return ""
}

func integerWithin(low, high int64) check {
	return func(v any) string {
		n, ok := v.(json.Number)
		if i, err := n.Int64(); !ok || err != nil || i < low || i > high {
			return fmt.Sprintf("an integer from %d to %d", low, high)
		}
		return ""
	}
}

func boolean(v any) string {
	if _, ok := v.(bool); !ok {
		return "a boolean"
	}
	return ""
}

func anObject(v any) string {
	if _, ok := v.(map[string]any); !ok {
		return "an object"
	}
	return ""
}

// whole accepts a query parameter that is a whole number.
func whole(v any) string {
	if n, err := strconv.ParseInt(v.(string), 10, 64); err != nil || n < 0 {
		return "a whole number"
	}
	return ""
}

func within(low, high int) check {
	return func(v any) string {
		if n, err := strconv.Atoi(v.(string)); err != nil || n < low || n > high {
			return fmt.Sprintf("a number from %d to %d", low, high)
		}
		return ""
	}
}

// number is the value of a query parameter that passed whole or within, or the
// given one if it is absent.
func (in *input) number(name string, otherwise int64) int64 {
	s, ok := in.query[name].(string)
	if !ok {
		return otherwise
	}
	n, _ := strconv.ParseInt(s, 10, 64) // checked
	return n
}
