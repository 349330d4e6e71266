package sysdigtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// parseFilter reads a filter of events: comparisons, each of which may be
// negated by "not", joined by "and".
//
//	severity in ("0","1") and not ruleName contains "test" and host.hostName = "web-1"
//
// It is as much of the syntax as Sysdig's own tools are seen to use
// (sysdig-mcp-server). Anything else is refused: a value that breaks out of its
// quotes must not pass.
func parseFilter(text string) (matches func(fields map[string]any) bool, err error) {
	p := filterParser{rest: text}
	var all []func(map[string]any) bool
	for p.rest = strings.TrimSpace(p.rest); p.rest != ""; {
		if len(all) > 0 && p.word() != "and" {
			return nil, errors.New(`want "and" between comparisons`)
		}
		one, err := p.comparison()
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return func(fields map[string]any) bool {
		return !slices.ContainsFunc(all, func(one func(map[string]any) bool) bool { return !one(fields) })
	}, nil
}

type filterParser struct{ rest string }

// word takes what comes up to a space, a parenthesis or a quote.
func (p *filterParser) word() string {
	n := strings.IndexAny(p.rest, ` ("`)
	if n < 0 {
		n = len(p.rest)
	}
	word := p.rest[:n]
	p.rest = strings.TrimSpace(p.rest[n:])
	return word
}

// take takes a token if it comes next.
func (p *filterParser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = strings.TrimSpace(rest)
	}
	return ok
}

// value takes a string in double quotes, in which a backslash escapes.
func (p *filterParser) value() (string, error) {
	if !strings.HasPrefix(p.rest, `"`) {
		return "", fmt.Errorf("want a value in double quotes at %q", p.rest)
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = strings.TrimSpace(p.rest[i+1:])
			return b.String(), nil
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("a value does not end")
}

func (p *filterParser) comparison() (func(map[string]any) bool, error) {
	name := p.word()
	negated := name == "not"
	if negated {
		name = p.word()
	}
	if name == "" {
		return nil, fmt.Errorf("want a field at %q", p.rest)
	}
	operator := p.word()
	if operator == "in" && !p.take("(") {
		return nil, fmt.Errorf(`want "(" at %q`, p.rest)
	}
	var values []string
	for {
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		if operator != "in" || !p.take(",") {
			break
		}
	}
	if operator == "in" && !p.take(")") {
		return nil, fmt.Errorf(`want ")" at %q`, p.rest)
	}
	compare, ok := map[string]func(have, want string) bool{
		"in": func(have, want string) bool { return have == want },
		"=":  func(have, want string) bool { return have == want },
		"!=": func(have, want string) bool { return have != want },

		"contains": strings.Contains, "startsWith": strings.HasPrefix,
	}[operator]
	if !ok {
		return nil, fmt.Errorf("operator %q: want in, =, !=, contains or startsWith", operator)
	}
	return func(fields map[string]any) bool {
		have := lookUp(fields, name)
		return negated != slices.ContainsFunc(values, func(want string) bool { return compare(have, want) })
	}, nil
}

// lookUp finds a field of an event where it may be; "" if nowhere.
func lookUp(event map[string]any, name string) string {
	content, _ := event["content"].(map[string]any)
	fields, _ := content["fields"].(map[string]any)
	labels, _ := event["labels"].(map[string]any)
	for _, place := range []map[string]any{event, content, labels, fields} {
		if v, ok := place[name]; ok {
			return fmt.Sprint(v)
		}
	}
	return ""
}
