package sysdigtest_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

func TestAFaultAppliesToTheRequestsItNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fault        sysdigtest.Fault
		method, path string
		hit          bool
	}{
		{sysdigtest.Fault{}, "GET", "/api/users/me", true},
		{sysdigtest.Fault{Method: "GET"}, "GET", "/api/users/me", true},
		{sysdigtest.Fault{Method: "POST"}, "GET", "/api/users/me", false},
		{sysdigtest.Fault{Path: "/api/users"}, "GET", "/api/users/me", true},
		{sysdigtest.Fault{Path: "/api/agents"}, "GET", "/api/users/me", false},
		{sysdigtest.Fault{Path: "/api/*/me"}, "GET", "/api/users/me", true},
		{sysdigtest.Fault{Path: "/api/*"}, "GET", "/api/users/me", false},
	} {
		s := sysdigtest.New(sysdigtest.Options{})
		tc.fault.Status = 418
		s.Fault(tc.fault)
		require.Equal(t, tc.hit, do(t, s, tc.method, tc.path, "").Code == 418, "%+v", tc.fault)
	}
}

func TestAFaultEndsAfterItsTimesOrWhenCleared(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{})
	s.Fault(sysdigtest.Fault{Times: 2, Status: 503, RetryAfter: 1500 * time.Millisecond})
	s.Fault(sysdigtest.Fault{Status: 500})
	for _, want := range []int{503, 503, 500, 500} {
		r := do(t, s, "GET", "/api/users/me", "").status(want)
		require.Equal(t, want == 503, r.Header().Get("Retry-After") == "2")
	}
	s.ClearFaults()
	do(t, s, "GET", "/api/users/me", "").status(200)
	require.Equal(t, 5, s.Requests("GET", "/api/users/me"))
	require.Zero(t, s.Requests("POST", ""))
}

func TestAStatusIsAnsweredBeforeOrAfterTheEffect(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{})
	for i, after := range []bool{false, true} {
		s.Fault(sysdigtest.Fault{Times: 1, Status: 502, After: after})
		do(t, s, "POST", executions, submission("KILL_CONTAINER", "c")).status(502)
		require.Len(t, do(t, s, "GET", executions, "").get("data"), i)
	}
	do(t, s, "POST", "/sim/faults", `{"times":1,"status":201,"after":true}`).status(204)
	require.Nil(t, do(t, s, "POST", executions, submission("KILL_CONTAINER", "c")).status(201).get("id"))
	require.Len(t, do(t, s, "GET", executions, "").get("data"), 2)
}

func TestLatencyHoldsBackTheAnswerNotTheEffect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		s.Fault(sysdigtest.Fault{Latency: time.Minute})
		start, answered := time.Now(), make(chan struct{})
		go func() {
			defer close(answered)
			do(t, s, "POST", executions, submission("KILL_CONTAINER", "c"))
		}()
		require.NoError(t, s.WaitFor(t.Context(), func(l sysdigtest.Ledger) bool { return l.Killed(container) == 1 }))
		require.Less(t, time.Since(start), time.Second)
		<-answered
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestConnectionsBreakBeforeOrAfterTheEffect(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault  sysdigtest.Fault
		effect int
	}{
		"before":    {sysdigtest.Fault{ResetBefore: true, Times: 1}, 0},
		"after":     {sysdigtest.Fault{ResetAfter: true, Times: 1}, 1},
		"truncated": {sysdigtest.Fault{Truncate: true, Times: 1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sysdigtest.Start(t, sysdigtest.Options{})
			s.Fault(tc.fault)
			req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+executions, strings.NewReader(submission("KILL_CONTAINER", "c")))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer test-token")
			req.Header.Set("Content-Type", "application/json")
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			resp, err := client.Do(req)
			if name == "truncated" {
				require.NoError(t, err)
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			require.Error(t, err)
			require.Len(t, do(t, s, "GET", executions, "").get("data"), tc.effect)
		})
	}
}

func TestFaultsAndLedgerAreReachedFromOutside(t *testing.T) {
	t.Parallel()
	s := sysdigtest.New(sysdigtest.Options{})
	require.Equal(t, []any{}, do(t, s, "GET", "/sim/ledger", "").status(200).get())
	do(t, s, "POST", "/sim/faults", `{"method":"GET","path":"/api/","status":503,"retry_after":"30s","latency":"1ms"}`).status(204)
	require.Equal(t, "30", do(t, s, "GET", "/api/users/me", "").status(503).Header().Get("Retry-After"))
	do(t, s, "DELETE", "/sim/faults", "").status(204)
	do(t, s, "GET", "/api/users/me", "").status(200)

	do(t, s, "POST", "/sim/faults", `{"stauts":503}`).status(400)
	do(t, s, "POST", "/sim/faults", `{"latency":"long"}`).status(400)

	do(t, s, "POST", executions, submission("KILL_CONTAINER", "c")).status(201)
	require.NoError(t, s.WaitFor(t.Context(), func(l sysdigtest.Ledger) bool { return len(l) == 1 }))
	effect := do(t, s, "GET", "/sim/ledger", "").get().([]any)[0].(map[string]any)
	require.Equal(t, "action", effect["kind"])
	require.Equal(t, "KILL_CONTAINER", effect["action"])
	require.Equal(t, container, effect["container_id"])
}

func TestWaitForSeesRequestsArriveAndGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		go func() {
			time.Sleep(time.Minute)
			do(t, s, "GET", "/api/users/me", "")
		}()
		require.NoError(t, s.WaitFor(t.Context(), func(sysdigtest.Ledger) bool { return s.Requests("GET", "/api/users/me") == 1 }))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, s.WaitFor(ctx, func(sysdigtest.Ledger) bool { return false }), context.DeadlineExceeded)
	})
}

func TestTheStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := sysdigtest.Options{StateFile: filepath.Join(t.TempDir(), "state.json"), Step: time.Second}
		s := sysdigtest.New(opts)
		require.Equal(t, "COMPLETED", func() any {
			id := do(t, s, "POST", executions, submission("PAUSE_CONTAINER", "a")).get("id").(string)
			time.Sleep(2 * time.Second)
			return do(t, s, "GET", executions+"/"+id, "").get("status")
		}())
		flying := do(t, s, "POST", executions, submission("KILL_CONTAINER", "b")).get("id").(string)
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)

		s = sysdigtest.New(opts)
		require.Len(t, s.Ledger(), 1)
		require.Equal(t, "ENQUEUED", do(t, s, "GET", executions+"/"+flying, "").status(200).get("status"))
		time.Sleep(time.Hour)

		s = sysdigtest.New(opts)
		require.Equal(t, 1, s.Ledger().Killed(container))
		require.Equal(t, "COMPLETED", do(t, s, "GET", executions+"/"+flying, "").get("status"))
		require.Equal(t, "done", do(t, s, "GET", "/api/v1/captures/555444", "").get("capture", "status"))
		fresh := do(t, s, "POST", executions, submission("KILL_CONTAINER", "c")).get("id").(string)
		require.NotEqual(t, flying, fresh)

		s = sysdigtest.New(opts)
		require.Len(t, s.Ledger(), 3)
		entries, err := os.ReadDir(filepath.Dir(opts.StateFile))
		require.NoError(t, err)
		require.Len(t, entries, 1, "no temporary files stay behind")
	})
}

func TestABrokenStateFileIsToldInEveryAnswer(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, os.WriteFile(name, []byte("{"), 0o600))
	s := sysdigtest.New(sysdigtest.Options{StateFile: name})
	require.Contains(t, do(t, s, "GET", "/api/users/me", "").status(500).Body.String(), "load state")

	s = sysdigtest.New(sysdigtest.Options{StateFile: filepath.Join(t.TempDir(), "nowhere", "state.json")})
	do(t, s, "GET", "/api/users/me", "").status(200)
	r := do(t, s, "POST", executions, submission("KILL_CONTAINER", "c")).status(500)
	require.Contains(t, r.Body.String(), "save state")
}
