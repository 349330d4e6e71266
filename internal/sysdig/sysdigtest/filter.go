package sysdigtest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// matcher reports whether an event matches a filter.
type matcher func(e *event) bool

// parseFilter reads a filter of the events feeds by the EBNF of Sysdig's public
// OpenAPI (EventsFeedFilter): comparisons, each of which "not" may precede, joined by
// "and" and "or".
//
//	not severity in ("0","1") and host.hostName = "web-1" or freeText ="miner"
//
// The grammar has no parentheses around comparisons, no values without quotes, no
// blank behind a comma, and no other operators: contains, startsWith and exists are
// in the examples of Sysdig's MCP server, but a strict parser may refuse them.
// "and" binds closer than "or", which the EBNF leaves open.
func parseFilter(text string) (matcher, error) {
	if text == "" {
		return func(*event) bool { return true }, nil
	}
	p := filterParser{rest: text}
	alternatives := [][]matcher{nil} // each a list of which all must match
	for {
		one, err := p.element()
		if err != nil {
			return nil, err
		}
		last := len(alternatives) - 1
		alternatives[last] = append(alternatives[last], one)
		switch {
		case p.rest == "":
			return func(e *event) bool {
				return slices.ContainsFunc(alternatives, func(all []matcher) bool {
					return !slices.ContainsFunc(all, func(one matcher) bool { return !one(e) })
				})
			}, nil
		case p.take(" and "):
		case p.take(" or "):
			alternatives = append(alternatives, nil)
		default:
			return nil, fmt.Errorf(`expected " and " or " or " at %q`, p.rest)
		}
	}
}

type filterParser struct{ rest string }

// take takes a token if it comes next.
func (p *filterParser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

// value takes a string in double quotes, in which a backslash escapes.
func (p *filterParser) value() (string, error) {
	if !strings.HasPrefix(p.rest, `"`) {
		return "", fmt.Errorf("expected a value in double quotes at %q", p.rest)
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
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

// values takes a list of values in parentheses.
func (p *filterParser) values() ([]string, error) {
	p.take(" ")
	if !p.take("(") {
		return nil, fmt.Errorf(`expected "(" at %q`, p.rest)
	}
	var values []string
	for {
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		if p.take(",") || p.take(" ,") {
			continue
		}
		if !p.take(")") {
			return nil, fmt.Errorf(`expected ")" at %q`, p.rest)
		}
		return values, nil
	}
}

// operator takes a scalar operator.
func (p *filterParser) operator() (string, bool) {
	for _, o := range []string{"=", "!=", ">=", "<=", ">", "<"} {
		if p.take(o) {
			return o, true
		}
	}
	return "", false
}

func (p *filterParser) element() (matcher, error) {
	negated := p.take("not ")
	n := strings.IndexFunc(p.rest, func(r rune) bool { return !isAttribute(r) })
	if n <= 0 {
		return nil, fmt.Errorf("expected an attribute at %q", p.rest)
	}
	name := p.rest[:n]
	p.rest = p.rest[n:]
	compare, err := p.comparison(name)
	if err != nil {
		return nil, err
	}
	return func(e *event) bool { return negated != compare(e) }, nil
}

func (p *filterParser) comparison(name string) (matcher, error) {
	if name != freeText && p.take(" in") {
		values, err := p.values()
		return func(e *event) bool { return slices.Contains(values, lookUp(e.fields, name)) }, err
	}
	p.take(" ")
	operator, ok := p.operator()
	if !ok || name == freeText && operator != "=" && operator != "!=" {
		return nil, fmt.Errorf("%s: expected the operator =, !=, >, >=, <, <= or in at %q", name, p.rest)
	}
	if name != freeText {
		p.take(" ")
	}
	want, err := p.value()
	if name == freeText {
		return func(e *event) bool { return (operator == "=") == strings.Contains(string(e.raw), want) }, err
	}
	return func(e *event) bool { return compare(lookUp(e.fields, name), operator, want) }, err
}

// freeText is the attribute that searches the whole event.
const freeText = "freeText"

func isAttribute(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-[]", r)
}

// compare compares texts for equality, and numbers otherwise.
func compare(have, operator, want string) bool {
	switch operator {
	case "=":
		return have == want
	case "!=":
		return have != want
	}
	x, errX := strconv.ParseFloat(have, 64)
	y, errY := strconv.ParseFloat(want, 64)
	if errX != nil || errY != nil {
		return false
	}
	switch operator {
	case ">":
		return x > y
	case ">=":
		return x >= y
	case "<":
		return x < y
	default:
		return x <= y
	}
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
