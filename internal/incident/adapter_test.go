package incident_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

// changed is a payload with some of its values replaced.
func changed(t *testing.T, name string, change func(o map[string]any)) []byte {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(payload(t, name))))
	dec.UseNumber()
	var o map[string]any
	require.NoError(t, dec.Decode(&o))
	change(o)
	body, err := json.Marshal(o)
	require.NoError(t, err)
	return body
}

// One sender's message with another's keys on top has still one meaning.
func TestNoTwoAdaptersRecogniseTheSameObject(t *testing.T) {
	t.Parallel()
	var objects []map[string]any
	for _, body := range seeds(t) {
		events, err := incident.Parse(body)
		if err != nil {
			continue
		}
		for _, e := range events {
			var o map[string]any
			require.NoError(t, json.Unmarshal(e.Raw, &o))
			objects = append(objects, o)
		}
	}
	require.Greater(t, len(objects), 40)
	for _, a := range objects {
		for _, b := range objects {
			merged := map[string]any{}
			for k, v := range a {
				merged[k] = v
			}
			for k, v := range b {
				merged[k] = v
			}
			raw, err := json.Marshal(merged)
			require.NoError(t, err)
			recognisers, err := incident.Recognisers(raw)
			require.NoError(t, err)
			require.LessOrEqual(t, len(recognisers), 1, "%s: %s", recognisers, raw)
		}
	}
}

func TestOtherChannelsAreIgnoredWhateverTheirEnvelope(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"type":"command","agentId":1}`,
		`{"type":"kubernetes","agentId":1,"timestamp":1606322948}`,
		`{"type":"fileaccess","timestampRFC3339Nano":"2020-11-25T16:49:08Z"}`,
		`{"type":"audittrail","originator":"ingestion","timestampRFC3339Nano":""}`,
		`{"type":"hostscanning","originator":"hostscanning","machineId":"","content":{}}`,
		`{"type":"something new","timestampRFC3339Nano":"2020-11-25T16:49:08Z","severity":0}`,
	} {
		events, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, "sysdig-forwarder", events[0].Adapter, body)
		require.Contains(t, events[0].Ignored, "only policy events are incidents")
	}
	for _, body := range []string{
		`{"type":"policy","agentId":1,"timestampRFC3339Nano":"2020-11-25T16:49:08Z"}`,
		`{"type":"something","agentId":1}`,
		`{"type":"command","comm":"ls"}`,
	} {
		events, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		require.Empty(t, events[0].Adapter, body)
	}
}

func TestALegacyEventIsReadFromItsPairs(t *testing.T) {
	t.Parallel()
	var legacy map[string]any
	events, err := incident.Parse(payload(t, "forwarder-legacy.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(events[0].Raw, &legacy))
	delete(legacy, "timestampNs")
	legacy["fields"] = []any{
		map[string]any{"key": "falco.rule", "value": "first"},
		map[string]any{"key": "falco.rule", "value": "second"},
		map[string]any{"key": "user.name", "value": "<NA>"},
		map[string]any{"value": "no key"},
		"rubbish",
	}
	body, err := json.Marshal(legacy)
	require.NoError(t, err)
	i := one(t, body)
	require.Equal(t, "first", i.Rule.Name)
	require.Equal(t, map[string]string{"falco.rule": "first"}, i.Fields)
	require.Empty(t, i.User)
	require.Equal(t, time.Date(2020, 11, 25, 16, 49, 8, 648718000, time.UTC), i.OccurredAt, "microseconds, without a timestampNs")
}

func TestATimestampThatWasRoundedToAFloatIsReadFromItsText(t *testing.T) {
	t.Parallel()
	exact := time.Date(2024, 7, 3, 18, 23, 21, 639981110, time.UTC)
	for value, want := range map[string]time.Time{
		"1720031001639981000": exact,
		"1720031001639981056": exact,
		"1720031001639982000": exact.Add(890), // another time altogether: nobody rounds so much
	} {
		i := one(t, forwarded(t, func(e, _, _, _ map[string]any) {
			e["timestamp"], e["timestampRFC3339Nano"] = json.Number(value), "2024-07-03T18:23:21.63998111Z"
		}))
		require.Equal(t, want, i.OccurredAt, value)
	}
}

func TestNestedLabelsAreDottedOnes(t *testing.T) {
	t.Parallel()
	i := one(t, forwarded(t, func(_, _, _, l map[string]any) {
		l["host"] = map[string]any{"hostName": "nested", "mac": "42-01-0A-80-00-05", "empty": map[string]any{}}
		l["host.hostName"] = "written-out"
		l["kubernetes"] = map[string]any{"pod.name": "p", "pod": map[string]any{"name": "another"}}
	}))
	require.Equal(t, map[string]string{"host.hostName": "written-out", "host.mac": "42-01-0A-80-00-05", "kubernetes.pod.name": "p"}, i.Labels)
	require.Equal(t, "written-out", i.Host.Name)
	require.Equal(t, "42:01:0a:80:00:05", i.Host.MAC)
	require.Equal(t, "p", i.Kubernetes.Pod)
}

func TestAnAPIEventNeedsItsIDAndItsTimestamp(t *testing.T) {
	t.Parallel()
	i := one(t, payload(t, "event-miner-ml.json"))
	require.Equal(t, "workloadMLRuntimeDetection", i.Rule.Name, "a machine-learning detection has no rule")
	for name, change := range map[string]func(o map[string]any){
		"no ID":           func(o map[string]any) { delete(o, "id") },
		"a textual time":  func(o map[string]any) { o["timestamp"] = "2025-04-05T03:00:01Z" }, // the legacy feed's, which has no type
		"no content type": func(o map[string]any) { o["content"] = map[string]any{"policyId": 1} },
		"no content":      func(o map[string]any) { delete(o, "content") },
	} {
		events, err := incident.Parse(changed(t, "event-miner-ml.json", change))
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Empty(t, events[0].Adapter, name)
	}
	events, err := incident.Parse(changed(t, "event-miner-ml.json", func(o map[string]any) { o["type"] = "policy" }))
	require.NoError(t, err)
	require.Equal(t, "sysdig-forwarder", events[0].Adapter, "the type at the top is the forwarder's")
}

func TestAReportIsNoDetection(t *testing.T) {
	t.Parallel()
	for _, originator := range []string{"benchmarks", "compliance", "cloudsec", "scanning", "hostscanning"} {
		events, err := incident.Parse(changed(t, "event-miner-ml.json", func(o map[string]any) { o["originator"] = originator }))
		require.NoError(t, err)
		require.Equal(t, "sysdig-event", events[0].Adapter)
		require.Contains(t, events[0].Ignored, fmt.Sprintf("%q", originator))
	}
}

// An alert of another product may have an alert and entities too.
func TestAnAlertWithEntitiesIsNotYetANotification(t *testing.T) {
	t.Parallel()
	event := payload(t, "event-miner-ml.json")
	body := fmt.Sprintf(`{"alert":{"name":"x"},"entities":[{"kind":"Host"},"text"],"properties":%s}`, event)
	events, err := incident.Parse([]byte(body))
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "sysdig-event", events[0].Adapter)
	require.Equal(t, "properties", events[0].Path)
}
