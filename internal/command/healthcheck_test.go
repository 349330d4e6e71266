package command_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/certfile/certtest"
	"firebreak/internal/command"
)

// healthcheck returns the exit code of `firebreak healthcheck` and what it said.
func healthcheck(t *testing.T, environ []string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := command.Run(t.Context(), append([]string{"healthcheck"}, args...), command.Env{Environ: environ, Stdout: &out, Stderr: &out})
	return code, out.String()
}

// probed is a process of which only the probes are there; it returns its
// address.
func probed(t *testing.T, live, ready int) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(live) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(ready)
		fmt.Fprintln(w, "because")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestHealthIsWhatTheProcessSays(t *testing.T) {
	t.Parallel()
	well, waiting, nobody := probed(t, 200, 200), probed(t, 200, 503), nowhere(t)
	for name, c := range map[string]struct {
		worker, starter string
		args            []string
		code            int
		says            string
	}{
		"the worker is ready":                   {well, waiting, []string{"worker"}, 0, `^ok    worker: ` + well + ` says because\n$`},
		"the starter is not":                    {well, waiting, []string{"starter"}, 1, `^FAIL  starter: ` + waiting + ` says because \(503 Service Unavailable\)\nfirebreak: healthcheck: not well\n$`},
		"but it lives":                          {well, waiting, []string{"starter", "--live"}, 0, `^ok    starter: `},
		"the one that listens is asked":         {nowhere(t), well, nil, 0, `^ok    starter: \S+ says because\n$`},
		"and the other one, where it is that":   {waiting, nowhere(t), nil, 1, `^FAIL  worker: \S+ says because`},
		"both are, where both listen":           {well, waiting, nil, 1, `^ok    worker: .*\nFAIL  starter: `},
		"one that is named has to listen":       {nowhere(t), well, []string{"worker", "--live"}, 1, `^FAIL  worker: .*connection refused`},
		"none listens":                          {nowhere(t), nowhere(t), []string{"--live"}, 1, `^FAIL  worker: .*\nFAIL  starter: .*\nFAIL  codec: .*connection refused`},
		"a codec server that listens is asked":  {nowhere(t), nowhere(t), []string{"--live", "--codec-listen", well}, 0, `^ok    codec: \S+ says`},
		"and can be named":                      {well, well, []string{"codec", "--codec-listen", waiting}, 1, `^FAIL  codec: \S+ says because`},
		"a port of its own choice is not known": {"127.0.0.1:0", well, []string{"worker"}, 1, `picks itself \(127.0.0.1:0\)`},
		"JSON":                                  {well, well, []string{"worker", "--output", "json"}, 0, `^\[\n  \{\n    "check": "worker",\n    "ok": true,`},
		"another process":                       {well, well, []string{"setup"}, 2, `^firebreak: healthcheck setup: want worker, starter, codec or nothing\n$`},
		"both by name":                          {well, well, []string{"worker", "starter"}, 2, `want worker, starter, codec or nothing`},
		"an address of every interface is ours": {"0.0.0.0:" + port(t, well), well, []string{"worker"}, 0, `^ok    worker: 0\.0\.0\.0:`},
		"and so is one that names no interface": {":" + port(t, well), well, []string{"worker"}, 0, `^ok    worker: :\d+ says`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, said := healthcheck(t, []string{"FIREBREAK_METRICS_LISTEN=" + c.worker, "FIREBREAK_LISTEN=" + c.starter, "FIREBREAK_CODEC_LISTEN=" + nobody}, c.args...)
			require.Equal(t, c.code, code, said)
			require.Regexp(t, c.says, said)
		})
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return port
}

func TestAHealthCheckDoesNotWaitForAProcessThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and answers none
	require.NoError(t, err)
	defer listener.Close()
	code, said := healthcheck(t, nil, "worker", "--metrics-listen", listener.Addr().String())
	require.Equal(t, 1, code)
	require.Contains(t, said, "deadline exceeded")
}

// TestAStarterIsAsReadyAsItsJournal asks a starter that speaks TLS, with a
// certificate for the name that senders use, while there is no Temporal.
func TestAStarterIsAsReadyAsItsJournal(t *testing.T) {
	t.Parallel()
	cert, key := certtest.NewAuthority(t).Client(t, "firebreak.example.com").Write(t)
	for name, c := range map[string]struct {
		journal string
		ready   int
	}{
		"with one":    {t.TempDir(), 0},
		"without one": {"", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "firebreak.yaml")
			require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "starter: {tls: {cert: %q, key: %q}, journal: %q}\n", cert, key, c.journal), 0o600))
			environ := []string{"TEMPORAL_ADDRESS=" + nowhere(t), "FIREBREAK_WEBHOOK_TOKEN=x", "FIREBREAK_EVIDENCE_URL=file://" + t.TempDir(), "FIREBREAK_CONFIG=" + file}

			ctx, stop := context.WithCancel(t.Context())
			listening, see := context.WithCancel(t.Context())
			defer see()
			log := &watched{want: "listening", seen: see}
			stopped := make(chan int, 1)
			go func() {
				stopped <- command.Run(ctx, []string{"starter", "--listen", "127.0.0.1:0"}, command.Env{Environ: environ, Stdout: log, Stderr: log})
				see()
			}()
			<-listening.Done()
			log.mu.Lock()
			address := regexp.MustCompile(`127\.0\.0\.1:[1-9]\d*`).FindString(regexp.MustCompile(`.*listening.*`).FindString(log.text.String()))
			log.mu.Unlock()

			code, said := healthcheck(t, environ, "starter", "--listen", address)
			require.Equal(t, c.ready, code, said)
			code, said = healthcheck(t, environ, "--live", "--listen", address, "--metrics-listen", nowhere(t))
			require.Equal(t, 0, code, "what waits for Temporal is alive: %s", said)
			stop()
			require.Equal(t, 0, <-stopped)
		})
	}
}
