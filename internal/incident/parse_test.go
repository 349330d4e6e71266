package incident_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

// forwarded is a forwarder event with some of its values replaced.
func forwarded(t *testing.T, change func(event, content, fields, labels map[string]any)) []byte {
	t.Helper()
	fields, labels := map[string]any{}, map[string]any{}
	content := map[string]any{"ruleName": "r", "fields": fields}
	event := map[string]any{"id": "1", "type": "policy", "originator": "policy", "severity": 3, "content": content, "labels": labels}
	change(event, content, fields, labels)
	body, err := json.Marshal(event)
	require.NoError(t, err)
	return body
}

// one parses a body that holds one incident.
func one(t *testing.T, body []byte) *incident.Incident {
	t.Helper()
	events, err := incident.Parse(body)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.NotEmpty(t, events[0].Adapter)
	require.Empty(t, events[0].Ignored)
	return &events[0].Incident
}

func payload(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile("testdata/payloads/" + name)
	require.NoError(t, err)
	return body
}

func TestABodyIsAnArrayNDJSONOrOneObject(t *testing.T) {
	t.Parallel()
	const event = `{"id":"%d","type":"policy","originator":"policy","content":{}}`
	a, b := fmt.Sprintf(event, 1), fmt.Sprintf(event, 2)
	for name, tc := range map[string]struct {
		body string
		want int
	}{
		"array":                        {"[" + a + "," + b + "]", 2},
		"array with blanks":            {" \r\n[ " + a + " , " + b + " ]\n", 2},
		"empty array":                  {"[]", 0},
		"one object":                   {a, 1},
		"NDJSON":                       {a + "\n" + b, 2},
		"NDJSON with CRLF and blanks":  {a + "\r\n\r\n" + b + "\r\n", 2},
		"object behind a BOM":          {"\xef\xbb\xbf" + a, 1},
		"array behind a BOM":           {"\xef\xbb\xbf[" + a + "]", 1},
		"object pretty-printed":        {strings.ReplaceAll(a, ",", ",\n  "), 1},
		"objects without a line break": {a + b, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, err := incident.Parse([]byte(tc.body))
			require.NoError(t, err)
			require.Len(t, events, tc.want)
			for i, e := range events {
				require.Equal(t, fmt.Sprint(i+1), e.Incident.ID)
				require.True(t, json.Valid(e.Raw))
			}
		})
	}
}

func TestAnObjectThatNestsTooDeepToBeReadIsNobodysAndItsNeighboursAreRead(t *testing.T) {
	t.Parallel()
	good := `{"id":"1","type":"policy","originator":"policy","content":{}}`
	nested := func(levels int) string {
		return `{"id":"2","type":"policy","originator":"policy","content":{},"more":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `}`
	}
	events, err := incident.Parse([]byte("[" + nested(65) + "," + good + "," + nested(64) + "]"))
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.Empty(t, events[0].Adapter)
	require.JSONEq(t, nested(65), string(events[0].Raw))
	require.Equal(t, "1", events[1].Incident.ID)
	require.Equal(t, "2", events[2].Incident.ID, "the deepest that is read")
}

func TestAMalformedBodySaysWhereAndGivesNoEvents(t *testing.T) {
	t.Parallel()
	good := `{"id":"1","type":"policy","originator":"policy","content":{}}`
	deep := func(levels int) string { return strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels) }
	for name, tc := range map[string]struct {
		body   string
		offset int
		reason string
	}{
		"empty":                       {"", 0, "empty"},
		"blank":                       {"  \n", 3, "empty"},
		"only a BOM":                  {"\xef\xbb\xbf", 3, "empty"},
		"bad value in an object":      {`{"a":x}`, 5, "invalid character 'x'"},
		"bad value behind a BOM":      {"\xef\xbb\xbf" + `{"a":x}`, 8, "invalid character 'x'"},
		"bad value in an array":       {`[{"a":1},{"b":x}]`, 14, "invalid character 'x'"},
		"bad value in NDJSON":         {`{"a":1}` + "\n" + `{"b":x}`, 13, "invalid character 'x'"},
		"bad value late in NDJSON":    {strings.Repeat(good+"\n", 100) + `{"b":x}`, 100*(len(good)+1) + 5, "invalid character 'x'"},
		"truncated object":            {`{"a":`, 5, "ends in the middle"},
		"truncated array":             {`[{"a":1}`, 8, "ends in the middle"},
		"truncated in NDJSON":         {good + "\n" + `{"a"`, len(good) + 5, "ends in the middle"},
		"text":                        {"Possible miner", 0, "invalid character 'P'"},
		"a number":                    {"42", 0, "found a number"},
		"a string in an array":        {`[{}, "a"]`, 5, "found a string"},
		"null in an array":            {`[null]`, 1, "found null"},
		"an array in an array":        {`[[{}]]`, 1, "found an array"},
		"a boolean in NDJSON":         {"{}\ntrue", 3, "found a boolean"},
		"something behind an array":   {`[{}] {}`, 5, "after top-level value"},
		"a comma between NDJSON":      {`{},{}`, 2, "invalid character ','"},
		"one level too deep":          {deep(1001), 1000 * 5, "deeper than 1000"},
		"one object too many":         {strings.Repeat("{}", 20_001), 40_000, "more than 20000 objects"},
		"one too many in an array":    {"[" + strings.Repeat("{},", 20_000) + "{}]", 60_001, "more than 20000 objects"},
		"a million levels":            {strings.Repeat("[", 1e6), 1000, "deeper than 1000"},
		"a good one before a bad one": {"[" + good + `,{"a":}]`, len(good) + 2 + 5, "invalid character '}'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, err := incident.Parse([]byte(tc.body))
			require.Nil(t, events)
			var malformed *incident.MalformedError
			require.ErrorAs(t, err, &malformed)
			require.EqualValues(t, tc.offset, malformed.Offset)
			require.Contains(t, malformed.Error(), tc.reason)
			require.Contains(t, malformed.Error(), fmt.Sprint(tc.offset))
		})
	}
	_, err := incident.Parse([]byte(deep(1000)))
	require.NoError(t, err, "the deepest that is allowed")
	events, err := incident.Parse([]byte(strings.Repeat("{}", 20_000)))
	require.NoError(t, err, "the most that are allowed")
	require.Equal(t, 20_000, len(events))
	_, err = incident.Parse([]byte(`{"a":"` + strings.Repeat(`[{\"`, 100) + `"}`))
	require.NoError(t, err, "brackets in text do not nest")
}

func TestAnObjectNobodyRecognisesKeepsItsText(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"rule":"x","output_fields":{}}`, `{"type":"policy"}`, `{"type":7,"content":{},"originator":""}`, `{"alert":{}}`} {
		events, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Empty(t, events[0].Adapter, body)
		require.Empty(t, events[0].Ignored, body)
		require.Equal(t, body, string(events[0].Raw))
	}
}

func TestOtherChannelsOfTheForwarderAreIgnoredWithAReason(t *testing.T) {
	t.Parallel()
	for _, channel := range []string{"audittrail", "command", "connection", "kubernetes", "benchmark", ""} {
		events, err := incident.Parse(forwarded(t, func(e, _, _, _ map[string]any) { e["type"] = channel }))
		require.NoError(t, err)
		require.Equal(t, "sysdig-forwarder", events[0].Adapter)
		require.Contains(t, events[0].Ignored, fmt.Sprintf("%q", channel))
	}
}

func TestEveryPolicyEventOfANotificationIsAnEvent(t *testing.T) {
	t.Parallel()
	body := `{"alert":{"severity":2},"event":{"url":"https://u"},"timestamp":1777382030294336,"entities":[
		{"policyEvents":[{"id":"a","policyId":1,"severity":4},{"id":"b","policyId":2}],"policies":[{"id":2,"name":"two"},{"id":1,"name":"one"}]},
		{"policyEvents":[{"id":"c","name":"three"},"rubbish"]}, "rubbish", {}]}`
	events, err := incident.Parse([]byte(body))
	require.NoError(t, err)
	require.Len(t, events, 4)
	var got []string
	for _, e := range events[:3] {
		require.Equal(t, "sysdig-notification", e.Adapter)
		require.Equal(t, body, string(e.Raw))
		require.Equal(t, "https://u", e.Incident.EventURL)
		require.Equal(t, time.UnixMicro(1777382030294336).UTC(), e.Incident.OccurredAt)
		got = append(got, fmt.Sprintf("%s %s %d %s", e.Incident.ID, e.Incident.Policy.Name, e.Incident.Severity, e.Incident.Priority))
	}
	require.Equal(t, []string{"a one 4 medium", "b two 2 high", "c three 2 high"}, got)
	require.Contains(t, events[3].Ignored, "not an object")

	events, err = incident.Parse([]byte(`{"alert":{"severity":2},"state":"ACTIVE","entities":[{"entity":"host","metricValues":[]}]}`))
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Contains(t, events[0].Ignored, "without policy events")
}
