package sysdigtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

func TestTheListsLagBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{ListLag: time.Second})
		id := do(t, s, "POST", executions, submission("KILL_CONTAINER", "c")).status(201).get("id").(string)
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		for _, n := range []int{0, 1} {
			do(t, s, "GET", executions+"/"+id, "").status(200)
			require.Len(t, do(t, s, "GET", executions+"?callerId=c", "").get("data"), n)
			require.Len(t, do(t, s, "GET", "/api/sysdig?source=SDS", "").get("dumps"), n)
			time.Sleep(time.Second)
		}
	})
}

func TestATokenMayLackPermissions(t *testing.T) {
	t.Parallel()
	kill, logs := submission("KILL_CONTAINER", "c"), `{"actionType":"GET_LOGS","parameters":{"kubernetes.cluster.name":"c","kubernetes.namespace.name":"n"}}`
	const events = "/secure/events/v1/events?from=1&to=2"
	for _, tc := range []struct {
		deny               sysdigtest.Permission
		method, path, body string
		status             int
	}{
		{"containment-response-actions.exec", "POST", executions, kill, 403},
		{"containment-response-actions.exec", "POST", executions, logs, 201},
		{"containment-response-actions.exec", "GET", "/secure/response-actions/v1alpha1/actions", "", 200},
		{"data-gathering-response-actions.exec", "POST", executions, kill, 201},
		{"data-gathering-response-actions.exec", "POST", executions, logs, 403},
		{"containment-response-actions.read", "GET", executions, "", 200},
		{"policy-events.read", "GET", events, "", 403},
		{"policy-events.read", "GET", "/secure/events/v1/events/x", "", 403},
	} {
		s := sysdigtest.New(sysdigtest.Options{Deny: []sysdigtest.Permission{tc.deny}})
		r := do(t, s, tc.method, tc.path, tc.body).status(tc.status)
		if tc.status == 403 {
			require.Equal(t, "forbidden", r.get("type"))
			require.Contains(t, r.Body.String(), string(tc.deny))
		}
		require.Empty(t, s.Invalid())
	}
	all := sysdigtest.New(sysdigtest.Options{Deny: sysdigtest.Permissions()})
	require.Equal(t, []any{}, do(t, all, "GET", executions, "").status(200).get("data"))
	require.Equal(t, []any{}, do(t, all, "GET", "/api/users/me/permissions", "").status(200).get("permissions"))
	do(t, all, "GET", "/secure/response-actions/v1alpha1/actions", "").status(403)
}

func TestExecutionsOfUnreadableClassAreNotListed(t *testing.T) {
	t.Parallel()
	const kill = `{"actionType":"KILL_CONTAINER","callerId":"c","parameters":{"host.id":"h","container.id":"6949e5f10829"}}`
	const logs = `{"actionType":"GET_LOGS","callerId":"c","parameters":{"kubernetes.cluster.name":"c","kubernetes.namespace.name":"n"}}`
	for name, tc := range map[string]struct {
		deny []sysdigtest.Permission
		want []any
	}{
		"all permissions":     {nil, []any{"GET_LOGS", "KILL_CONTAINER"}},
		"no containment read": {[]sysdigtest.Permission{sysdigtest.ContainmentRead}, []any{"GET_LOGS"}},
		"no gathering read":   {[]sysdigtest.Permission{sysdigtest.GatheringRead}, []any{"KILL_CONTAINER"}},
		"no read":             {[]sysdigtest.Permission{sysdigtest.ContainmentRead, sysdigtest.GatheringRead}, []any{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sysdigtest.New(sysdigtest.Options{Deny: tc.deny})
			do(t, s, "POST", executions, kill).status(201)
			do(t, s, "POST", executions, logs).status(201)
			listed := []any{}
			for _, e := range do(t, s, "GET", executions+"?callerId=c", "").status(200).get("data").([]any) {
				listed = append(listed, e.(map[string]any)["actionType"])
			}
			require.Equal(t, tc.want, listed)
		})
	}
}

func TestPermissionCanBeWithdrawn(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{})
	require.Len(t, do(t, s, "GET", "/api/users/me/permissions", "").status(200).get("permissions"), len(sysdigtest.Permissions()))
	s.Deny(sysdigtest.ContainmentRead)
	require.NotContains(t, do(t, s, "GET", "/api/users/me/permissions", "").status(200).get("permissions"), "containment-response-actions.read")
}

func TestAnEndpointMayBeMissing(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{Without: []string{"GET /api/v1/captures/{id}"}})
	do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
	do(t, s, "GET", "/api/v1/captures/555444", "").status(404)
	do(t, s, "GET", "/api/sysdig/555444?source=SDS", "").status(200)
	require.Empty(t, s.Invalid(), "whoever asks cannot know")
}

func TestOptionsThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()
	for want, options := range map[string]sysdigtest.Options{
		"policy-event.read":         {Deny: []sysdigtest.Permission{"policy-event.read"}},
		"no such endpoint":          {Without: []string{"GET /api/v2/captures"}},
		"expected /api/v1/captures": {Closed: []string{"/api/captures"}},
		"cannot unmarshal":          {Events: []json.RawMessage{[]byte("1")}},
	} {
		s := sysdigtest.New(options)
		require.Contains(t, do(t, s, "GET", "/api/users/me", "").status(500).Body.String(), want)
	}
}

func TestInvalidRequestsAreNoted(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{})
	require.Equal(t, []any{}, do(t, s, "GET", "/sim/invalid", "").status(200).get())
	s.Fault(sysdigtest.Fault{Times: 1, Status: 400})
	do(t, s, "GET", "/api/users/me", "").status(400) // a fault is nobody's mistake
	do(t, s, "GET", "/api/users/me?who=me", "").status(400)
	want := `GET /api/users/me?who=me: 400 unknown query parameter "who"`
	require.Equal(t, []string{want}, s.Invalid())
	require.Equal(t, []any{want}, do(t, s, "GET", "/sim/invalid", "").status(200).get())
}

func TestWhatIsFineButForTheStateOfThingsIsNotInvalid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{RateLimit: 12, RefuseBusyAtOnce: true})
		killed := run(t, s, "KILL_CONTAINER").get("id").(string)
		do(t, s, "DELETE", executions+"/"+killed, "").status(400)
		do(t, s, "GET", executions+"/x", "").status(404)
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		time.Sleep(3 * time.Millisecond)
		do(t, s, "POST", "/api/v1/captures", captureBody).status(400)
		do(t, s, "GET", "/api/v1/captures/555444/download", "").status(409)
		for range 5 {
			do(t, s, "GET", "/api/users/me", "").status(200)
		}
		do(t, s, "GET", "/api/users/me", "").status(429)
		require.Empty(t, s.Invalid())
	})
}

func TestWhatIsUndoneCannotBeUndoneAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		undo := func(id string, status int) reply {
			r := do(t, s, "DELETE", executions+"/"+id+"?callerId=u", "").status(status)
			time.Sleep(time.Second)
			return r
		}
		paused := run(t, s, "PAUSE_CONTAINER").get("id").(string)
		undone := undo(paused, 200).get("id").(string)
		undo(paused, 400)
		undo(undone, 400)
		require.Len(t, s.Ledger(), 2)

		// An undo that failed is no undo.
		stopped := run(t, s, "STOP_CONTAINER").get("id").(string)
		require.Equal(t, "COMPLETED", run(t, s, "START_CONTAINER").get("status"))
		failed := undo(stopped, 200).get("id").(string)
		require.Equal(t, "FAILED", do(t, s, "GET", executions+"/"+failed, "").get("status"))
		undo(stopped, 200)
	})
}

func TestTheActionCaptureBeginsACapture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		body := `{"actionType":"CAPTURE","parameters":{"host.id":%q,"capture.remote_storage_configuration_id":"1","capture.duration_ns":1,"capture.past_duration_ns":0}}`
		for _, host := range []string{hostID, "elsewhere"} {
			do(t, s, "POST", executions, fmt.Sprintf(body, host)).status(201)
		}
		time.Sleep(time.Second)
		ledger := s.Ledger()
		require.Len(t, ledger, 3)
		require.Equal(t, sysdigtest.Action, ledger[0].Kind)
		require.Equal(t, sysdigtest.Capture, ledger[1].Kind)
		require.Equal(t, ledger[0].ExecutionID, ledger[1].ExecutionID)
		require.Equal(t, sysdigtest.HostNotFound, ledger[2].Failure)
	})
}

func TestLogsAreAnOutput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		body := `{"actionType":"GET_LOGS","parameters":{"kubernetes.cluster.name":"c","kubernetes.namespace.name":"n"}}`
		id := do(t, s, "POST", executions, body).status(201).get("id").(string)
		time.Sleep(time.Second)
		require.NotEmpty(t, do(t, s, "GET", executions+"/"+id, "").get("outputs", "logs"))
		do(t, s, "GET", executions+"/"+id+"/acquired-file", "").status(404)
	})
}

func TestAnAcquiredFileIsThereWhenItsExecutionHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{CaptureSize: 1003})
		body := fmt.Sprintf(`{"actionType":"FILE_ACQUIRE","parameters":{"host.id":%q,"path.absolute":"/tmp/x"}}`, hostID)
		id := do(t, s, "POST", executions, body).status(201).get("id").(string)
		do(t, s, "GET", executions+"/"+id+"/acquired-file", "").status(404)
		time.Sleep(time.Second)
		file := do(t, s, "GET", executions+"/"+id+"/acquired-file", "").status(200)
		require.Equal(t, "application/octet-stream", file.Header().Get("Content-Type"))
		want, err := io.ReadAll(sysdigtest.AcquiredReader(id, 1003))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, file.Body.Bytes()))
		other, err := io.ReadAll(sysdigtest.AcquiredReader(strings.ToUpper(id)+"x", 1003))
		require.NoError(t, err)
		require.False(t, bytes.Equal(want, other))
		do(t, s, "GET", executions+"/x/acquired-file", "").status(404)
	})
}

func TestEventsAreServedNewestFirst(t *testing.T) {
	t.Parallel()
	var events []json.RawMessage
	for i := range 30 {
		events = append(events, fmt.Appendf(nil, `{"id":"e%d","timestamp":%d,"severity":%d,"content":{"ruleName":"A \"rule\""}}`, i, 1000+i, i%8))
	}
	s := sysdigtest.New(sysdigtest.Options{Events: events})
	list := func(query string) (ids []string, total any) {
		r := do(t, s, "GET", "/secure/events/v1/events?"+query, "").status(200)
		for _, item := range r.get("data").([]any) {
			ids = append(ids, item.(map[string]any)["id"].(string))
		}
		return ids, r.get("page", "total")
	}
	ids, total := list("from=1&to=2000")
	require.Len(t, ids, 25)
	require.Equal(t, "e29", ids[0])
	require.EqualValues(t, 30, total)
	ids, _ = list("from=1005&to=1007&limit=2")
	require.Equal(t, []string{"e7", "e6"}, ids)
	ids, total = list(`from=1&to=2000&limit=200&filter=severity+in+("0","1")+and+ruleName+=+"A+\"rule\""`)
	require.Len(t, ids, 8)
	require.True(t, slices.Contains(ids, "e9"))
	require.EqualValues(t, 8, total)
	require.Equal(t, "e3", do(t, s, "GET", "/secure/events/v1/events/e3", "").status(200).get("id"))
}
