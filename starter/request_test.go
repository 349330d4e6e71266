package starter_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"firebreak/internal/certfile/certtest"
	"firebreak/internal/httpauth"
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
	certificates, err := httpauth.NewMTLS(certtest.WriteFile(t, "ca.pem", certtest.NewAuthority(t).PEM), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for want, sources := range map[string][]starter.Source{
		`source "a": no secret`:                           {{Name: "a"}},
		`source "a": secret 2 is empty`:                   {{Name: "a", Secrets: []string{"x", ""}}},
		`source "a": secrets without authentication`:      {{Name: "a", Open: true, Secrets: []string{"x"}}},
		`source "a" is there twice`:                       {{Name: "a", Open: true}, {Name: "a", Open: true}},
		`source "a": authentication of everybody`:         {{Name: "a", Open: true, Auth: httpauth.Basic{}}},
		`source "a": secrets beside certificates`:         {{Name: "a", Auth: certificates, Secrets: []string{"x"}}},
		`source "b": no secret`:                           {{Name: "b", Auth: httpauth.Path{}}},
		`source "b": secret 1 is empty`:                   {{Name: "b", Auth: httpauth.Signature{Header: "X"}, Secrets: []string{""}}},
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
		"application/x-jsonlines":         true,
		"application/jsonlines":           true,
		"application/json;":               true,
		"application/json; charset":       true,
		"application/json; a=1; a=2":      true,
		" application/json ; charset=x":   true,
		"application/cloudevents+json":    true,
		"application/cloudevents-batch+json; charset=utf-8": true,
		"application/vnd.api+json":                          true,
		"Application/Problem+JSON":                          true,
		"model/gltf+json":                                   true,
		"application/x.a+b+json":                            true,
		"application/json+":                                 false,
		"application/+json":                                 false,
		"+json":                                             false,
		"/json":                                             false,
		"/a+json":                                           false,
		"a b/c+json":                                        false,
		"application/json/a+json":                           false,
		"application/cloudevents+xml":                       false,
		"application/jsonx":                                 false,
		"application/x-www-form-urlencoded":                 false,
		"application/octet-stream":                          false,
		"application/cbor":                                  false,
		"application/json, text/plain":                      false,
		";charset=utf-8":                                    false,
		"text/plain":                                        true,
		"text/plain; charset=UTF-8":                         true,
		"text/html":                                         false,
		"application/xml":                                   false,
		"multipart/form-data; boundary=x":                   false,
		"nonsense;;":                                        false,
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
		detail := refused(t, recorder, http.StatusUnsupportedMediaType)
		for _, accepts := range []string{"application/json", "application/x-ndjson", "+json", "text/plain", "none"} {
			require.Contains(t, detail, accepts, contentType)
		}
	}
}

// compress is a body as a sender with Content-Encoding: gzip sends it.
func compress(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, body)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

func TestCompressedBodiesAreExpandedWithinALimit(t *testing.T) {
	t.Parallel()
	batch := array(event("1", "Miner", "6949e5f10829", 2), event("2", "Miner", "6949e5f10829", 2))
	const limit = 8 << 20
	for name, tc := range map[string]struct {
		encoding []string
		body     string
		status   int
		detail   string
	}{
		"gzip":                     {[]string{"gzip"}, compress(t, batch), 202, ""},
		"gzip by its other names":  {[]string{"X-GZip"}, compress(t, batch), 202, ""},
		"in two members":           {[]string{"gzip"}, compress(t, batch[:99]) + compress(t, batch[99:]), 202, ""},
		"plain":                    {[]string{"identity"}, batch, 202, ""},
		"up to the limit":          {[]string{"gzip"}, compress(t, batch+strings.Repeat(" ", limit-len(batch))), 202, ""},
		"a bomb":                   {[]string{"gzip"}, compress(t, strings.Repeat(" ", limit+1)), 413, "the body expands over the limit of 8388608 bytes"},
		"a bomb in members":        {[]string{"gzip"}, strings.Repeat(compress(t, strings.Repeat(" ", limit/4)), 5), 413, "expands over the limit"},
		"malformed":                {[]string{"gzip"}, batch, 400, "the body is not gzip as it is declared: gzip: invalid header"},
		"empty":                    {[]string{"gzip"}, "", 400, "the body is not gzip"},
		"cut":                      {[]string{"gzip"}, compress(t, batch)[:60], 400, "the body is not gzip as it is declared: unexpected EOF"},
		"with a wrong checksum":    {[]string{"gzip"}, damage(compress(t, batch)), 400, "the body is not gzip as it is declared: gzip: invalid checksum"},
		"with more behind it":      {[]string{"gzip"}, compress(t, batch) + "more", 400, "the body is not gzip"},
		"malformed inside":         {[]string{"gzip"}, compress(t, `["text"]`), 400, "byte 1"},
		"compressed, not declared": {nil, compress(t, batch), 400, "byte 0"},
		"deflate":                  {[]string{"deflate"}, batch, 415, `content encoding "deflate": expected gzip, or none`},
		"br":                       {[]string{"br"}, batch, 415, "expected gzip"},
		"twice":                    {[]string{"gzip, gzip"}, compress(t, compress(t, batch)), 415, "expected gzip"},
		"twice, in two headers":    {[]string{"gzip", "gzip"}, compress(t, compress(t, batch)), 415, "expected gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t)
			recorder := w.post(t, tc.body, func(r *http.Request) { r.Header["Content-Encoding"] = tc.encoding })
			if tc.status == http.StatusAccepted {
				require.Equal(t, 2, accepted(t, recorder).Received)
				return
			}
			require.Contains(t, refused(t, recorder, tc.status), tc.detail)
			if tc.status == http.StatusUnsupportedMediaType {
				require.Equal(t, "gzip", recorder.Header().Get("Accept-Encoding"))
			}
			require.Empty(t, w.temporal.calls)
		})
	}
}

// damage changes a bit of the checksum of a compressed body.
func damage(body string) string {
	b := []byte(body)
	b[len(b)-8] ^= 1
	return string(b)
}

func TestTheLimitOfBodiesIsConfigured(t *testing.T) {
	t.Parallel()
	small := newDoor(t, starter.Source{Open: true, MaxBody: 1024})
	accepted(t, small.knock(t, "", "[]"+strings.Repeat(" ", 1022)))
	require.Contains(t, refused(t, small.knock(t, "", "[]"+strings.Repeat(" ", 1023)), http.StatusRequestEntityTooLarge),
		"over the limit of 1024 bytes")
	accepted(t, small.knock(t, "", compress(t, "[]"+strings.Repeat(" ", 4096)), with("Content-Encoding", "gzip")))

	large := newDoor(t, starter.Source{Open: true, MaxBody: 10 << 20})
	accepted(t, large.knock(t, "", "[]"+strings.Repeat(" ", 9<<20)))
	accepted(t, large.knock(t, "", compress(t, "[]"+strings.Repeat(" ", 9<<20)), with("Content-Encoding", "gzip")))
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
