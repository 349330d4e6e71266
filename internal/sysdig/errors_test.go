package sysdig_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

const executions = "/secure/response-actions/v1alpha1/action-executions"

func sysdigError(t *testing.T, err error) *sysdig.Error {
	t.Helper()
	e, ok := errors.AsType[*sysdig.Error](err)
	require.True(t, ok, "%v", err)
	return e
}

func TestEveryStatusBecomesAnErrorOrAnAnswer(t *testing.T) {
	t.Parallel()
	var status int
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		if status != 204 && status != 304 {
			w.Write([]byte(`{"id":"a"}`))
		}
	})
	for status = 200; status < 600; status++ {
		_, err := c.Submit(t.Context(), kill("x"))
		switch {
		case status == 204: // done, says Sysdig, but what?
			require.Error(t, err)
			require.True(t, sysdig.MayHaveTakenEffect(err))
		case status < 300:
			require.NoError(t, err, status)
		default:
			require.Equal(t, status, sysdigError(t, err).StatusCode)
			require.Equal(t, status < 400 || status == 408 || status >= 500, sysdig.MayHaveTakenEffect(err), status)
		}
		_, err = c.Execution(t.Context(), "a")
		require.False(t, sysdig.MayHaveTakenEffect(err), "reading changes nothing")
	}
}

func TestErrorsKeepSysdigsWords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		want       sysdig.Error
	}{
		{
			"the documented shape", string(fixture(t, "error-400-missing-parameter.json")),
			sysdig.Error{Type: "missing_required_parameter", Message: "Missing required parameter"},
		},
		{"with details", `{"type":"bad_request","message":"Bad","details":["a",{"field":"b"}]}`, sysdig.Error{
			Type: "bad_request", Message: "Bad", Details: []string{"a", `{"field":"b"}`},
		}},
		{"the legacy list", `{"errors":[{"reason":"r","message":"m"},{"message":"n"}]}`, sysdig.Error{Message: "m: r", Details: []string{"n"}}},
		{"the legacy message", `{"message":"m"}`, sysdig.Error{Message: "m"}},
		{"the legacy error", `{"error":"e"}`, sysdig.Error{Message: "e"}},
		{"a proxy's page", `<html>nope</html>`, sysdig.Error{Message: "Bad Request"}},
		{"nothing", ``, sysdig.Error{Message: "Bad Request"}},
	} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(tc.body))
		})
		_, err := c.Submit(t.Context(), kill("x"))
		tc.want.Method, tc.want.Path, tc.want.StatusCode = "POST", executions, 400
		require.Empty(t, cmp.Diff(&tc.want, sysdigError(t, err)), tc.name)
	}
}

func TestAnErrorReadsAsOneLine(t *testing.T) {
	t.Parallel()
	_, c := simulated(t, sysdigtest.Options{})
	_, err := c.Submit(t.Context(), sysdig.Submission{ActionType: "KILL_CONTAINER"})
	require.EqualError(t, err, "submit KILL_CONTAINER: POST "+executions+
		`: 400 missing_required_parameter: missing required parameter of KILL_CONTAINER "host.id"`)
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"":     0,
		"30":   30 * time.Second,
		"0":    0,
		"-1":   0,
		"1.5":  0,
		"soon": 0,

		"14400":               sysdig.MaxRetryAfter,
		"14401":               sysdig.MaxRetryAfter,
		"9223372036854775807": sysdig.MaxRetryAfter,
		time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat): sysdig.MaxRetryAfter,
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat):  0,
	} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
			w.Write(fixture(t, "error-429.json"))
		})
		_, err := c.Me(t.Context())
		e := sysdigError(t, err)
		require.Equal(t, want, e.RetryAfter, header)
		require.Equal(t, "too_many_requests", e.Type)
	}
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, err := c.Me(t.Context())
	require.InDelta(t, time.Hour, sysdigError(t, err).RetryAfter, float64(2*time.Minute))
}

func TestMayHaveTakenEffectKnowsWhatHappened(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		fault sysdigtest.Fault
		may   bool // what the client must conclude
		took  int  // what really happened
	}{
		{"reset before", sysdigtest.Fault{ResetBefore: true}, true, 0},
		{"reset after", sysdigtest.Fault{ResetAfter: true}, true, 1},
		{"truncated", sysdigtest.Fault{Truncate: true}, true, 1},
		{"server error", sysdigtest.Fault{Status: 500}, true, 0},
		{"unavailable", sysdigtest.Fault{Status: 503, RetryAfter: time.Second}, true, 0},
		{"rate limit", sysdigtest.Fault{Status: 429, RetryAfter: time.Second}, false, 0},
		{"forbidden", sysdigtest.Fault{Status: 403}, false, 0},
		{"bad request", sysdigtest.Fault{Status: 400}, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sim, c := simulated(t, sysdigtest.Options{})
			sim.Fault(tc.fault)
			_, err := c.Submit(t.Context(), kill("x"))
			require.Error(t, err)
			require.Equal(t, tc.may, sysdig.MayHaveTakenEffect(err), "%v", err)

			sim.ClearFaults()
			found, err := lately(t, c, "x")
			require.NoError(t, err)
			require.Len(t, found, tc.took)

			sim.Fault(sysdigtest.Fault{Path: executions, ResetAfter: true})
			_, err = c.Undo(t.Context(), "nothing", "x")
			require.True(t, sysdig.MayHaveTakenEffect(err))
			_, err = lately(t, c, "x")
			require.Error(t, err)
			require.False(t, sysdig.MayHaveTakenEffect(err), "reading changes nothing")
		})
	}
}

func TestATimeoutMayHaveTakenEffect(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	sim.Fault(sysdigtest.Fault{Latency: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		sim.WaitFor(t.Context(), func(l sysdigtest.Ledger) bool { return len(l) == 1 })
	}()
	_, err := c.Submit(ctx, kill("x"))
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, sysdig.MayHaveTakenEffect(err))
	require.Equal(t, 1, sim.Ledger().Killed("aaa000000006"))
}

func TestWhatNeverLeftHasNoEffect(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nowhere := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	c := newClient(t, sysdig.Config{AppURL: nowhere, APIURL: nowhere, Token: token})
	_, err = c.Submit(t.Context(), kill("x"))
	require.ErrorContains(t, err, "connection refused")
	require.False(t, sysdig.MayHaveTakenEffect(err))

	sim, c := simulated(t, sysdigtest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Submit(ctx, kill("x"))
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, sysdig.MayHaveTakenEffect(err))

	s := kill("x")
	s.Parameters["process.id"] = func() {} // cannot be encoded
	_, err = c.Submit(t.Context(), s)
	require.ErrorContains(t, err, "encode request")
	require.False(t, sysdig.MayHaveTakenEffect(err))
	require.Zero(t, sim.Requests("POST", ""))

	require.False(t, sysdig.MayHaveTakenEffect(nil))
	require.False(t, sysdig.MayHaveTakenEffect(errors.New("of somebody else")))
}

func TestAnActionIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	// A reused connection that breaks is what makes net/http send again.
	_, err := c.Me(t.Context())
	require.NoError(t, err)
	sim.Fault(sysdigtest.Fault{Method: "POST", ResetAfter: true, Times: 1})
	_, err = c.Submit(t.Context(), kill("x"))
	require.Error(t, err)
	require.Equal(t, 1, sim.Requests("POST", executions))

	_, err = c.Me(t.Context())
	require.NoError(t, err)
	sim.Fault(sysdigtest.Fault{Method: "DELETE", ResetAfter: true, Times: 1})
	_, err = c.Undo(t.Context(), "some", "x")
	require.Error(t, err)
	require.Equal(t, 1, sim.Requests("DELETE", executions))
}

func TestRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	elsewhere := scriptedURL(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed to %s with %q", r.URL, r.Header.Get("Authorization"))
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/?token="+token, status)
		})
		_, err := c.Me(t.Context())
		require.ErrorContains(t, err, "redirect to "+strings.TrimPrefix(elsewhere, "http://")+" refused")
		require.NotContains(t, err.Error(), token)
		_, err = c.Submit(t.Context(), kill("x"))
		require.Equal(t, status, sysdigError(t, err).StatusCode)
	}
}

func TestNoErrorShowsTheToken(t *testing.T) {
	t.Parallel()
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			auth := r.Header.Get("Authorization")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":%q,"message":%q,"details":[%q],"errors":[{"message":%q}]}`, auth, auth, auth, auth)
		}
	}
	for _, status := range []int{200, 400, 401, 429, 500} {
		c := scripted(t, echo(status))
		_, err := c.Submit(t.Context(), kill("x"))
		require.Error(t, err)
		for e := err; e != nil; e = errors.Unwrap(e) {
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), token)
		}
	}
	c := newClient(t, sysdig.Config{AppURL: "http://127.0.0.1:1", APIURL: "http://127.0.0.1:1", Token: token})
	_, err := c.Me(t.Context())
	require.Error(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), token)
}

func TestHugeBodiesAreBounded(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 500} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte(`{"id":"a","message":"` + strings.Repeat("ä", 9<<20)))
			w.Write([]byte(`"}`))
		})
		_, err := c.Execution(t.Context(), "a")
		require.ErrorContains(t, err, map[int]string{200: "longer than 16777216 bytes", 500: "Internal Server Error"}[status])
		require.Less(t, len(err.Error()), 4096)
	}
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		w.Write([]byte(`{"message":"` + strings.Repeat("ä", 5000) + `"}`))
	})
	_, err := c.Execution(t.Context(), "a")
	require.Contains(t, err.Error(), "…(truncated)")
	require.Less(t, len(err.Error()), 2048)
}
