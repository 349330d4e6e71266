package activities_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// detection is an event of Sysdig's API, so long after another, with labels of its
// own.
func detection(t *testing.T, id string, after time.Duration, labels map[string]any) json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "internal", "incident", "testdata", "payloads", "event-miner-ml.json"))
	require.NoError(t, err)
	var event map[string]any
	require.NoError(t, json.Unmarshal(raw, &event))
	event["id"], event["timestamp"] = id, noon.Add(after).UnixNano()
	maps.Copy(event["labels"].(map[string]any), labels)
	raw, err = json.Marshal(event)
	require.NoError(t, err)
	return raw
}

// ids are those of events.
func ids(events []signals.RelatedEvent) []string {
	all := []string{}
	for _, e := range events {
		all = append(all, e.ID)
	}
	return all
}

func TestEventsAroundOneAreThoseOfItsContainerOrElseOfItsHost(t *testing.T) {
	t.Parallel()
	on := func(host, container string) map[string]any {
		return map[string]any{"host.hostName": host, "container.id": container}
	}
	b := newBench(t, sysdigtest.Options{Events: []json.RawMessage{
		detection(t, "too-early", -time.Hour, on("node-1", "aaaaaaaaaaa1")),
		detection(t, "before", -time.Minute, on("node-1", "aaaaaaaaaaa1")),
		detection(t, "itself", 0, on("node-1", "aaaaaaaaaaa1")),
		detection(t, "neighbour", time.Second, on("node-1", "aaaaaaaaaaa2")),
		detection(t, "namesake", time.Second, on("node-10", "aaaaaaaaaaa3")),
		detection(t, "after", 2*time.Minute, on("node-1", "aaaaaaaaaaa1")),
	}})
	in := activities.RelatedInput{EventID: "itself", At: noon, HostName: "node-1", ContainerID: "aaaaaaaaaaa1"}
	related, err := run[[]signals.RelatedEvent](b, a.Related, in)
	require.NoError(t, err)
	require.Equal(t, []string{"before", "after"}, ids(related))
	require.Equal(t, noon.Add(-time.Minute), related[0].Time.UTC())
	in.ContainerID = ""
	related, err = run[[]signals.RelatedEvent](b, a.Related, in)
	require.NoError(t, err)
	require.Equal(t, []string{"before", "neighbour", "after"}, ids(related))
}

func TestTheNearestEventsAreShownInTheirOrder(t *testing.T) {
	t.Parallel()
	events := []json.RawMessage{}
	want := []string{}
	for n := range 15 {
		id := fmt.Sprintf("event-%02d", n)
		events = append(events, detection(t, id, time.Duration(n-10)*time.Minute, map[string]any{"host.hostName": "node-1"}))
		if n >= 5 {
			want = append(want, id) // from 5 minutes before to 4 after
		}
	}
	b := newBench(t, sysdigtest.Options{Events: events})
	related, err := run[[]signals.RelatedEvent](b, a.Related, activities.RelatedInput{EventID: "e", At: noon, HostName: "node-1"})
	require.NoError(t, err)
	require.Equal(t, want, ids(related))
}

func TestAnEventThatIsNotReadableForNowIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{Events: []json.RawMessage{detection(t, "one", 0, nil)}})
	in := activities.EnrichInput{HostName: "node-1", EventID: "one"}
	for _, code := range []int{http.StatusTooManyRequests, http.StatusBadGateway} {
		b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: "/secure/events", Times: 1, Status: code})
		_, err := run[activities.Enrichment](b, a.Enrich, in)
		retried(t, err)
	}
	found, err := run[activities.Enrichment](b, a.Enrich, in)
	require.NoError(t, err)
	require.Equal(t, incident.Severity(0), found.Event.Severity)
	require.Equal(t, "one", found.Event.ID)
	in.EventID = "another"
	found, err = run[activities.Enrichment](b, a.Enrich, in)
	require.NoError(t, err)
	require.Nil(t, found.Event)
}
