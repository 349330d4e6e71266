package codec_test

import (
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.uber.org/fx"

	"firebreak/internal/codec"
	"firebreak/internal/config"
	"firebreak/internal/encryption"
	"firebreak/internal/httpauth"
	"firebreak/internal/telemetry"
)

const page = "http://127.0.0.1:8233"

// serve serves a keyset of its own in all ways that the configuration has.
func serve(t *testing.T) (url string, keys *encryption.Keyset, metrics *prometheus.Registry) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset.json")
	_, err := encryption.Create(path)
	require.NoError(t, err)
	keys, err = encryption.Open(path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	metrics = prometheus.NewRegistry()
	h, err := codec.NewHandler(codec.Config{
		Codec: keys, Origins: []string{page}, Metrics: metrics, Log: slog.New(slog.DiscardHandler),
		Ways: []codec.Way{
			{Auth: httpauth.Bearer{}, Secrets: []string{"b-secret"}},
			{Auth: httpauth.Basic{}, Secrets: []string{"ann:pw"}},
			{Auth: httpauth.Path{}, Secrets: []string{"p-secret"}},
		},
	})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL, keys, metrics
}

func ask(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(text)
}

func TestWhoHasNoKeyReadsAndWritesThroughTheServer(t *testing.T) {
	t.Parallel()
	url, keys, _ := serve(t)
	for endpoint, auth := range map[string]string{
		url: "Bearer b-secret", url + "/": "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:pw")), url + "/p-secret": "",
	} {
		mine := converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), keys)
		theirs := converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), encryption.Remote(endpoint, auth, "default"))
		p, err := mine.ToPayload("x")
		require.NoError(t, err)
		var got string
		require.NoError(t, theirs.FromPayload(p, &got))
		require.Equal(t, "x", got)
		p, err = theirs.ToPayload("y")
		require.NoError(t, err)
		require.Equal(t, encryption.Encoding, string(p.GetMetadata()["encoding"]))
		require.NoError(t, mine.FromPayload(p, &got))
		require.Equal(t, "y", got)
	}
}

func TestNobodyElseIsAnswered(t *testing.T) {
	t.Parallel()
	url, _, metrics := serve(t)
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		status       int
	}{
		"nothing":              {"POST", "/decode", nil, 401},
		"another token":        {"POST", "/decode", []string{"Authorization", "Bearer p-secret"}, 401},
		"another path":         {"POST", "/b-secret/decode", nil, 401},
		"another user":         {"POST", "/encode", []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:pw"))}, 401},
		"a page of elsewhere":  {"POST", "/p-secret/decode", []string{"Origin", "http://evil.example.com"}, 403},
		"a longer origin":      {"OPTIONS", "/decode", []string{"Origin", page + "0"}, 403},
		"a page of no origin":  {"POST", "/p-secret/decode", []string{"Origin", "null"}, 403},
		"a GET":                {"GET", "/p-secret/decode", nil, 405},
		"another operation":    {"POST", "/p-secret/delete", nil, 404},
		"the root":             {"POST", "/", nil, 404},
		"no payloads":          {"POST", "/p-secret/decode", nil, 400},
		"a page, unauthorized": {"POST", "/decode", []string{"Origin", page}, 401},
	} {
		response, text := ask(t, c.method, url+c.path, "x", c.headers...)
		require.Equal(t, c.status, response.StatusCode, name)
		require.NotContains(t, text, "secret", name)
		if c.status == http.StatusUnauthorized {
			require.Equal(t, []string{`Bearer realm="firebreak"`, `Basic realm="firebreak"`, `Path realm="firebreak"`}, response.Header.Values("WWW-Authenticate"))
		}
	}
	require.NoError(t, testutil.GatherAndCompare(metrics, strings.NewReader(`
# HELP firebreak_codec_requests_total Requests to the codec server, by operation and status of the answer.
# TYPE firebreak_codec_requests_total counter
firebreak_codec_requests_total{operation="decode",status="400"} 1
firebreak_codec_requests_total{operation="decode",status="401"} 4
firebreak_codec_requests_total{operation="decode",status="403"} 3
firebreak_codec_requests_total{operation="decode",status="405"} 1
firebreak_codec_requests_total{operation="encode",status="401"} 1
`)))
	response, _ := ask(t, "POST", url+"/p-secret/decode", strings.Repeat(" ", 8<<20+1))
	require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
}

func TestTemporalWebMayAskFromItsOriginAlone(t *testing.T) {
	t.Parallel()
	url, _, _ := serve(t)
	response, _ := ask(t, "OPTIONS", url+"/p-secret/decode", "", "Origin", page,
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,x-namespace,authorization")
	require.Equal(t, http.StatusNoContent, response.StatusCode)
	for header, want := range map[string]string{
		"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Headers": "Authorization, Authorization-Extras, Content-Type, X-Namespace", "Vary": "Origin",
	} {
		require.Equal(t, want, response.Header.Get(header))
	}
	response, text := ask(t, "POST", url+"/p-secret/decode", `{"payloads":[]}`, "Origin", page)
	require.Equal(t, http.StatusOK, response.StatusCode, text)
	require.Equal(t, page, response.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
}

func TestTheServerDoesNotStartForAnybody(t *testing.T) {
	t.Parallel()
	_, err := codec.NewHandler(codec.Config{Metrics: prometheus.NewRegistry()})
	require.ErrorContains(t, err, `codec.auth: it is missing; want a way to authenticate, like {type: bearer`)
}

func TestTheModuleNeedsNothingItIsNotGiven(t *testing.T) {
	t.Parallel()
	require.NoError(t, fx.ValidateApp(
		fx.Supply(&config.Config{}, &telemetry.Metrics{}, slog.New(slog.DiscardHandler), (*encryption.Keyset)(nil)), codec.Module,
	))
}
