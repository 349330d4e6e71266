package incident_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

// seeds are the payloads, and bodies whose kinds of values are not the
// documented ones.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*s/*") // payloads and cases
	require.NoError(t, err)
	var all [][]byte
	for _, path := range paths {
		body, err := os.ReadFile(path)
		require.NoError(t, err)
		all = append(all, body)
	}
	for _, body := range []string{
		`{"type":"policy","originator":1,"content":{"fields":[1],"ruleTags":"x"},"labels":7,"severity":"3","timestamp":1e99,"agentId":[]}`,
		`{"alert":{},"state":1,"entities":{"policyEvents":[]}}`,
		`{"policyId":[],"fields":[1,{"key":1,"value":{}},{"key":"a"}],"eventLabels":[{}]}`,
		`{"id":{},"timestamp":"1e3","content":{"type":"x","fields":{"a":{"b":{"c":1}},"a.b":{"c":2}},"ruleType":[6]}}`,
		`{"rule":"","priority":"INFO","output_fields":{"evt.time":-1,"a.b":null},"time":7,"tags":[{}]}`,
		`{"content.fields.a.b":1,"content":{"fields":7},"a{}":1,"a{}.b":[1,2],"a{}.c":3,"..":{},"x.":1,".x":2}`,
		`[{"a":"\ud800"},"\\"`,
		`{"message":"{\"_raw\":\"{\\\"log\\\":\\\"[]\\\"}\"}","fields":{"event.original":["[{}]\n{}"]}}`,
	} {
		all = append(all, []byte(body))
	}
	return all
}

// Whatever the body, Parse gives the same events again, each recognised by one
// adapter only, with an ID and within the bounds; or says where the body is
// malformed.
func FuzzParse(f *testing.F) {
	for _, body := range seeds(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := incident.Parse(body)
		if err != nil {
			require.Empty(t, events)
			var malformed *incident.MalformedError
			require.ErrorAs(t, err, &malformed)
			require.True(t, malformed.Offset >= 0 && malformed.Offset <= int64(len(body)), "offset %d of %d bytes", malformed.Offset, len(body))
			return
		}
		for i := range events {
			requireSound(t, &events[i])
			recognisers, err := incident.Recognisers(events[i].Raw)
			require.NoError(t, err)
			require.LessOrEqual(t, len(recognisers), 1, "%s", recognisers)
		}
		again, err := incident.Parse(body)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(events, again), "the same body is the same events")
	})
}

// Around a message there may be any document, and in a text any message: the
// document does not hide the message, and the text holds what it would hold as
// a body of its own.
func FuzzUnwrap(f *testing.F) {
	for _, body := range seeds(f) {
		f.Add(body, []byte("_raw"))
		f.Add([]byte(`{"hits":{"hits":[{"_source":{"a":1}}]}}`), body)
	}
	const message = `{"id":"the message","type":"policy","originator":"policy","content":{"ruleName":"r"}}`
	f.Fuzz(func(t *testing.T, around, inside []byte) {
		var document map[string]json.RawMessage
		if json.Unmarshal(around, &document) == nil && document != nil {
			document["payload"] = json.RawMessage(message)
			body, err := json.Marshal(document)
			require.NoError(t, err)
			if known, err := incident.Recognisers(body); err == nil && len(known) == 0 && len(around) < 64<<10 {
				events, err := incident.Parse(body)
				if err == nil {
					require.Contains(t, identities(events), "the message")
				}
			}
		}
		if !utf8.Valid(inside) {
			return // a text of JSON cannot hold it
		}
		body, err := json.Marshal(map[string]string{"_raw": string(inside)})
		require.NoError(t, err)
		wrapped, err := incident.Parse(body)
		require.NoError(t, err)
		for i := range wrapped {
			requireSound(t, &wrapped[i])
		}
		direct, err := incident.Parse(inside)
		if err != nil || len(direct) > 1000 || len(direct) > 1 && !looksLikeJSON(inside) {
			return // a text holds one message behind a log header, and a body several
		}
		require.Subset(t, identities(direct), identities(wrapped))
		require.Subset(t, identities(wrapped), identities(slices.DeleteFunc(direct, func(e incident.Event) bool { return e.Path != "" })))
	})
}

// A router takes any condition or says what is wrong with it, and any incident
// is matched within the bounds of cost.
func FuzzRouter(f *testing.F) {
	fixed, err := incident.NewRouter([]incident.Route{
		route("severity", `incident.severity <= 3 && incident.priority in ["critical", "high"]`),
		route("label", `incident.labels["team"] == "red"`),
		route("label if there", `"team" in incident.labels && incident.labels["team"].startsWith("r")`),
		route("regex", `incident.process.cmdline.matches("(a*)*b|stratum2?[+](tcp|ssl)")`),
		route("regex of the event", `incident.output.matches(incident.process.name)`),
		route("all fields", `incident.fields.all(k, incident.fields[k].size() < 4096)`),
		route("cubic", `incident.labels.exists(a, incident.labels.exists(b, incident.labels.exists(c, a + b + c == "x")))`),
		route("tags", `incident.rule.tags.exists(t, t.contains("T1496"))`),
		route("actions", `incident.actions.exists(a, !a.successful && a.error != "")`),
		route("time", `incident.occurred_at.getFullYear() > 2024 && incident.occurred_at - duration("1h") > timestamp("2020-01-01T00:00:00Z")`),
		route("division", `1 / incident.process.pid > 0`),
		route("presence", `has(incident.host.id) || !has(incident.container.id)`),
		route("rest", "true"),
	})
	require.NoError(f, err)
	f.Add(`incident.severity <= 3`, []byte(`{"labels":{"a":"b"}}`))
	f.Add(`incident.labels["a"] == "b"`, []byte(`{"labels":{"team":"red"},"severity":7,"output":"(((","process":{"name":"((","pid":-1}}`))
	f.Add(`incident.process.cmdline.matches("(a*)*b")`, []byte(`{"process":{"cmdline":"aaaaaaaaaaaaaaaaaaaa"}}`))
	f.Add(`incident.rule.tags.exists(t, t.size() / (incident.severity - incident.severity) > 1)`, []byte(`{"rule":{"tags":["x"]}}`))
	f.Add(`incident.occurred_at - duration("1h") > timestamp("x")`, []byte(`{"occurred_at":"2024-07-03T18:23:21Z"}`))
	f.Add(`incident.fields.map(k, incident.fields[k]).size() > 3`, []byte(`{"fields":{"a":"b"},"actions":[{"type":"x"}]}`))
	f.Add("((((((((", []byte(`null`))
	f.Fuzz(func(t *testing.T, condition string, body []byte) {
		var i incident.Incident
		if json.Unmarshal(body, &i) != nil {
			i = incident.Incident{}
		}
		match, verdicts := fixed.Match(&i)
		require.NotNil(t, match)
		require.Len(t, verdicts, 13)

		r, err := incident.NewRouter([]incident.Route{route("fuzz", condition), route("rest", "true")})
		if err != nil {
			var problem *incident.RouteError
			require.ErrorAs(t, err, &problem)
			return
		}
		match, verdicts = r.Match(&i)
		require.NotNil(t, match)
		require.Len(t, verdicts, 2)
	})
}

// requireSound checks what holds for every event.
func requireSound(t *testing.T, e *incident.Event) {
	t.Helper()
	require.LessOrEqual(t, len(e.Path), 1024)
	if e.Adapter == "" || e.Ignored != "" {
		require.Empty(t, cmp.Diff(incident.Incident{}, e.Incident))
		return
	}
	i := &e.Incident
	require.NotEmpty(t, i.ID)
	require.True(t, i.Severity.Valid())
	require.Equal(t, i.Severity.Label(), i.SeverityLabel)
	require.NotEqual(t, "host", i.Container.ID)
	for _, path := range incident.FieldPaths() {
		value, _ := i.Field(path)
		require.LessOrEqual(t, len(value), 4096, path)
		require.NotEqual(t, "<NA>", value, path)
	}
	for _, entries := range []map[string]string{i.Labels, i.Fields} {
		require.LessOrEqual(t, len(entries), 256)
		for k, v := range entries {
			require.LessOrEqual(t, len(k), 256)
			require.LessOrEqual(t, len(v), 4096)
		}
	}
	require.LessOrEqual(t, len(i.Rule.Tags), 256)
	for _, tag := range i.Rule.Tags {
		require.LessOrEqual(t, len(tag), 4096)
	}
	require.LessOrEqual(t, len(i.Actions), 256)
	for _, a := range i.Actions {
		require.LessOrEqual(t, max(len(a.Type), len(a.Error), len(a.Token)), 4096)
	}
	_, err := json.Marshal(i)
	require.NoError(t, err)
}

func looksLikeJSON(text []byte) bool {
	text = bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

// identities are the IDs of the incidents among events.
func identities(events []incident.Event) []string {
	ids := []string{}
	for i := range events {
		if events[i].Adapter != "" && events[i].Ignored == "" {
			ids = append(ids, events[i].Incident.ID)
		}
	}
	return ids
}
