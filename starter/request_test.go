package starter_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"firebreak/starter"
)

func TestOnlyAValidBearerTokenIsLetIn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header []string
		want   int
	}{
		"the first secret":                 {[]string{stolen}, http.StatusAccepted},
		"the second, during a rotation":    {[]string{"Bearer " + second}, http.StatusAccepted},
		"the scheme in another case":       {[]string{"bearer " + secret}, http.StatusAccepted},
		"no header":                        {nil, http.StatusUnauthorized},
		"an empty token":                   {[]string{"Bearer "}, http.StatusUnauthorized},
		"the scheme alone":                 {[]string{"Bearer"}, http.StatusUnauthorized},
		"a wrong token":                    {[]string{"Bearer " + secret + "x"}, http.StatusUnauthorized},
		"a prefix of the token":            {[]string{"Bearer " + secret[:5]}, http.StatusUnauthorized},
		"another scheme":                   {[]string{"Basic " + secret}, http.StatusUnauthorized},
		"the secret without a scheme":      {[]string{secret}, http.StatusUnauthorized},
		"a second header cannot make good": {[]string{"Bearer x", stolen}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t)
			recorder := w.post(t, event("1", "Miner", "6949e5f10829", 2), func(r *http.Request) { r.Header["Authorization"] = tc.header })
			if tc.want == http.StatusAccepted {
				accepted(t, recorder)
				return
			}
			refused(t, recorder, tc.want)
			require.Equal(t, `Bearer realm="firebreak"`, recorder.Header().Get("WWW-Authenticate"))
			require.Empty(t, w.temporal.calls)
		})
	}
}

func TestAnOpenSourceAsksForNoToken(t *testing.T) {
	t.Parallel()
	accepted(t, newWebhook(t).post(t, "[]", func(r *http.Request) {
		r.Header.Del("Authorization")
		r.URL.Path = "/v1/events/lab"
	}))
}

func TestSourcesThatWouldLetAnybodyInAreRefused(t *testing.T) {
	t.Parallel()
	for want, sources := range map[string][]starter.Source{
		`source "a": no secret`:                           {{Name: "a"}},
		`source "a": secret 2 is empty`:                   {{Name: "a", Secrets: []string{"x", ""}}},
		`source "a": secrets without authentication`:      {{Name: "a", Open: true, Secrets: []string{"x"}}},
		`source "a" is there twice`:                       {{Name: "a", Open: true}, {Name: "a", Open: true}},
		`source "a/b": want a name that can stand in /v1`: {{Name: "a/b", Open: true}},
	} {
		_, err := starter.NewHandler(starter.Config{Sources: sources, Metrics: prometheus.NewRegistry()})
		require.ErrorContains(t, err, want)
	}
}

func TestContentTypesAreThoseOfTheSenders(t *testing.T) {
	t.Parallel()
	for contentType, ok := range map[string]bool{
		"":                                true,
		"application/json":                true,
		"application/json; charset=utf-8": true,
		"Application/JSON":                true,
		"application/x-ndjson":            true,
		"application/ndjson":              true,
		"application/jsonl":               true,
		"text/plain":                      true,
		"text/plain; charset=UTF-8":       true,
		"text/html":                       false,
		"application/xml":                 false,
		"multipart/form-data; boundary=x": false,
		"nonsense;;":                      false,
	} {
		recorder := newWebhook(t).post(t, "[]", func(r *http.Request) {
			r.Header.Del("Content-Type")
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
		})
		if ok {
			accepted(t, recorder)
			continue
		}
		require.Contains(t, refused(t, recorder, http.StatusUnsupportedMediaType), "want application/json")
	}
	recorder := newWebhook(t).post(t, "[]", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
	refused(t, recorder, http.StatusUnsupportedMediaType)
}

func TestMalformedBodiesAreRefusedWithTheirOffset(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`[{"a":1},{"b":}]`:  "byte 14",
		"{\"a\":1}\n{\"b\"": "byte 12",
		`["text"]`:          "byte 1",
		``:                  "byte 0",
	} {
		w := newWebhook(t)
		require.Contains(t, refused(t, w.post(t, body), http.StatusBadRequest), want, body)
		require.Empty(t, w.temporal.calls)
		require.Empty(t, w.quarantine.files)
	}
}

func TestBodiesOverTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	accepted(t, w.post(t, "[]"+strings.Repeat(" ", 1<<20-2)))
	refused(t, w.post(t, "[]"+strings.Repeat(" ", 1<<20-1)), http.StatusRequestEntityTooLarge)
	refused(t, w.post(t, "[]"+strings.Repeat(" ", 1<<20), func(r *http.Request) { r.ContentLength = -1 }),
		http.StatusRequestEntityTooLarge)
	refused(t, w.post(t, "", func(r *http.Request) {
		r.Body = unread{t}
		r.ContentLength = 1<<20 + 1
	}), http.StatusRequestEntityTooLarge)
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the declared length suffices")
	return 0, io.EOF
}
func (u unread) Close() error { return nil }

func TestOtherPathsAndMethodsAreProblemsToo(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	at := func(path string) func(*http.Request) { return func(r *http.Request) { r.URL.Path = path } }
	refused(t, w.post(t, "[]", at("/v1/events/other")), http.StatusNotFound)
	refused(t, w.post(t, "[]", at("/v1/events/")), http.StatusNotFound)
	refused(t, w.post(t, "[]", at("/v1/events/sysdig/x")), http.StatusNotFound)
	refused(t, w.post(t, "[]", at("/")), http.StatusNotFound)
	recorder := w.post(t, "", func(r *http.Request) { r.Method = http.MethodGet })
	refused(t, recorder, http.StatusMethodNotAllowed)
	require.Equal(t, "POST", recorder.Header().Get("Allow"))

	metrics := w.metrics(t)
	require.Contains(t, metrics, `firebreak_webhook_requests_total{code="404",source="(unknown)"} 1`)
	require.NotContains(t, metrics, "other", "callers cannot make up labels")
}
