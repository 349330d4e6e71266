package hooks_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/hooks"
)

// text is a secret whose value is known.
type text string

func (t text) Resolve() (string, error) { return string(t), nil }

// calls is a Sender of one hook, which route r calls when something is contained.
func calls(t *testing.T, to string, edit func(*hooks.Hook)) *hooks.Sender {
	t.Helper()
	h := hooks.Hook{
		Name: "edr", Method: http.MethodPost, URL: text(to), Body: parse(t, `{"host": "{{required .incident.host.name}}", "link": {{.link}}}`),
		Timeout: time.Minute, Routes: map[hooks.Moment][]string{hooks.Contained: {"r"}},
	}
	if edit != nil {
		edit(&h)
	}
	return hooks.New(hooks.Config{Hooks: []hooks.Hook{h}})
}

// answers is a server that answers every request in one way.
func answers(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.URL
}

func failed(t *testing.T, err error) *hooks.Error {
	t.Helper()
	var e *hooks.Error
	require.ErrorAs(t, err, &e)
	return e
}

func TestACallIsOneRequestWithItsHeadersAndItsKey(t *testing.T) {
	t.Parallel()
	to := answers(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s %s %s %s %t\n %s", r.Method, r.URL, h.Get("Idempotency-Key"), h.Get("User-Agent"), h.Get("Content-Type"),
			h.Get("X-Token") == "planted-secret", body)
	})
	s := hooks.New(hooks.Config{
		Hooks: []hooks.Hook{{
			Name: "edr", Method: http.MethodPut, URL: text(to + "/isolate"), Headers: map[string]hooks.Secret{"X-Token": text("planted-secret")},
			Body: parse(t, `{"link": {{.link}}}`), Routes: map[hooks.Moment][]string{hooks.Contained: {"r"}},
		}},
		Link: func(workflowID, runID string) string {
			return "https://temporal.example.com/" + workflowID + "/" + runID
		},
	})
	answer, err := s.Call(t.Context(), "edr", "key-1", event())
	require.NoError(t, err)
	require.Equal(t, "201 Created", answer.Status)
	require.Equal(t, `PUT /isolate key-1 firebreak application/json true {"link": "https://temporal.example.com/respond:r:node-1:6949e5f10829/run-1"}`,
		answer.Excerpt)
}

func TestWhatAStatusMeans(t *testing.T) {
	t.Parallel()
	for status, final := range map[int]bool{
		400: true, 401: true, 403: true, 404: true, 409: true, 410: true, 422: true,
		408: false, 425: false, 429: false, 500: false, 502: false, 503: false, 504: false,
	} {
		to := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "the reason\n")
		})
		_, err := calls(t, to, nil).Call(t.Context(), "edr", "k", event())
		e := failed(t, err)
		require.Equal(t, final, e.Final, status)
		require.Equal(t, fmt.Sprintf("%d %s: the reason", status, http.StatusText(status)), e.Text)
		if !final {
			require.Equal(t, 7*time.Second, e.RetryAfter)
		}
	}
	for _, status := range []int{200, 201, 202, 204} {
		to := answers(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_, err := calls(t, to, nil).Call(t.Context(), "edr", "k", event())
		require.NoError(t, err, status)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := answers(t, func(http.ResponseWriter, *http.Request) { t.Error("the headers went to another host") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		to := answers(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other+"/?planted-secret", status) })
		_, err := calls(t, to, nil).Call(t.Context(), "edr", "k", event())
		e := failed(t, err)
		require.True(t, e.Final)
		require.Contains(t, e.Text, "redirects are not followed")
		require.NotContains(t, e.Text, "planted-secret")
	}
}

// Nothing is called that the worker's own configuration does not name: who may
// start incidents brings their own routes.
func TestOnlyWhatARouteOfTheWorkersCallsIsCalled(t *testing.T) {
	t.Parallel()
	to := answers(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	s := calls(t, to, nil)
	_, err := s.Call(t.Context(), "jira", "k", event())
	require.True(t, failed(t, err).Final)
	require.ErrorContains(t, err, "this worker has no hook of that name")
	for name, edit := range map[string]func(*hooks.Event){
		"route":  func(e *hooks.Event) { e.Route = "mine" },
		"moment": func(e *hooks.Event) { e.Moment = hooks.Opened },
	} {
		e := event()
		edit(&e)
		_, err := s.Call(t.Context(), "edr", "k", e)
		require.True(t, failed(t, err).Final, name)
		require.ErrorContains(t, err, "on this worker no route")
	}
	e := event()
	e.Incident.Host.Name = ""
	_, err = s.Call(t.Context(), "edr", "k", e)
	require.True(t, failed(t, err).Final)
	require.ErrorContains(t, err, "<required .incident.host.name>")
}

func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	const user, password, query, path, token, odd = "planted-user", "planted-pass/word", "planted-query", "planted-path-0123456789", "planted-token", `planted"odd\`
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	header := func(h *hooks.Hook) {
		h.Headers = map[string]hooks.Secret{"Authorization": text("Bearer " + token), "X-Odd": text(odd), "X-Basic": text("Basic " + basic), "X-Short": text("plan")}
	}
	secret := func(to string) string {
		u, err := url.Parse(to)
		require.NoError(t, err)
		u.User, u.Path, u.RawQuery = url.UserPassword(user, password), "/"+path, "key="+query
		return u.String()
	}
	echo := answers(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "key SEC-7 %s %q %q %s", r.URL, r.Header["X-Odd"], r.Header["Authorization"], url.QueryEscape(password))
	})
	refused := answers(t, http.NotFound)
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tc := range map[string]struct {
		to   string
		edit func(*hooks.Hook)
	}{
		"what is sent back":             {secret(echo), header},
		"what is sent back of a URL":    {secret(echo), nil}, // net/http makes a header of its user
		"what is sent back of a header": {echo, header},
		"an answer":                     {secret(refused), header},
		"no answer":                     {secret(closed.URL), header},
		"no URL":                        {"http://" + user + ":" + password + "@host name/" + path, header},
	} {
		_, err := calls(t, tc.to, tc.edit).Call(t.Context(), "edr", "k", event())
		require.Error(t, err, name)
		hidden := []string{"ted-token", "odd", basic}
		if tc.to != echo {
			hidden = append(hidden, user, "planted", query, path)
		}
		for _, planted := range hidden {
			require.NotContains(t, err.Error(), planted, name)
		}
	}
	_, err := calls(t, secret(echo), header).Call(t.Context(), "edr", "k", event())
	require.ErrorContains(t, err, "400 Bad Request: key SEC-7 ")
}

func TestAnAnswerIsShownAsOneShortLine(t *testing.T) {
	t.Parallel()
	to := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "a\r\n\tb\x00\x1b[31m\u202ec\xff"+strings.Repeat("é", 1<<20))
	})
	answer, err := calls(t, to, nil).Call(t.Context(), "edr", "k", event())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(answer.Excerpt, "a b��[31m�c�é"), answer.Excerpt)
	require.LessOrEqual(t, len(answer.Excerpt), 205)
	require.NotContains(t, answer.Excerpt, "\n")
}

func TestASlowServiceIsGivenUp(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	to := answers(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
		}
	})
	t.Cleanup(func() { close(done) })
	_, err := calls(t, to, func(h *hooks.Hook) { h.Timeout = 50 * time.Millisecond }).Call(t.Context(), "edr", "k", event())
	e := failed(t, err)
	require.False(t, e.Final)
	require.Equal(t, "no answer in time", e.Text)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = calls(t, to, nil).Call(ctx, "edr", "k", event())
	require.False(t, failed(t, err).Final)
}

func TestAnAnswerWithoutAnEndIsReadInItsBeginning(t *testing.T) {
	t.Parallel()
	written := make(chan int, 1)
	to := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		all, chunk := 0, bytes.Repeat([]byte("a"), 64<<10)
		for {
			n, err := w.Write(chunk)
			if all += n; err != nil {
				written <- all
				return
			}
		}
	})
	answer, err := calls(t, to, func(h *hooks.Hook) { h.Timeout = 5 * time.Second }).Call(t.Context(), "edr", "k", event())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(answer.Excerpt, "aaa"))
	require.Less(t, <-written, 64<<20)
}
