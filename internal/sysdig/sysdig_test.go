package sysdig_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

// simulated returns a simulated Sysdig and a client of it.
func simulated(t *testing.T, opts sysdigtest.Options) (*sysdigtest.Server, *sysdig.Client) {
	t.Helper()
	sim := sysdigtest.Start(t, opts)
	return sim, newClient(t, sim.Config())
}

// scripted returns a client of a server that answers everything with handler.
func scripted(t *testing.T, handler http.HandlerFunc) *sysdig.Client {
	t.Helper()
	ts := httptest.NewServer(handler)
	t.Cleanup(func() {
		ts.CloseClientConnections()
		ts.Close()
	})
	return newClient(t, sysdig.Config{AppURL: ts.URL + "/app/", APIURL: ts.URL + "/api", Token: token})
}

const token = "tkn-3141592653589793"

func newClient(t *testing.T, cfg sysdig.Config) *sysdig.Client {
	t.Helper()
	c, err := sysdig.NewClient(cfg)
	require.NoError(t, err)
	return c
}

// answer replies with a file of testdata.
func answer(t *testing.T, status int, name string) http.HandlerFunc {
	t.Helper()
	body := fixture(t, name)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write(body)
	}
}

// recorded returns a client of a server that answers with a file of testdata,
// and what was sent to it last.
func recorded(t *testing.T, status int, name string) (c *sysdig.Client, sent func() string) {
	t.Helper()
	bodies := make(chan string, 1)
	reply := answer(t, status, name)
	c = scripted(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		bodies <- string(raw)
		reply(w, r)
	})
	return c, func() string { return <-bodies }
}

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return raw
}

func TestEachHostFamilyIsAskedForWhatItServes(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 10)
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		http.Error(w, "", http.StatusTeapot)
	})
	ctx := t.Context()
	for _, tc := range []struct {
		want string
		call func() error
	}{
		{"POST /api/secure/response-actions/v1alpha1/action-executions", func() error {
			_, err := c.Submit(ctx, sysdig.Submission{ActionType: "KILL_CONTAINER"})
			return err
		}},
		{"GET /api/secure/response-actions/v1alpha1/action-executions/a%2Fb", func() error { _, err := c.Execution(ctx, "a/b"); return err }},
		{"DELETE /api/secure/response-actions/v1alpha1/action-executions/x?callerId=me", func() error { _, err := c.Undo(ctx, "x", "me"); return err }},
		{"GET /api/secure/response-actions/v1alpha1/action-executions?callerId=me&from=1000000000&limit=200&to=2000000000", func() error {
			_, err := c.ExecutionsByCaller(ctx, "me", time.Unix(1, 0), time.Unix(2, 0))
			return err
		}},
		{"GET /app/api/agents/connected", func() error { _, err := c.ConnectedAgents(ctx); return err }},
		{"GET /app/api/users/me/permissions", func() error { _, err := c.Permissions(ctx); return err }},
		{"GET /app/api/users/me", func() error { _, err := c.Me(ctx); return err }},
		{"GET /app/api/v1/captures/7", func() error { _, err := c.Capture(ctx, 7); return err }},
		{"GET /app/api/v1/captures/7/download", func() error { _, err := c.DownloadCapture(ctx, 7, 1e9); return err }},
	} {
		require.Error(t, tc.call(), tc.want)
		r := <-seen
		require.Equal(t, tc.want, r.Method+" "+r.URL.RequestURI())
		require.Equal(t, "Bearer "+token, r.Header.Get("Authorization"))
		require.Equal(t, "firebreak", r.Header.Get("User-Agent"))
		// Packed on the way, a file would have no known size.
		require.Equal(t, strings.HasSuffix(tc.want, "/download"), r.Header.Get("Accept-Encoding") == "identity")
	}
}

func TestNewClientReportsEveryProblemWithoutShowingTheToken(t *testing.T) {
	t.Parallel()
	_, err := sysdig.NewClient(sysdig.Config{AppURL: "us2.app.sysdig.com", APIURL: "", Token: "secret\n"})
	require.ErrorContains(t, err, `AppURL "us2.app.sysdig.com": want an http or https URL`)
	require.ErrorContains(t, err, "APIURL is empty")
	require.ErrorContains(t, err, "the token holds a space, a line break")
	require.NotContains(t, fmt.Sprintf("%+v", err), "secret")

	for name, url := range map[string]string{
		"a password":           "https://me:hunter2@sysdig.example",
		"a query":              "https://sysdig.example?token=hunter2",
		"an unparsable host":   "https://[hunter2",
		"another scheme":       "ftp://sysdig.example",
		"no host":              "https:///path",
		"a fragment":           "https://sysdig.example#hunter2",
		"a control character ": "https://hunter2\x7f",
	} {
		_, err := sysdig.NewClient(sysdig.Config{AppURL: url, APIURL: "https://api.sysdig.example", Token: token})
		require.ErrorContains(t, err, "AppURL", name)
		require.NotContains(t, err.Error(), "hunter2", name)
	}

	_, err = sysdig.NewClient(sysdig.Config{AppURL: "https://a.example/", APIURL: "http://b.example/base/"})
	require.ErrorContains(t, err, "token is empty")
}

func TestRegionsHaveTheirTwoHosts(t *testing.T) {
	t.Parallel()
	for region, want := range map[string][2]string{
		"us1": {"https://secure.sysdig.com", "https://api.us1.sysdig.com"},
		"us2": {"https://us2.app.sysdig.com", "https://api.us2.sysdig.com"},
		"us4": {"https://app.us4.sysdig.com", "https://api.us4.sysdig.com"},
		"eu1": {"https://eu1.app.sysdig.com", "https://api.eu1.sysdig.com"},
		"me2": {"https://app.me2.sysdig.com", "https://api.me2.sysdig.com"},
	} {
		app, api, err := sysdig.RegionURLs(region)
		require.NoError(t, err)
		require.Equal(t, want, [2]string{app, api})
	}
	_, _, err := sysdig.RegionURLs("mars")
	require.EqualError(t, err, `sysdig region "mars": want one of us1, us2, us3, us4, eu1, eu2, au1, in1, jp1, me2`)
}

func scriptedURL(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	ts := httptest.NewServer(handler)
	t.Cleanup(ts.Close)
	return ts.URL
}
