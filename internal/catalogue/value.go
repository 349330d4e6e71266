package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxText is how long a text parameter may be (Sysdig's public OpenAPI).
const maxText = 512

// Value is a parameter's value as Sysdig takes it, from how people, YAML, CEL or
// an incident have it: an integer may be written as a text, a boolean too. An
// absent value, nil or "", is nil.
func (p Parameter) Value(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return p.parse(v)
	case json.Number:
		return p.parse(v.String())
	case bool:
		if p.Type == Boolean {
			return v, nil
		}
	case int:
		return p.parse(strconv.Itoa(v))
	case int64:
		return p.parse(strconv.FormatInt(v, 10))
	case uint64:
		return p.parse(strconv.FormatUint(v, 10))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return p.parse(strconv.FormatInt(int64(v), 10))
		}
	}
	return nil, fmt.Errorf("%v: want %s", v, p.Type.words())
}

func (p Parameter) parse(s string) (any, error) {
	switch p.Type {
	case Integer:
		s = strings.TrimSpace(s)
		if s == "" {
			return nil, nil
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q: want %s", s, p.Type.words())
		}
		return n, nil
	case Boolean:
		switch s {
		case "":
			return nil, nil
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("%q: want %s", s, p.Type.words())
	default:
		if s == "" {
			return nil, nil
		}
		return s, checkText(s)
	}
}

// checkText is what Sysdig's public OpenAPI says of texts.
func checkText(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("it has %d characters: want at most %d", len(s), maxText)
	}
	for _, r := range s {
		if r < ' ' || r > '~' {
			return fmt.Errorf("%q: want printable ASCII, as Sysdig takes nothing else", s)
		}
	}
	return nil
}

func (t Type) words() string {
	switch t {
	case Integer:
		return "a whole number"
	case Boolean:
		return "true or false"
	default:
		return "a text"
	}
}

// ParameterError is one thing wrong with one parameter.
type ParameterError struct {
	Action string
	Name   string
	// Field is the incident's field that would have told it, "" for none.
	Field string
	// Missing says that there is no value at all.
	Missing bool
	Reason  string
}

// Error names the parameter, and where an incident would have it from.
func (e *ParameterError) Error() string {
	switch {
	case e.Missing && e.Field != "":
		return fmt.Sprintf("%s: parameter %s is missing: the incident has no %s", e.Action, e.Name, e.Field)
	case e.Missing:
		return fmt.Sprintf("%s: parameter %s is missing: no incident tells it, it has to be given", e.Action, e.Name)
	default:
		return fmt.Sprintf("%s: parameter %s: %s", e.Action, e.Name, e.Reason)
	}
}

// Fill is the action's parameters: those given, and for the others what the
// incident has, by lookup, or their defaults. All that is wrong is reported
// together; each part of the error is a *[ParameterError].
func (a *Action) Fill(given map[string]any, lookup func(field string) string) (map[string]any, error) {
	filled := map[string]any{}
	var problems []error
	for _, p := range a.Parameters {
		v, err := p.Value(given[p.Name])
		if err == nil && v == nil && p.From != "" {
			v, err = p.Value(lookup(p.From))
		}
		switch {
		case err != nil:
			problems = append(problems, &ParameterError{Action: a.Name, Name: p.Name, Field: p.From, Reason: err.Error()})
		case v != nil:
			filled[p.Name] = v
		case p.Default != nil:
			filled[p.Name] = p.Default
		case p.Required:
			problems = append(problems, &ParameterError{Action: a.Name, Name: p.Name, Field: p.From, Missing: true})
		}
	}
	for _, name := range a.unknown(given) {
		problems = append(problems, &ParameterError{
			Action: a.Name, Name: name, Reason: "it has no such parameter: want some of " + strings.Join(a.ParameterNames(), ", "),
		})
	}
	return filled, errors.Join(problems...)
}

// unknown are the names that the action has no parameter of, in order.
func (a *Action) unknown(given map[string]any) []string {
	var names []string
	for name := range given {
		if _, known := a.Parameter(name); !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
