package hooks_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/hooks"
	"firebreak/internal/incident"
)

func parse(t *testing.T, body string) *hooks.Template {
	t.Helper()
	template, err := hooks.Parse(body)
	require.NoError(t, err)
	return template
}

// event is what a hook is told of a containment.
func event() hooks.Event {
	e := hooks.Event{
		Moment: hooks.Contained, WorkflowID: "respond:r:node-1:6949e5f10829", RunID: "run-1", Playbook: "respond", Route: "r",
		State: "containing", Action: "KILL_PROCESS", Parameters: map[string]any{"process.id": 4711.0, "startTime": -1}, Evidence: []string{"a", "b"},
		Incident: incident.Incident{
			ID: "event-1", Rule: incident.Rule{Name: "Shell", Tags: []string{"T1059", "T1496"}}, Severity: 2,
			Host: incident.Host{Name: "node-1"}, Process: incident.Process{PID: 9007199254740993},
			Labels: map[string]string{"agent.tag.edr_id": "4711"},
		},
	}
	e.Incident.Derive()
	return e
}

func TestATemplateIsFilledInAsItsJSONSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"text within a string":      {`{"a": "{{.incident.rule.name}} on {{.incident.host.name}}"}`, `{"a": "Shell on node-1"}`},
		"text by itself":            {`{"a": {{.incident.rule.name}}}`, `{"a": "Shell"}`},
		"a number":                  {`[{{.incident.process.pid}}, "{{.incident.process.pid}}"]`, `[9007199254740993, "9007199254740993"]`},
		"a list":                    {`[{{.incident.rule.tags}}, "{{.incident.rule.tags}}"]`, `[["T1059","T1496"], "[\"T1059\",\"T1496\"]"]`},
		"a joined list":             {`["{{join ", " .incident.rule.tags}}", "{{join ", " .incident.actions}}"]`, `["T1059, T1496", ""]`},
		"parameters":                {`{{.parameters}}`, `{"process.id": 4711, "startTime": -1}`},
		"a label":                   {`{{index .incident.labels "agent.tag.edr_id"}}`, `"4711"`},
		"a label that is not":       {`[{{index .incident.labels "x"}}, "{{index .incident.labels "x"}}", {{index .incident.fields "x"}}]`, `[null, "", null]`},
		"a field that is not":       {`[{{.incident.container.id}}, "{{.incident.container.id}}"]`, `[null, ""]`},
		"a condition":               {`{{if le .incident.severity 3}}{"high": true}{{else}}{}{{end}}`, `{"high": true}`},
		"a condition on a moment":   {`{"a": "{{if eq .moment "contained"}}after {{.action}}{{end}}"}`, `{"a": "after KILL_PROCESS"}`},
		"a loop":                    {`[{{range $i, $tag := .incident.rule.tags}}{{if $i}},{{end}}"tag:{{$tag}}"{{end}}]`, `["tag:T1059", "tag:T1496"]`},
		"a variable":                {`{{$name := .incident.host.name}}{"a": "{{$name}}"}`, `{"a": "node-1"}`},
		"a part":                    {`{{define "host"}}"{{.name}}"{{end}}{"a": {{template "host" .incident.host}}}`, `{"a": "node-1"}`},
		"with":                      {`{{with .incident.container.id}}{{.}}{{else}}{"none": {{.moment}}}{{end}}`, `{"none": "contained"}`},
		"text that is put together": {`{"a": {{printf "%s/%s" .route .moment}}}`, `{"a": "r/contained"}`},
		"quotes in the template":    {`{"a\"b": "\"{{.route}}\"", "\\": {{.route}}}`, `{"a\"b": "\"r\"", "\\": "r"}`},
		"what is required":          {`{"a": "{{required .incident.host.name}}", "b": {{.incident.host.name | required}}}`, `{"a": "node-1", "b": "node-1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event()
			body, err := parse(t, tc.body).Render(&e)
			require.NoError(t, err)
			require.JSONEq(t, tc.want, string(body))
		})
	}
}

func TestTheDefaultBodyIsAllThereIsToTell(t *testing.T) {
	t.Parallel()
	e := event()
	body, err := parse(t, hooks.DefaultBody).Render(&e)
	require.NoError(t, err)
	var told struct {
		Moment     string
		WorkflowID string `json:"workflow_id"`
		Incident   struct{ Process struct{ PID json.Number } }
	}
	require.NoError(t, json.Unmarshal(body, &told))
	require.Equal(t, "contained", told.Moment)
	require.Equal(t, e.WorkflowID, told.WorkflowID)
	require.Equal(t, "9007199254740993", told.Incident.Process.PID.String())
}

// An attacker shapes much of an event: whatever is in it stays the text of one
// string.
func TestNoValueDrawsJSON(t *testing.T) {
	t.Parallel()
	hostile := []string{
		`", "admin": true, "x": "`, `\`, `\"`, `\", "admin": true, "x": "`, "\x00", "\x00\x00", "line\nbreak\r\t\x1b", "{{.incident}}", "</script>&",
		"\u2028\u2029", "\xff\xfe", `${HOME}`, `%s`, "null", "",
	}
	within := parse(t, `{"a": "x{{.incident.rule.name}}y{{.incident.output}}z", "b": "{{.route}}"}`)
	beside := parse(t, `{"a": {{.incident.rule.name}}, "b": {{.route}}, "c": [{{.incident.output}}]}`)
	inText := parse(t, `{"a": "{{.incident}}", "b": "{{.route}}"}`)
	inName := parse(t, `{"key-{{.incident.rule.name}}": 1, "b": "{{.route}}"}`)
	for _, value := range hostile {
		e := event()
		e.Incident.Rule.Name, e.Incident.Output = value, value
		clean := string([]rune(value)) // as JSON has it, where it is no UTF-8
		for template, want := range map[*hooks.Template]map[string]any{
			within: {"a": "x" + clean + "y" + clean + "z", "b": "r"},
			beside: {"a": any(clean), "b": "r", "c": []any{clean}},
			inName: {"key-" + clean: 1.0, "b": "r"},
		} {
			if value == "" && template == beside {
				continue // absent
			}
			body, err := template.Render(&e)
			require.NoError(t, err, "%q", value)
			var got map[string]any
			require.NoError(t, json.Unmarshal(body, &got), "%s", body)
			require.Equal(t, want, got, "%q", value)
		}
		body, err := inText.Render(&e)
		require.NoError(t, err)
		var got struct{ A, B string }
		require.NoError(t, json.Unmarshal(body, &got))
		var nested struct{ Rule incident.Rule }
		require.NoError(t, json.Unmarshal([]byte(got.A), &nested))
		require.Equal(t, clean, nested.Rule.Name)
		require.Equal(t, "r", got.B)
	}
}

func TestWhatIsRequiredAndAbsentIsAnError(t *testing.T) {
	t.Parallel()
	e := event()
	_, err := parse(t, `{"ids": ["{{required .incident.container.id}}"]}`).Render(&e)
	require.ErrorContains(t, err, "<required .incident.container.id>: error calling required: it is not in the incident")
	_, err = parse(t, `{"ids": ["{{index .incident.labels "x" | required}}"]}`).Render(&e)
	require.ErrorContains(t, err, "it is not in the incident")
}

func TestATemplateThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"syntax":                           {`{"a": {{.moment`, `unclosed action`},
		"a function":                       {`{{env "HOME"}}`, `function "env" not defined`},
		"a field":                          {`{"a": "{{.incident.container.nam}}"}`, `<.incident.container.nam>: map has no entry for key "nam"`},
		"no JSON":                          {"{\"a\": \"b\",\n{{.moment}}", `what it renders is no JSON: line 2: unexpected end of JSON input`},
		"no JSON without most fields":      {`{{with .incident.container.id}}"{{.}}"{{end}}`, `over an incident that lacks most fields: what it renders is no JSON`},
		"two documents":                    {`{} {}`, `what it renders is no JSON`},
		"a backslash before a value":       {`{"a": "C:\{{.moment}}"}`, `a backslash stands before {{: want it doubled`},
		"NUL":                              {"{\"a\": \"\x00\"}", `it holds a NUL character`},
		"a list that is none":              {`"{{join "," .moment}}"`, `string is no list`},
		"an index into what may be absent": {`{"a": "{{index .incident.rule.tags 0}}"}`, `over an incident that lacks most fields: `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := hooks.Parse(tc.body)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestParametersKeepLargeNumbers(t *testing.T) {
	t.Parallel()
	var e hooks.Event
	require.NoError(t, json.Unmarshal([]byte(`{"parameters":{"startTime":1796130000123456789}}`), &e))
	body, err := parse(t, `{{.parameters}}`).Render(&e)
	require.NoError(t, err)
	require.JSONEq(t, `{"startTime":1796130000123456789}`, string(body))
	require.Contains(t, string(body), "1796130000123456789")
}
