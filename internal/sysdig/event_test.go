package sysdig_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

// event is an item of the events API, with a content that nobody knows.
func event(id string, at time.Time, host string) json.RawMessage {
	return fmt.Appendf(nil, `{"id":%q,"timestamp":%d,"severity":3,"content":{"type":"news","fields":{"n":9007199254740993}},"labels":{"host.hostName":%q}}`,
		id, at.UnixNano(), host)
}

func TestAnEventIsReturnedAsSysdigHasIt(t *testing.T) {
	t.Parallel()
	e := event("1a33", time.Now(), "web-1")
	sim, c := simulated(t, sysdigtest.Options{Events: []json.RawMessage{e}})
	got, err := c.Event(t.Context(), "1a33")
	require.NoError(t, err)
	require.JSONEq(t, string(e), string(got))
	require.Contains(t, string(got), "9007199254740993")

	_, err = c.Event(t.Context(), "1a34")
	require.Equal(t, http.StatusNotFound, sysdigError(t, err).StatusCode)
	before := sim.Requests("", "")
	for _, id := range []string{
		"", ".", "..", "1a33/../x?y", "action:KILL_CONTAINER:1a33", "sha256:0123456789abcdef", "1a33 ", "1é",
		"0123456789abcdef0123456789abcdef0",
	} {
		_, err = c.Event(t.Context(), id)
		require.ErrorContains(t, err, "expected the ID of an event of Sysdig", id)
	}
	require.Equal(t, before, sim.Requests("", ""))
}

func TestEventsAreFoundByTimeAndFilter(t *testing.T) {
	t.Parallel()
	now := time.Now()
	_, c := simulated(t, sysdigtest.Options{Events: []json.RawMessage{
		event("old", now.Add(-time.Hour), "web-1"), event("one", now.Add(-time.Minute), "web-1"), event("two", now, "web-2"),
	}})
	for filter, want := range map[string][]string{
		``:                                          {"two", "one"},
		`host.hostName = "web-1"`:                   {"one"},
		`not host.hostName = "web-1"`:               {"two"},
		`severity in ("1","3") and id="two"`:        {"two"},
		`severity in ("1","3") and id = "two"`:      {"two"},
		`host.hostName startsWith "web-"`:           nil, // refused
		`host.hostName = "web-1" or severity = "3"`: {"two", "one"},
	} {
		events, err := c.Events(t.Context(), now.Add(-5*time.Minute), now.Add(time.Minute), filter, 10)
		require.Equal(t, want != nil, err == nil, "%s: %v", filter, err)
		var ids []string
		for _, raw := range events {
			var e struct{ ID string }
			require.NoError(t, json.Unmarshal(raw, &e))
			ids = append(ids, e.ID)
		}
		require.Equal(t, want, ids, filter)
	}
	events, err := c.Events(t.Context(), now.Add(-5*time.Minute), now.Add(time.Minute), "", 1)
	require.NoError(t, err)
	require.Len(t, events, 1)
}

// A value that ends its quotes could widen the filter.
func TestFilterValueStaysInItsQuotes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	hosts := []string{`a"b`, `a\`, `a\"b`, `x" or host.hostName != "`, `é`, `a b`}
	var events []json.RawMessage
	for i, host := range hosts {
		events = append(events, event(fmt.Sprint(i), now, host))
	}
	_, c := simulated(t, sysdigtest.Options{Events: events})
	for i, host := range hosts {
		found, err := c.Events(t.Context(), now.Add(-1), now.Add(1), "host.hostName = "+sysdig.FilterValue(host), 10)
		if host == `é` {
			require.Error(t, err, "the simulation takes printable ASCII only")
			continue
		}
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.JSONEq(t, string(events[i]), string(found[0]))
	}
}

func TestAListingOfEventsIsBounded(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	now := time.Now()
	for _, tc := range []struct {
		from, to time.Time
		limit    int
		says     string
	}{
		{now.Add(-time.Hour), now, 0, "limit 0: want 1 to 200"},
		{now.Add(-time.Hour), now, 201, "limit 201: want 1 to 200"},
		{now, now, 1, "want a time before"},
		{now.Add(-sysdig.MaxEventsSpan - 1), now, 1, "by at most 336h0m0s"},
	} {
		_, err := c.Events(t.Context(), tc.from, tc.to, "", tc.limit)
		require.ErrorContains(t, err, tc.says)
	}
	_, err := c.Events(t.Context(), now.Add(-time.Hour), now, strings.Repeat("x", 2049), 1)
	require.ErrorContains(t, err, "filter of 2049 characters: must have at most 2048")
	require.Zero(t, sim.Requests("", ""))
	_, err = c.Events(t.Context(), now.Add(-sysdig.MaxEventsSpan), now, "", sysdig.MaxEvents)
	require.NoError(t, err)
}

func TestAnEventThatIsNoneIsNotReturned(t *testing.T) {
	t.Parallel()
	var body string
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
	list := func() ([]json.RawMessage, error) {
		return c.Events(t.Context(), time.Now().Add(-time.Hour), time.Now(), "", 1)
	}
	for _, body = range []string{`null`, `[]`, `"x"`, `{`, ``} {
		_, err := c.Event(t.Context(), "x")
		require.Error(t, err, body)
	}
	for _, body = range []string{`null`, `[]`, `{}`, `{"data":[1]}`, `{"data":[null]}`, `{"data":{}}`} {
		_, err := list()
		require.Error(t, err, body)
	}
	body = `{"data":null}`
	events, err := list()
	require.NoError(t, err)
	require.Empty(t, events)
}
