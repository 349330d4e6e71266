package sysdigtest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

// feed has events at 1000 to 1009 ns, of two hosts in turn.
func feed(t *testing.T, deny ...sysdigtest.Permission) *sysdigtest.Server {
	t.Helper()
	var events []json.RawMessage
	for i := 9; i >= 0; i-- { // in no order
		events = append(events, fmt.Appendf(nil, `{"id":"e%d","timestamp":%d,"severity":%d,"originator":"policy",
			"content":{"type":"workloadRuntimeDetection","ruleName":"r","fields":{"container.id":%q}},
			"labels":{"host.hostName":"web-%d","host.mac":"m"}}`, i, 1000+i, i%8, []string{"host", "6949e5f10829"}[i%2], i%2))
	}
	return sysdigtest.New(sysdigtest.Options{
		Events: events, Deny: deny, Hosts: []sysdigtest.Host{{Name: "web-1", MAC: "42:01:0a:80:00:05", AgentID: 7}},
	})
}

// listed are the IDs and the page of an answer.
func listed(t *testing.T, s *sysdigtest.Server, path string) (ids []string, page map[string]any) {
	t.Helper()
	r := do(t, s, "GET", path, "").status(200)
	for _, item := range r.get("data").([]any) {
		ids = append(ids, item.(map[string]any)["id"].(string))
	}
	return ids, r.get("page").(map[string]any)
}

func TestCursorLosesFilterAndStart(t *testing.T) {
	t.Parallel()
	s := feed(t)
	const events = "/secure/events/v1/events"
	filter := "&filter=" + url.QueryEscape(`host.hostName = "web-1"`)
	ids, page := listed(t, s, events+"?from=1003&to=1009&limit=2"+filter)
	require.Equal(t, []string{"e9", "e7"}, ids)
	require.EqualValues(t, 4, page["total"])
	require.NotContains(t, page, "prev")
	ids, page = listed(t, s, events+"?limit=4&cursor="+page["next"].(string)+filter)
	require.Equal(t, []string{"e6", "e5", "e4", "e3"}, ids, "of both hosts")
	newer, _ := listed(t, s, events+"?limit=2&cursor="+page["prev"].(string))
	require.Equal(t, []string{"e8", "e7"}, newer)
	ids, page = listed(t, s, events+"?limit=9&cursor="+page["next"].(string))
	require.Equal(t, []string{"e2", "e1", "e0"}, ids, "earlier than from")
	require.NotContains(t, page, "next", "the end")
	ids, page = listed(t, s, events+"?from=1003&to=1009&limit=4"+filter)
	require.Len(t, ids, 4)
	require.NotContains(t, page, "next")
	require.Empty(t, s.Invalid())
}

func TestLegacyFeed(t *testing.T) {
	t.Parallel()
	s := feed(t)
	const events = "/api/v1/secureEvents"
	do(t, s, "GET", events+"/status", "").status(200)
	ids, page := listed(t, s, events+"?from=1003&to=1009&limit=3")
	require.Equal(t, []string{"e9", "e8", "e7"}, ids)
	ids, page = listed(t, s, events+"?limit=999&cursor="+page["prev"].(string))
	require.Equal(t, []string{"e6", "e5", "e4", "e3", "e2", "e1", "e0"}, ids)
	ids, page = listed(t, s, events+"?cursor="+page["prev"].(string))
	require.Empty(t, ids)
	require.NotEmpty(t, page["prev"], "there even at the end")

	var item map[string]any
	require.NoError(t, json.Unmarshal(do(t, s, "GET", events+"/e9", "").status(200).Body.Bytes(), &item))
	require.Equal(t, "1970-01-01T00:00:00.000001009Z", item["timestamp"])
	require.Equal(t, "6949e5f10829", item["containerId"])
	require.EqualValues(t, 55001, item["customerId"])
	require.EqualValues(t, 7, item["agentId"])
	require.Equal(t, "42:01:0a:80:00:05", item["machineId"])
	require.NotContains(t, item["content"], "type")
	require.Equal(t, "", do(t, s, "GET", events+"/e8", "").status(200).get("containerId"))
	require.Equal(t, "workloadRuntimeDetection", do(t, s, "GET", "/secure/events/v1/events/e9", "").status(200).get("content", "type"), "unchanged")
	do(t, s, "GET", events+"/x", "").status(404)
	require.Empty(t, s.Invalid())

	denied := feed(t, sysdigtest.EventsRead)
	for _, path := range []string{events + "/status", events + "/e9", events + "?from=1&to=2", "/secure/events/v1/events/e9"} {
		do(t, denied, "GET", path, "").status(403)
	}
}

func TestFilterGrammar(t *testing.T) {
	t.Parallel()
	s := feed(t)
	for filter, want := range map[string]int{
		`host.hostName = "web-1"`:                       5,
		`host.hostName!="web-1"`:                        5,
		`not host.hostName = "web-1"`:                   5,
		`severity in ("0","1")`:                         4,
		`not severity in("0" ,"1") and id != "e5"`:      5,
		`severity >= "6"`:                               2,
		`severity > "6"`:                                1,
		`severity <= "1" and severity < "1"`:            2,
		`id = "e1" or id = "e2" and severity = "9"`:     1,
		`container.id = "6949e5f10829" or id = "e2"`:    6,
		`freeText ="web-0"`:                             5,
		`freeText !="web-0"`:                            5,
		`not originator in ("benchmarks","compliance")`: 10,
	} {
		ids, _ := listed(t, s, "/secure/events/v1/events?from=1&to=2000&filter="+url.QueryEscape(filter))
		require.Len(t, ids, want, filter)
	}
}
