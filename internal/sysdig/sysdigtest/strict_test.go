package sysdigtest_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

func TestRequestsThatSysdigDoesNotDescribeAreRefused(t *testing.T) {
	t.Parallel()
	kill := submission("KILL_CONTAINER", "c")
	swap := func(in, from, to string) string {
		out := strings.Replace(in, from, to, 1)
		require.NotEqual(t, in, out)
		return out
	}
	process := func(parameters string) string {
		return `{"actionType":"KILL_PROCESS","parameters":{` + parameters + `}}`
	}
	const captures, events, legacyEvents = "/api/v1/captures", "/secure/events/v1/events", "/api/v1/secureEvents"
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"unknown path", "GET", "/api/v2/captures", "", 404, "no such endpoint"},
		{"unknown path of the API", "GET", "/secure/response-actions/v1/actions", "", 404, `"type":"resource_not_found"`},
		{"unknown execution", "GET", executions + "/x", "", 404, "x"},
		{"unknown capture", "GET", captures + "/1", "", 404, `"errors":[{"reason":"resource_not_found"`},
		{"unknown dump", "GET", "/api/sysdig/1?source=SDS", "", 404, "1"},
		{"wrong method", "PUT", executions, "", 405, "method_not_allowed"},
		{"wrong method of the legacy API", "POST", "/api/users/me", "{}", 405, "method_not_allowed"},

		{"unknown query parameter", "GET", executions + "?caller=x", "", 400, `unknown query parameter \"caller\"`},
		{"query parameter where there is none", "GET", "/api/users/me?x=1", "", 400, "x"},
		{"query parameter of a submission", "POST", executions + "?x=1", kill, 400, "x"},
		{"repeated query parameter", "GET", executions + "?limit=1&limit=2", "", 400, "repeated"},
		{"limit 0", "GET", executions + "?limit=0", "", 400, "1 to 200"},
		{"limit 201", "GET", executions + "?limit=201", "", 400, "1 to 200"},
		{"from is no number", "GET", executions + "?from=yesterday", "", 400, "from"},
		{"more than two weeks", "GET", executions + "?from=0&to=1209600000000001", "", 400, "two weeks"},
		{"from after to", "GET", executions + "?from=2&to=1", "", 400, "before"},
		{"long callerId", "GET", executions + "?callerId=" + strings.Repeat("x", 129), "", 400, "128"},
		{"missing source", "GET", "/api/sysdig/1", "", 400, "source"},
		{"wrong source", "GET", "/api/sysdig?source=SDC", "", 400, "SDS"},

		{"unknown event", "GET", events + "/x", "", 404, "x"},
		{"long event ID", "GET", events + "/" + strings.Repeat("a", 33), "", 400, "at most 32"},
		{"long event ID of the legacy feed", "GET", legacyEvents + "/" + strings.Repeat("a", 33), "", 400, "at most 32"},
		{"events of no time", "GET", events, "", 400, "from and/or to is unset"},
		{"events up to no time", "GET", events + "?from=1", "", 400, "from and/or to is unset"},
		{"legacy events of no time", "GET", legacyEvents + "?to=1", "", 400, "from and/or to is unset"},
		{"events of more than two weeks", "GET", events + "?from=0&to=1209600000000001", "", 400, "two weeks"},
		{"too many events", "GET", events + "?from=1&to=2&limit=201", "", 400, "1 to 200"},
		{"too many legacy events", "GET", legacyEvents + "?from=1&to=2&limit=1000", "", 400, "1 to 999"},
		{"a cursor that was not handed out", "GET", events + "?cursor=x", "", 400, "handed out"},
		{"a cursor and a time", "GET", events + "?cursor=x&from=1", "", 400, "must not be used with"},
		{"a long filter", "GET", events + "?from=1&to=2&filter=" + strings.Repeat("x", 2049), "", 400, "2048"},
		{"a filter in parentheses", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`(id = "x")`), "", 400, "filter"},
		{"a filter with contains", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`id contains "x"`), "", 400, "filter"},
		{"a filter with startsWith", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`id startsWith "x"`), "", 400, "filter"},
		{"a filter with exists", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`id exists`), "", 400, "filter"},
		{"a filter with a blank in a list", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`id in ("x", "y")`), "", 400, "filter"},
		{"a filter of an empty list", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`id in ()`), "", 400, "filter"},
		{"a filter with text behind it", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`id = "x" "y"`), "", 400, "filter"},
		{"a free text with an order", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`freeText >"x"`), "", 400, "filter"},
		{"a filter that does not end", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`id in ("x"`), "", 400, "filter"},
		{"a filter without quotes", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`severity = 1`), "", 400, "filter"},
		{"an unknown operator", "GET", events + "?from=1&to=2&filter=" + url.QueryEscape(`id like "x"`), "", 400, "operator"},

		{"no JSON", "POST", executions, "hello", 400, "not a JSON object"},
		{"an array", "POST", executions, "[]", 400, "not a JSON object"},
		{"null", "POST", executions, "null", 400, "not a JSON object"},
		{"something after the object", "POST", executions, kill + "{}", 400, "goes on"},
		{"unknown key", "POST", executions, swap(kill, `"callerId"`, `"callerID"`), 400, `unknown key \"callerID\"`},
		{"missing action", "POST", executions, `{"parameters":{}}`, 400, "missing_required_parameter"},
		{"missing parameters", "POST", executions, `{"actionType":"KILL_CONTAINER"}`, 400, "missing_required_parameter"},
		{"unknown action", "POST", executions, swap(kill, "KILL_", "HUG_"), 400, "HUG_CONTAINER"},
		{"long caller", "POST", executions, swap(kill, `"c"`, `"`+strings.Repeat("x", 129)+`"`), 400, "callerId"},
		{"missing parameter", "POST", executions, swap(kill, `,"container.id":"aaa000000006"`, ""), 400, `container.id`},
		{"unknown parameter", "POST", executions, swap(kill, `"host.id"`, `"x":"","host.id"`), 400, `unknown parameter of KILL_CONTAINER \"x\"`},
		{"wrong type", "POST", executions, swap(kill, `"`+hostID+`"`, "1"), 400, "host.id"},
		{"long parameter", "POST", executions, swap(kill, hostID, strings.Repeat("x", 513)), 400, "512"},
		{"not ASCII", "POST", executions, swap(kill, hostID, "höst"), 400, "ASCII"},
		{"process.id as a string", "POST", executions, process(`"host.id":"h","process.id":"7","startTime":-1`), 400, "process.id"},
		{"process.id as a fraction", "POST", executions, process(`"host.id":"h","process.id":7.5,"startTime":-1`), 400, "process.id"},
		{"missing startTime", "POST", executions, process(`"host.id":"h","process.id":7`), 400, "startTime"},
		{"a boolean as a string", "POST", executions, `{"actionType":"GET_LOGS","parameters":{"kubernetes.cluster.name":"c",` +
			`"kubernetes.namespace.name":"n","previous":"true"}}`, 400, "a boolean"},

		{"unknown key of a capture", "POST", captures, swap(captureBody, `"filters"`, `"filter"`), 400, "filter"},
		{"missing key of a capture", "POST", captures, swap(captureBody, `"filters":"container.id=aaa000000006",`, ""), 400, "missing_required_parameter"},
		{"duration as a string", "POST", captures, swap(captureBody, "15", `"15"`), 400, "duration"},
		{"duration 0", "POST", captures, swap(captureBody, "15", `0`), 400, "1 to 300"},
		{"duration 301", "POST", captures, swap(captureBody, "15", `301`), 400, "1 to 300"},
		{"empty name", "POST", captures, swap(captureBody, `"n"`, `""`), 400, "name"},
		{"agent's id as a number", "POST", captures, swap(captureBody, `"99004"`, `99004`), 400, "id"},
		{"agent's key of the answers", "POST", captures, swap(captureBody, "machineID", "machineId"), 400, "machineId"},
		{"agent is a string", "POST", captures, swap(captureBody, `{"id":"99004","customer":"55001","machineID":"aa:bb:cc:dd:ee:04","hostName":"h"}`, `"a"`), 400, "agent"},
		{"other source", "POST", captures, swap(captureBody, "SDS", "SDC"), 400, "SDS"},
		{"other storage", "POST", captures, swap(captureBody, "S3", "S4"), 400, "S3"},
		{"other annotation", "POST", captures, swap(captureBody, `"true"`, "true"), 400, "manual"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := sysdigtest.New(sysdigtest.Options{})
			r := do(t, s, tc.method, tc.path, tc.body).status(tc.status)
			require.Contains(t, r.Body.String(), tc.says)
			require.Empty(t, do(t, s, "GET", executions, "").get("data"))
			require.Empty(t, do(t, s, "GET", "/api/sysdig?source=SDS", "").get("dumps"))
			if tc.status == 404 && !strings.HasPrefix(tc.name, "unknown path") {
				require.Empty(t, s.Invalid(), "an ID that is unknown is no mistake")
				return
			}
			require.Len(t, s.Invalid(), 1)
			require.Contains(t, s.Invalid()[0], tc.method+" "+tc.path)
		})
	}
}

func TestABodyMustBeAnnouncedAsJSON(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", executions, strings.NewReader(submission("KILL_CONTAINER", "c")))
	r.Header.Set("Authorization", "Bearer test-token")
	w := httptest.NewRecorder()
	sysdigtest.New(sysdigtest.Options{}).ServeHTTP(w, r)
	require.Equal(t, 400, w.Code)
}

func TestTheListOfExecutionsIsPaged(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{})
	for i := range 30 {
		do(t, s, "POST", executions, submission("KILL_CONTAINER", fmt.Sprint("c", i))).status(201)
	}
	data := func(query string) []any {
		return do(t, s, "GET", executions+query, "").status(200).get("data").([]any)
	}
	require.Len(t, data(""), 25)
	require.Len(t, data("?limit=200"), 30)
	page := data("?limit=2&offset=3")
	require.Len(t, page, 2)
	require.Equal(t, "c26", page[0].(map[string]any)["callerId"])
	require.Empty(t, data("?from=1&to=2"))
	require.Len(t, data("?callerId=c7"), 1)
}

func TestTheCatalogueNamesEveryActionAndItsParameters(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{})
	data := do(t, s, "GET", "/secure/response-actions/v1alpha1/actions", "").status(200).get("data").([]any)
	require.Len(t, data, 24)
	undoable := map[string]bool{}
	for _, item := range data {
		a := item.(map[string]any)
		name := a["type"].(string)
		if a["isUndoable"].(bool) {
			undoable[name] = true
		}
		// What the catalogue requires is enough, and required.
		values, first := []string{}, ""
		for _, p := range a["parameters"].([]any) {
			p := p.(map[string]any)
			if !p["required"].(bool) {
				continue
			}
			value := map[string]string{"string": `"x"`, "integer": "1", "boolean": "true"}[p["type"].(string)]
			values = append(values, fmt.Sprintf("%q:%s", p["name"], value))
			first = p["name"].(string)
		}
		body := `{"actionType":"` + name + `","parameters":{%s}}`
		do(t, s, "POST", executions, fmt.Sprintf(body, strings.Join(values, ","))).status(201)
		r := do(t, s, "POST", executions, fmt.Sprintf(body, strings.Join(values[:len(values)-1], ","))).status(400)
		require.Contains(t, r.Body.String(), first)
	}
	require.Equal(t, map[string]bool{
		"STOP_CONTAINER": true, "PAUSE_CONTAINER": true, "FILE_QUARANTINE": true, "ISOLATE_NETWORK": true,
		"KUBERNETES_VOLUME_SNAPSHOT": true, "IAM_QUARANTINE": true, "MAKE_PRIVATE_CLOUD_RESOURCE": true,
		"CLOUD_VOLUME_SNAPSHOT": true,
	}, undoable)
}
