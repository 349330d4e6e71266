package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// DefaultBody is the whole [Event].
const DefaultBody = "{{.}}"

// Template is JSON with actions of text/template in it, over an [Event] in the
// names of its JSON. An action within a string of the JSON adds text to it, and
// anywhere else it is a value:
//
//	{"summary": "{{.incident.rule.name}} on {{.incident.host.name}}", "pid": {{.incident.process.pid}}, "all": {{.incident}}}
//
// What is absent adds nothing to a string, and is null anywhere else; required
// refuses it. Whatever a value holds, it stays text of its string or one value:
// the template alone draws the JSON, and what it writes is filled in last.
type Template struct{ text *template.Template }

const (
	// hole is what an action leaves in the JSON until its value is filled in. It
	// cannot stand in a template.
	hole = "\x00"
	// filler is the function that every action ends with.
	filler = "_fill"
)

// Parse parses a template, and renders it over two incidents, one with all there
// can be and one with next to nothing: both must come out as JSON. A field that
// no incident has is an error.
func Parse(body string) (*Template, error) {
	if strings.Contains(body, hole) {
		return nil, errors.New("it holds a NUL character, which is no JSON; want it without")
	}
	text, err := template.New("body").Funcs(functions(nil, false)).Parse(body)
	if err != nil {
		return nil, err
	}
	for _, t := range text.Templates() {
		if t.Tree != nil {
			fill(t.Root)
		}
	}
	t := &Template{text: text}
	full, bare := sample(), Event{Moment: Opened, Evidence: []string{}}
	if _, err := t.render(&full, "missingkey=error", true); err != nil {
		return nil, err
	}
	if _, err := t.render(&bare, "missingkey=default", true); err != nil {
		return nil, fmt.Errorf("over an incident that lacks most fields: %w", err)
	}
	return t, nil
}

// Render is the JSON of an event.
func (t *Template) Render(e *Event) ([]byte, error) { return t.render(e, "missingkey=default", false) }

// render renders the template. In a trial, what is required and absent is there.
func (t *Template) render(e *Event, missing string, trial bool) ([]byte, error) {
	data, err := dataOf(e)
	if err != nil {
		return nil, err
	}
	var values []any
	text, err := t.text.Clone()
	if err != nil {
		return nil, fmt.Errorf("prepare the body: %w", err)
	}
	var drawn bytes.Buffer
	if err := text.Option(missing).Funcs(functions(&values, trial)).Execute(&drawn, data); err != nil {
		return nil, err
	}
	body, err := filled(drawn.Bytes(), values)
	if err != nil {
		return nil, err
	}
	if err := valid(body); err != nil {
		return nil, err
	}
	return body, nil
}

// functions are those of templates beside text/template's own. What actions
// write is collected in values.
func functions(values *[]any, trial bool) template.FuncMap {
	return template.FuncMap{
		filler: func(v any) string {
			*values = append(*values, v)
			return hole
		},
		"required": func(v any) (any, error) {
			if absent := v == nil || v == ""; !absent {
				return v, nil
			}
			if trial {
				return "text", nil
			}
			return nil, errors.New("it is not in the incident")
		},
		"join": func(separator string, list any) (string, error) {
			var all []string
			of := reflect.ValueOf(list)
			if list == nil {
				return "", nil
			}
			if of.Kind() != reflect.Slice {
				return "", fmt.Errorf("%T is no list", list)
			}
			for i := range of.Len() {
				all = append(all, fmt.Sprint(of.Index(i).Interface()))
			}
			return strings.Join(all, separator), nil
		},
	}
}

// fill has every action below a node end with the filler, as html/template does
// with its escapers.
func fill(node parse.Node) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			fill(child)
		}
	case *parse.ActionNode:
		if len(n.Pipe.Decl) == 0 { // an assignment writes nothing
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{
				NodeType: parse.NodeCommand, Pos: n.Pos,
				Args: []parse.Node{parse.NewIdentifier(filler).SetTree(nil).SetPos(n.Pos)},
			})
		}
	case *parse.IfNode:
		fill(n.List)
		fill(n.ElseList)
	case *parse.RangeNode:
		fill(n.List)
		fill(n.ElseList)
	case *parse.WithNode:
		fill(n.List)
		fill(n.ElseList)
	}
}

// filled puts the values into the holes: within a string as its text, and
// anywhere else as JSON.
func filled(drawn []byte, values []any) ([]byte, error) {
	var body bytes.Buffer
	text, escaped := false, false // within a string, and behind a backslash in it
	for _, c := range drawn {
		switch {
		case c == hole[0]:
			value := values[0]
			values = values[1:]
			encoded, err := encode(value)
			if err != nil {
				return nil, err
			}
			if escaped {
				return nil, errors.New(`a backslash stands before {{: want it doubled`)
			}
			if text {
				if encoded, err = within(value, encoded); err != nil {
					return nil, err
				}
			}
			body.Write(encoded)
			continue
		case escaped:
			escaped = false
		case text && c == '\\':
			escaped = true
		case c == '"':
			text = !text
		}
		body.WriteByte(c)
	}
	return body.Bytes(), nil
}

// within is a value as text of a string: text as it is, nothing for what is
// absent, and the JSON of anything else.
func within(value any, encoded []byte) ([]byte, error) {
	switch value.(type) {
	case nil:
		return nil, nil
	case string:
	default:
		var err error
		if encoded, err = encode(string(encoded)); err != nil {
			return nil, err
		}
	}
	return encoded[1 : len(encoded)-1], nil
}

func encode(value any) ([]byte, error) {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encode a value: %w", err)
	}
	return bytes.TrimRight(encoded.Bytes(), "\n"), nil
}

// valid says where a body is no JSON, without quoting more of it than a
// character.
func valid(body []byte) error {
	var syntax *json.SyntaxError
	var anything json.RawMessage
	err := json.Unmarshal(body, &anything)
	if errors.As(err, &syntax) {
		line := bytes.Count(body[:min(int(syntax.Offset), len(body))], []byte("\n")) + 1
		return fmt.Errorf("what it renders is no JSON: line %d: %w", line, err)
	}
	if err != nil {
		return fmt.Errorf("what it renders is no JSON: %w", err)
	}
	return nil
}

// dataOf is an event in the names of its JSON. Whole numbers are integers, which
// templates can compare, and labels and fields are there even if they are empty,
// so that index finds nothing in them instead of failing.
func dataOf(e *Event) (map[string]any, error) {
	encoded, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the event: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var data map[string]any
	if err := decoder.Decode(&data); err != nil {
		return nil, fmt.Errorf("decode the event: %w", err)
	}
	numbers(data)
	event := data["incident"].(map[string]any)
	for _, of := range []struct {
		name string
		in   map[string]any
	}{{"labels", event}, {"fields", event}, {"parameters", data}} {
		if of.in[of.name] == nil {
			of.in[of.name] = map[string]any{}
		}
	}
	return data, nil
}

// numbers replaces the numbers in a document.
func numbers(document any) any {
	switch v := document.(type) {
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		if number, err := v.Float64(); err == nil {
			return number
		}
	}
	return document
}

// sample is an event with a value in every field.
func sample() Event {
	e := Event{
		Moment: Closed, WorkflowID: "respond:files:node-1:6949e5f10829", RunID: "01982f2e-0000-7000-8000-000000000001",
		Playbook: "respond", Route: "files", State: "contained", Outcome: "contained",
		Action: "KILL_CONTAINER", Parameters: map[string]any{"container.id": "6949e5f10829"},
		Evidence: []string{"manifest.json"}, Link: "https://temporal.example.com",
	}
	populate(reflect.ValueOf(&e.Incident).Elem())
	e.Incident.Severity = 3
	e.Incident.Derive()
	return e
}

// populate puts something into everything that holds text or a number.
func populate(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			populate(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		populate(v.Index(0))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"name": "value"}))
	case reflect.String:
		v.SetString("text")
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	}
}
