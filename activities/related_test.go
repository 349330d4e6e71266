package activities_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
)

// detection is an event of Sysdig's API, so long after another, on a host and, unless
// it is "", in a container.
func detection(t *testing.T, id string, after time.Duration, host, container string) json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "internal", "incident", "testdata", "payloads", "event-miner-ml.json"))
	require.NoError(t, err)
	var event map[string]any
	require.NoError(t, json.Unmarshal(raw, &event))
	event["id"], event["timestamp"] = id, noon.Add(after).UnixNano()
	event["labels"].(map[string]any)["host.hostName"] = host
	if container != "" {
		event["content"].(map[string]any)["fields"] = map[string]string{"container.id": container}
	}
	raw, err = json.Marshal(event)
	require.NoError(t, err)
	return raw
}

// ids are those of events.
func ids(r activities.RelatedResult) []string {
	all := []string{}
	for _, e := range r.Events {
		all = append(all, e.ID)
	}
	return all
}

const (
	container = "6949e5f10829"
	neighbour = "6949e5f10830"
)

func TestEventsAroundOneAreThoseOfItsContainerOrElseOfItsHost(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{Events: []json.RawMessage{
		detection(t, "too-early", -time.Hour, "node-1", container),
		detection(t, "before", -time.Minute, "node-1", container),
		detection(t, "itself", 0, "node-1", container),
		detection(t, "neighbour", time.Second, "node-1", neighbour),
		detection(t, "namesake", time.Second, "node-10", container),
		detection(t, "after", 2*time.Minute, "node-1", container),
	}})
	in := activities.RelatedInput{EventID: "itself", At: noon, HostName: "node-1", ContainerID: container}
	related, err := run[activities.RelatedResult](b, a.Related, in)
	require.NoError(t, err)
	require.Equal(t, []string{"before", "after"}, ids(related))
	require.False(t, related.Cut)
	require.Equal(t, noon.Add(-time.Minute), related.Events[0].Time.UTC())
	in.ContainerID = ""
	related, err = run[activities.RelatedResult](b, a.Related, in)
	require.NoError(t, err)
	require.Equal(t, []string{"before", "neighbour", "after"}, ids(related))
	in.HostName = `node-1" or host.hostName != "x`
	related, err = run[activities.RelatedResult](b, a.Related, in)
	require.NoError(t, err)
	require.Empty(t, related.Events, "a name does not widen the filter")
}

func TestTheNearestEventsAreShownInTheirOrder(t *testing.T) {
	t.Parallel()
	events := []json.RawMessage{}
	want := []string{}
	for n := range 15 {
		id := fmt.Sprintf("event-%02d", n)
		events = append(events, detection(t, id, time.Duration(n-10)*time.Minute, "node-1", ""))
		if n >= 5 {
			want = append(want, id) // from 5 minutes before to 4 after
		}
	}
	b := newBench(t, sysdigtest.Options{Events: events})
	related, err := run[activities.RelatedResult](b, a.Related, activities.RelatedInput{EventID: "e", At: noon, HostName: "node-1"})
	require.NoError(t, err)
	require.Equal(t, want, ids(related))
	require.True(t, related.Cut, "there are 15")
}

// Sysdig lists at most 200 events of a time span, the newest: a flood must not hide
// those that are nearest.
func TestFloodDoesNotHideNearestEvents(t *testing.T) {
	t.Parallel()
	flood := func(from, to time.Duration, n int) (events []json.RawMessage) {
		for i := range n {
			events = append(events, detection(t, fmt.Sprintf("flood-%v-%d", from, i), from+(to-from)*time.Duration(i)/time.Duration(n), "node-1", ""))
		}
		return events
	}
	single := func(afters ...time.Duration) (events []json.RawMessage) {
		for _, after := range afters {
			events = append(events, detection(t, "at"+strings.ReplaceAll(after.String(), ".", "-"), after, "node-1", ""))
		}
		return events
	}
	for name, tc := range map[string]struct {
		events []json.RawMessage
		want   []string
		cut    bool
	}{
		"none":                  {nil, []string{}, false},
		"a flood far after":     {append(single(-20*time.Minute, time.Second), flood(10*time.Minute, 29*time.Minute, 500)...), []string{"at-20m0s", "at1s"}, true},
		"a flood far before":    {append(flood(-29*time.Minute, -10*time.Minute, 500), single(-time.Second, 20*time.Minute)...), nil, true},
		"a flood shortly after": {append(single(-time.Second, time.Second), flood(2*time.Second, 3*time.Second, 1000)...), nil, true},
		"one instant":           {append(single(-time.Second), flood(time.Minute, time.Minute, 300)...), nil, true},
		"a page that is full":   {flood(-5*time.Minute, -time.Minute, 200), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{Events: tc.events})
			related, err := run[activities.RelatedResult](b, a.Related, activities.RelatedInput{EventID: "e", At: noon, HostName: "node-1"})
			require.NoError(t, err)
			require.Equal(t, tc.cut, related.Cut)
			require.LessOrEqual(t, len(related.Events), 10)
			require.LessOrEqual(t, b.sysdig.Requests(http.MethodGet, "/secure/events"), 13)
			got := ids(related)
			switch name {
			case "a flood far before":
				require.Contains(t, got, "at-1s")
				require.Len(t, got, 10)
			case "a flood shortly after":
				require.Contains(t, got, "at-1s")
				require.Contains(t, got, "at1s")
				require.Len(t, got, 10)
				require.Contains(t, got, "flood-2s-0")
				require.Contains(t, got, "flood-2s-7")
			case "one instant":
				require.Contains(t, got, "at-1s")
				require.Len(t, got, 10)
			case "a page that is full":
				require.Len(t, got, 10)
				require.Equal(t, "flood--5m0s-199", got[9])
			case "a flood far after":
				require.Contains(t, got, "at1s")
			default:
				require.Equal(t, tc.want, got)
			}
		})
	}
}

// Sysdig is asked only for events whose IDs it gave.
func TestSysdigIsNotAskedForOtherEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	for _, id := range []string{
		"", ".", "action:KILL_CONTAINER:node-1:6949e5f10829", "capture:node-1", "sha256:0123456789abcdef0123456789abcdef",
		"179854fbe16a1279f2ebeb558f1ebe990", "a/b",
	} {
		found, err := run[activities.Enrichment](b, a.Enrich, activities.EnrichInput{HostName: "node-1", EventID: id})
		require.NoError(t, err)
		require.Nil(t, found.Event)
	}
	require.Zero(t, b.sysdig.Requests(http.MethodGet, "/secure/events"))
	_, err := run[activities.Enrichment](b, a.Enrich, activities.EnrichInput{HostName: "node-1", EventID: "179854fbe16a1279f2ebeb558f1ebe99"})
	require.NoError(t, err)
	require.Equal(t, 1, b.sysdig.Requests(http.MethodGet, "/secure/events"))
}

func TestAnEventThatIsNotReadableForNowIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{Events: []json.RawMessage{detection(t, "one", 0, "node-1", "")}})
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
