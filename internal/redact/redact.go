// Package redact takes out of events what nobody is to read: passwords on
// command lines, and whatever else a configuration describes. It is done where
// text comes in, so that no history, journal, evidence or notification has ever
// had it.
//
// Names are left as they are: those of hosts, containers, workloads, accounts,
// users and rules, and the event's ID. Incidents are told apart by them, routes
// and protected targets look at them, and actions are carried out on them.
package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"firebreak/internal/incident"
)

// Mark stands for what was taken out. Redacting it again leaves it as it is.
const Mark = "[redacted]"

// Secrets is the rule that stands for a set of patterns: see secrets.
const Secrets = "secrets"

// Redactor redacts by some rules. One without rules changes nothing. It is safe
// for concurrent use.
type Redactor struct{ patterns []pattern }

// pattern is a rule's.
type pattern struct {
	*regexp.Regexp

	// words are those of which a text has one if it matches, in lower case; none if
	// that is not known.
	words []string
}

// maybe reports whether a text may match. An expression is slow, however little
// it finds.
func (p *pattern) maybe(text string) bool {
	if p.words == nil {
		return true
	}
	text = strings.ToLower(text)
	return slices.ContainsFunc(p.words, func(word string) bool { return strings.Contains(text, word) })
}

// RuleError is a rule that is none.
type RuleError struct {
	// Index is the rule's in the list, from 0.
	Index int
	Err   error
}

// Error says what is wrong with the rule.
func (e *RuleError) Error() string { return fmt.Sprintf("redact[%d]: %s", e.Index, e.Err) }

// Unwrap is what is wrong.
func (e *RuleError) Unwrap() error { return e.Err }

// New reads rules: [Secrets], or a regular expression (RE2). What the groups of
// an expression match is taken out; all of the match if it has none. Each part of
// the error is a *[RuleError].
func New(rules []string) (*Redactor, error) {
	r := &Redactor{}
	var problems []error
	for i, rule := range rules {
		var words []string
		if rule == Secrets {
			rule, words = strings.Join(secrets(), "|"), telling()
		}
		compiled, err := regexp.Compile(rule)
		switch {
		case err != nil:
			problems = append(problems, &RuleError{i, fmt.Errorf("%w; want %s or a regular expression (RE2)", err, Secrets)})
		case compiled.MatchString(""):
			problems = append(problems, &RuleError{i, errors.New("it matches nothing at all, and so between any two letters; want an expression of what is to be taken out")})
		default:
			r.patterns = append(r.patterns, pattern{compiled, words})
		}
	}
	return r, errors.Join(problems...)
}

// none reports whether there is nothing to do.
func (r *Redactor) none() bool { return r == nil || len(r.patterns) == 0 }

// Text redacts a text.
func (r *Redactor) Text(text string) string {
	if r.none() {
		return text
	}
	for i := range r.patterns {
		if p := &r.patterns[i]; p.maybe(text) {
			text = replace(p.Regexp, text)
		}
	}
	return text
}

func replace(pattern *regexp.Regexp, text string) string {
	matches := pattern.FindAllStringSubmatchIndex(text, -1)
	if len(matches) == 0 {
		return text
	}
	var out strings.Builder
	last := 0
	for _, match := range matches {
		spans := match
		if len(spans) > 2 {
			spans = spans[2:]
		}
		for i := 0; i < len(spans); i += 2 {
			if begin, end := spans[i], spans[i+1]; begin >= last && end > begin { // a group within one is taken out with it
				out.WriteString(text[last:begin])
				out.WriteString(Mark)
				last = end
			}
		}
	}
	out.WriteString(text[last:])
	return out.String()
}

// unlike is any value that a rule is about.
const unlike = "\x00"

// names reports whether a name tells that its value is a secret, whatever it is:
// {"password": "hunter2"}. All of the value is one then.
func (r *Redactor) names(name string) bool {
	return name != "" && r.Text(name+"="+unlike) == name+"="+Mark
}

// pair redacts a value that has a name.
func (r *Redactor) pair(name, value string) string {
	if value != "" && r.names(name) {
		return Mark
	}
	return r.Text(value)
}

// Incident redacts an incident in place, but for its names.
func (r *Redactor) Incident(i *incident.Incident) {
	if r.none() {
		return
	}
	for _, text := range []*string{
		&i.Output, &i.EventURL, &i.Process.Name, &i.Process.Cmdline, &i.Process.Cwd, &i.Process.Exe, &i.Process.Parent, &i.File.Path,
	} {
		*text = r.Text(*text)
	}
	for _, values := range []map[string]string{i.Labels, i.Fields} {
		for name, value := range values {
			values[name] = r.pair(name, value)
		}
	}
	for n := range i.Actions {
		i.Actions[n].Error, i.Actions[n].Token = r.Text(i.Actions[n].Error), r.Text(i.Actions[n].Token)
	}
}

// Events redacts events in place: their incidents, and the elements as they were
// sent.
func (r *Redactor) Events(events []incident.Event) {
	if r.none() {
		return
	}
	for i := range events {
		r.Incident(&events[i].Incident)
		events[i].Raw = r.JSON(events[i].Raw)
	}
}

// JSON redacts the texts of a JSON value. What is no JSON becomes a text.
func (r *Redactor) JSON(raw json.RawMessage) json.RawMessage {
	if r.none() {
		return raw
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // it is kept as it is written
	var value any
	if err := decoder.Decode(&value); err != nil {
		value = string(raw)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(r.Value(value)) // what was decoded from JSON can be encoded
	return bytes.TrimRight(out.Bytes(), "\n")
}

// Value redacts the texts of a value that was decoded from JSON.
func (r *Redactor) Value(value any) any {
	if r.none() {
		return value
	}
	return r.value("", value)
}

// value redacts a value that has a name, "" for none.
func (r *Redactor) value(name string, value any) any {
	switch value := value.(type) {
	case string:
		return r.pair(name, value)
	case json.Number, float64:
		if r.names(name) {
			return Mark
		}
		return value
	case map[string]any:
		return r.object(value)
	case []any:
		kept := make([]any, len(value))
		for i, inner := range value {
			kept[i] = r.value(name, inner)
			if i == 0 {
				continue
			}
			// ["--password", "hunter2"] is a command line, too.
			flag, _ := value[i-1].(string)
			if text, is := inner.(string); is && text != "" && strings.HasPrefix(flag, "-") && r.Text(flag+" "+unlike) == flag+" "+Mark {
				kept[i] = Mark
			}
		}
		return kept
	default:
		return value
	}
}

func (r *Redactor) object(object map[string]any) map[string]any {
	kept := make(map[string]any, len(object))
	for name, inner := range object {
		kept[name] = r.value(name, inner)
	}
	// {"name": "PASSWORD", "value": "hunter2"}, as Kubernetes has variables.
	for _, key := range []string{"name", "key"} {
		if name, is := object[key].(string); is && object["value"] != nil {
			kept["value"] = r.value(name, object["value"])
		}
	}
	return kept
}
