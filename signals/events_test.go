package signals_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/signals"
)

func TestASlimEventFillsAndRecursLikeTheWholeOne(t *testing.T) {
	t.Parallel()
	payload, err := os.ReadFile("../internal/incident/testdata/payloads/forwarder-stratum-batch.json")
	require.NoError(t, err)
	events, err := incident.Parse(payload)
	require.NoError(t, err)
	whole := events[0].Incident
	slim := signals.Slim(whole)
	for _, path := range incident.FieldPaths() {
		want, _ := whole.Field(path)
		if path == "output" || path == "event_url" {
			want = ""
		}
		got, _ := slim.Field(path)
		require.Equal(t, want, got, path)
	}
	require.Equal(t, whole.OccurredAt, slim.OccurredAt)
	require.NotEmpty(t, whole.Labels, "the event that was slimmed is as it was")
	large, err := json.Marshal(whole)
	require.NoError(t, err)
	small, err := json.Marshal(slim)
	require.NoError(t, err)
	require.Less(t, len(small), len(large)/2)
}

func TestABatchMayBringNothingButRepeats(t *testing.T) {
	t.Parallel()
	batch, err := signals.DecodeEvents(raw(`{"repeated":[{"id":"event-1","times":3}]}`))
	require.NoError(t, err)
	require.Equal(t, []signals.Repeat{{ID: "event-1", Times: 3}}, batch.Repeated)
	for data, message := range map[string]string{
		`{"repeated":[{"times":3}]}`:                 `repeated[0]: field "id" is missing: want the event's ID`,
		`{"repeated":[{"id":"event-1","times":-3}]}`: "repeated[0]: times -3: want 1 or more",
		`{"repeated":[]}`:                            `field "events" is missing or empty: want at least one event`,
	} {
		_, err := signals.DecodeEvents(raw(data))
		require.EqualError(t, err, message)
	}
}
