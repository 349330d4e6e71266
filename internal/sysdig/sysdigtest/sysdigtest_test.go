package sysdigtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

const (
	executions = "/secure/response-actions/v1alpha1/action-executions"
	hostID     = "dddd000011112222333344445555666677778888999900001111222233334444"
	container  = "aaa000000006"
)

// reply is an answer of the server.
type reply struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// do sends a request without a network, so that it also works where time is
// simulated.
func do(t *testing.T, h http.Handler, method, path, body string) reply {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer test-token")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return reply{w, t}
}

// get digs a value out of a JSON answer.
func (r reply) get(path ...string) any {
	r.t.Helper()
	var v any
	require.NoError(r.t, json.Unmarshal(r.Body.Bytes(), &v), r.Body)
	for _, key := range path {
		m, ok := v.(map[string]any)
		require.True(r.t, ok, "%s of %s", key, r.Body)
		v = m[key]
	}
	return v
}

func (r reply) status(want int) reply {
	r.t.Helper()
	require.Equal(r.t, want, r.Code, r.Body)
	return r
}

func submission(action, callerID string) string {
	return fmt.Sprintf(`{"actionType":%q,"callerId":%q,"parameters":{"host.id":%q,"container.id":%q}}`,
		action, callerID, hostID, container)
}

// run submits an action on the container and lets it end.
func run(t *testing.T, s *sysdigtest.Server, action string) reply {
	t.Helper()
	id := do(t, s, "POST", executions, submission(action, "c")).status(201).get("id").(string)
	time.Sleep(time.Second)
	return do(t, s, "GET", executions+"/"+id, "").status(200)
}

func TestAnExecutionPassesThroughItsStages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{Step: time.Second})
		created := do(t, s, "POST", executions, submission("KILL_CONTAINER", "c")).status(201)
		require.Equal(t, "ENQUEUED", created.get("status"))
		id := created.get("id").(string)
		for effects, want := range []string{"IN_PROGRESS", "COMPLETED"} {
			require.Empty(t, s.Ledger())
			time.Sleep(time.Second)
			require.Equal(t, want, do(t, s, "GET", executions+"/"+id, "").status(200).get("status"))
			require.Len(t, s.Ledger(), effects)
		}
		require.Equal(t, 1, s.Ledger().Killed(container))
		require.Equal(t, 2*time.Second, s.Ledger()[0].Time.Sub(mustTime(t, created.get("createdAt"))))
	})
}

func mustTime(t *testing.T, v any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, v.(string))
	require.NoError(t, err)
	return at
}

func TestARepeatedCallerKillsTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		for range 2 {
			do(t, s, "POST", executions, submission("KILL_CONTAINER", "same")).status(201)
		}
		time.Sleep(time.Second)
		require.Equal(t, 2, s.Ledger().Killed(container))
		found := do(t, s, "GET", executions+"?callerId=same", "").status(200).get("data").([]any)
		require.Len(t, found, 2)
		require.Equal(t, "FAILED", found[0].(map[string]any)["status"], "the newest first; it could die only once")
		require.Equal(t, "COMPLETED", found[1].(map[string]any)["status"])
	})
}

func TestContainersChangeAsActionsDemand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		for _, step := range []struct{ action, want string }{
			{"UNPAUSE_CONTAINER", "FAILED"},
			{"PAUSE_CONTAINER", "COMPLETED"},
			{"PAUSE_CONTAINER", "FAILED"},
			{"UNPAUSE_CONTAINER", "COMPLETED"},
			{"STOP_CONTAINER", "COMPLETED"},
			{"KILL_CONTAINER", "FAILED"},
			{"START_CONTAINER", "COMPLETED"},
			{"KILL_CONTAINER", "COMPLETED"},
			{"KILL_CONTAINER", "FAILED"},
			{"START_CONTAINER", "FAILED"},
		} {
			r := run(t, s, step.action)
			require.Equal(t, step.want, r.get("status"), step.action)
			if step.want == "FAILED" {
				require.Equal(t, sysdigtest.ContainerNotEligible, r.get("failure", "failureReason"))
			}
		}
	})
}

func TestActionsOnWhatDoesNotExistFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		process := fmt.Sprintf(`{"actionType":"KILL_PROCESS","parameters":{"host.id":%q,"process.id":7,"startTime":-1}}`, hostID)
		for _, tc := range []struct{ body, want string }{
			{strings.Replace(submission("KILL_CONTAINER", "c"), hostID, "elsewhere", 1), sysdigtest.HostNotFound},
			{strings.Replace(submission("KILL_CONTAINER", "c"), container, "6949e5f10829", 1), sysdigtest.ContainerNotFound},
			{process, ""},
			{process, sysdigtest.ProcessNotFound},
		} {
			id := do(t, s, "POST", executions, tc.body).status(201).get("id").(string)
			time.Sleep(time.Second)
			r := do(t, s, "GET", executions+"/"+id, "")
			if tc.want == "" {
				require.Equal(t, "COMPLETED", r.get("status"))
				continue
			}
			require.Equal(t, "FAILED", r.get("status"))
			require.Equal(t, tc.want, r.get("failure", "failureReason"))
		}
		require.Zero(t, s.Ledger().Killed("6949e5f10829"))
	})
}

func TestOnlyWhatCompletedAndHasAReverseIsUndone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		do(t, s, "DELETE", executions+"/nothing", "").status(404)

		killed := run(t, s, "KILL_CONTAINER").get("id").(string)
		do(t, s, "DELETE", executions+"/"+killed, "").status(400)

		file := fmt.Sprintf(`{"actionType":"FILE_QUARANTINE","parameters":{"host.id":%q,"path.absolute":"/tmp/x"}}`, hostID)
		id := do(t, s, "POST", executions, file).status(201).get("id").(string)
		do(t, s, "DELETE", executions+"/"+id, "").status(400) // not yet
		time.Sleep(time.Second)
		path := do(t, s, "GET", executions+"/"+id, "").get("outputs", "quarantined_file_path")
		require.NotEmpty(t, path)
		undo := do(t, s, "DELETE", executions+"/"+id+"?callerId=u", "").status(200)
		require.Equal(t, "FILE_UNQUARANTINE", undo.get("actionType"))
		require.Equal(t, id, undo.get("actionExecutionIdBeingUndone"))
		require.Equal(t, path, undo.get("parameters", "quarantined_file_path"))
		time.Sleep(time.Second)
		ledger := s.Ledger()
		require.Equal(t, sysdigtest.Undo, ledger[len(ledger)-1].Kind)
	})
}

func TestTheRateLimitIsPerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{RateLimit: 2})
		require.Equal(t, "2", do(t, s, "GET", executions, "").status(200).Header().Get("X-RateLimit-Limit"))
		require.Empty(t, do(t, s, "GET", "/api/users/me", "").status(200).Header().Get("X-RateLimit-Limit"))
		time.Sleep(20 * time.Second)
		r := do(t, s, "GET", "/api/users/me", "").status(429)
		require.Equal(t, "40", r.Header().Get("Retry-After"))
		require.Equal(t, "too_many_requests", r.get("type"))
		time.Sleep(40 * time.Second)
		do(t, s, "GET", "/api/users/me", "").status(200)
	})
	for limit, want := range map[int]string{0: "4096", sysdigtest.Unlimited: ""} {
		s := sysdigtest.New(sysdigtest.Options{RateLimit: limit})
		require.Equal(t, want, do(t, s, "GET", executions, "").status(200).Header().Get("X-RateLimit-Limit"))
	}
	do(t, sysdigtest.New(sysdigtest.Options{RateLimit: 4097}), "GET", "/api/users/me", "").status(500)
}

func TestOnlyTheTokenOpens(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{Token: "other"})
	r := do(t, s, "GET", "/api/users/me", "").status(401)
	require.Equal(t, "unauthorized", r.get("type"))
	do(t, s, "GET", "/sim/ledger", "").status(200)
}
