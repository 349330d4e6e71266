package incident_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

// miner is the forwarder's event of the Stratum rule, in one line.
func miner(t testing.TB) string {
	t.Helper()
	events, err := incident.Parse(payload(t, "forwarder-stratum-batch.json"))
	require.NoError(t, err)
	var line bytes.Buffer
	require.NoError(t, json.Compact(&line, events[0].Raw))
	return line.String()
}

// quoted is s as a JSON string.
func quoted(s string) string {
	text, _ := json.Marshal(s) // a string always encodes
	return string(text)
}

// An event counts once whichever way it came, so it must be the same one.
func TestTheSameEventIsTheSameIncidentOnEveryWay(t *testing.T) {
	t.Parallel()
	event := miner(t)
	want := one(t, []byte(event))
	for path, body := range map[string]string{
		"array":                       "[" + event + "]",
		"NDJSON":                      event + "\n" + `{"type":"command","agentId":1}` + "\n",
		"result._raw":                 `{"result":{"_raw":` + quoted(event) + `,"source":"http:sysdig","host":"h"},"sid":"1","search_name":null}`,
		"_source.event.original":      `{"_source":{"event":{"original":` + quoted(event) + `,"kind":"alert"},"message":"m","tags":["a"]}}`,
		"hits.hits[0]._source.sysdig": `{"hits":{"total":1,"hits":[{"_source":{"sysdig":` + event + `}}]}}`,
		"data.events[1]":              `{"data":{"events":[{"id":"other"},` + event + `]}}`,
		"payload":                     `{"payload":` + quoted("[ "+event+" ]\n") + `}`,
		"Records[0].body":             `{"Records":[{"body":` + quoted(`{"Message":`+quoted(event)+`}`) + `}]}`,
		"event":                       `{"time":1720031001,"host":"h","event":` + event + `}`,
		"log":                         `{"log":` + quoted(event+"\n") + `,"stream":"stdout"}`,
	} {
		events, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(*want, events[0].Incident), path)
		require.Equal(t, "sysdig-forwarder", events[0].Adapter)
		switch path {
		case "array", "NDJSON":
			require.Empty(t, events[0].Path)
		case "payload":
			require.Equal(t, "payload[0]", events[0].Path)
		case "Records[0].body":
			require.Equal(t, "Records[0].body.Message", events[0].Path)
		default:
			require.Equal(t, path, events[0].Path)
		}
		if events[0].Path != "" {
			require.Len(t, events, 1)
			require.Equal(t, body, string(events[0].Raw), "Raw is the document around it")
		}
	}
}

func TestAFlattenedRowIsTheEventItWasMadeOf(t *testing.T) {
	t.Parallel()
	events, err := incident.Parse(payload(t, "splunk-flattened.json"))
	require.NoError(t, err)
	require.Len(t, events, 1)
	got, want := events[0].Incident, *one(t, []byte(miner(t)))
	require.Len(t, got.Actions, 2)
	require.Equal(t, "1720031001000000000", got.Fields["proc.pid.ts"], "beside proc.pid")
	require.EqualValues(t, 1720031001000000000, got.Process.StartTime)
	got.Actions, want.Actions, got.Process.StartTime = nil, nil, 0
	delete(got.Fields, "proc.pid.ts")
	require.Empty(t, cmp.Diff(want, got))
}

// What Splunk's field extraction and Elasticsearch's fields option make of an
// event: columns of actions, values that are there twice, arrays of one.
func TestTheValuesOfARowAreReadAsTheFieldsTheyAre(t *testing.T) {
	t.Parallel()
	i := one(t, []byte(`{
		"id":["1","1"], "type":["policy"], "originator":"policy", "machineId":"42:01:0a:80:00:05", "severity":["5","3"],
		"source":["http:sysdig","syscall"], "content.ruleName":"r", "content.ruleTags{}":["host","process","host"],
		"content.fields.ct.user":"eve", "content.fields.ct.user.accountid":"111122223333", "content.fields.proc.aname[2]":"sh",
		"labels.host.hostName":"node-1", "labels.host.hostName.x":"y",
		"actions{}.type":["a","b"], "actions{}.successful":["false","true"], "actions{}.errMsg":"whose?"}`))
	require.Equal(t, "1", i.ID)
	require.EqualValues(t, 3, i.Severity)
	require.Equal(t, "syscall", i.Source)
	require.Equal(t, []string{"host", "process"}, i.Rule.Tags)
	require.Equal(t, map[string]string{"ct.user": "eve", "ct.user.accountid": "111122223333", "proc.aname[2]": "sh"}, i.Fields)
	require.Equal(t, map[string]string{"host.hostName": "node-1", "host.hostName.x": "y"}, i.Labels)
	require.Equal(t, []incident.PolicyAction{{Type: "a"}, {Type: "b", Successful: true}}, i.Actions)

	i = one(t, []byte(`{"rule":"r","priority":"Error","time":"2026-05-25T13:44:05.1Z","source":"syscall","tags{}":"host","output_fields.proc.name":"sh"}`))
	require.Equal(t, []string{"host"}, i.Rule.Tags)
	require.Equal(t, "sh", i.Process.Name)
}

func TestWhatIsThereTwiceCountsOnceAsItWasReceived(t *testing.T) {
	t.Parallel()
	event := miner(t)
	parsed := strings.Replace(event, `"policyId":10011704,`, ``, 1)
	require.NotEqual(t, event, parsed)
	for name, tc := range map[string]struct{ body, path string }{
		"parts before the text": {`{"data":` + parsed + `,"event":{"original":` + quoted(event) + `}}`, "event.original"},
		"parts after the text":  {`{"event":{"original":` + quoted(event) + `},"sysdig":` + parsed + `}`, "event.original"},
		"a row and its text":    {`{"result":{"id":"x","type":"policy","originator":"policy","content.ruleName":"r","_raw":` + quoted(event) + `}}`, "result._raw"},
		"twice the same":        {`{"events":[` + event + `,` + event + `]}`, "events[0]"},
		"twice the same text":   {`{"message":` + quoted(event) + `,"raw":` + quoted(event) + `}`, "message"},
	} {
		events, err := incident.Parse([]byte(tc.body))
		require.NoError(t, err)
		require.Len(t, events, 1, name)
		require.Equal(t, tc.path, events[0].Path, name)
		require.Equal(t, "10011704", events[0].Incident.Policy.ID, name)
	}
	audit := `{"type":"audittrail","id":"a","timestampRFC3339Nano":""}`
	events, err := incident.Parse([]byte(`{"event":` + audit + `,"raw":` + quoted(audit) + `,"data":{"type":"audittrail","id":"b","timestampRFC3339Nano":""}}`))
	require.NoError(t, err)
	require.Len(t, events, 2, "what is ignored counts once too")
	events, err = incident.Parse([]byte(`{"message":` + quoted(event) + `,"events":[` + string(payload(t, "event-miner-ml.json")) + `]}`))
	require.NoError(t, err)
	require.Len(t, events, 2, "another event is not lost for the text")
}

func TestOnlyWhatIsRecognisedCountsInADocument(t *testing.T) {
	t.Parallel()
	events, err := incident.Parse([]byte(`{"data":[{"x":1},"text","{",7,null,` + miner(t) + `,[{"type":"command","agentId":1}]],"alert":{"name":"x"}}`))
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, "data[5]", events[0].Path)
	require.Equal(t, "data[6][0]", events[1].Path)
	require.NotEmpty(t, events[1].Ignored)
}

// What people, commands and other systems write is not searched, nor a text
// that is only in part JSON: else anybody could plant an event.
func TestAPlantedEventIsNotFound(t *testing.T) {
	t.Parallel()
	event := miner(t)
	for name, body := range map[string]string{
		"a key of no wrapper":          `{"note":` + event + `}`,
		"a text of no wrapper":         `{"cmdline":` + quoted(event) + `}`,
		"a text around it":             `{"message":` + quoted("run: "+event) + `}`,
		"a text behind it":             `{"message":` + quoted(event+" done") + `}`,
		"a number beside it":           `{"message":` + quoted(event+" 1") + `}`,
		"inside a recognised message":  `{"type":"command","agentId":1,"message":` + quoted(event) + `}`,
		"inside a row":                 `{"rule":"r","priority":"Error","time":"t","source":"s","output_fields.a.b":"x","message":` + quoted(event) + `}`,
		"a text that nests too deep":   `{"message":` + quoted(`{"a":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)+`,"event":`+event+`}`) + `}`,
		"a text of a text that is one": `{"message":` + quoted(quoted(event)) + `}`,
	} {
		events, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.NotEqual(t, "18000000000000000000000000000001", events[0].Incident.ID, name)
	}
}

func TestTheDepthOfASearchIsBoundedAndHidesNothing(t *testing.T) {
	t.Parallel()
	event := miner(t)
	within := func(levels int) string {
		return strings.Repeat(`{"data":`, levels) + event + strings.Repeat("}", levels)
	}
	texts := func(times int) string {
		text := event
		for range times {
			text = `{"message":` + quoted(text) + `}`
		}
		return text
	}
	for body, found := range map[string]bool{within(32): true, within(33): false, texts(4): true, texts(5): false} {
		events, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, found, events[0].Adapter != "", "%.60s", body)
		both, err := incident.Parse([]byte(`{"alert":` + body + `,"event":` + string(payload(t, "event-miner-ml.json")) + `}`))
		require.NoError(t, err)
		require.Contains(t, identities(both), "1a334cdef0060123456789abcdef64ab")
	}
}

func TestADocumentOfTooManyMessagesStaysWhole(t *testing.T) {
	t.Parallel()
	document := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"type":"command","agentId":1,"id":"%d"}`, i)
		}
		return []byte(`{"data":[` + b.String()[1:] + `]}`)
	}
	events, err := incident.Parse(document(10_000))
	require.NoError(t, err)
	require.Equal(t, 10_000, len(events)) // not Len, which prints them all
	events, err = incident.Parse(document(10_001))
	require.NoError(t, err)
	require.Equal(t, 1, len(events))
	require.Empty(t, events[0].Adapter)
}
