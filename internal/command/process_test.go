package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/command"
	"firebreak/internal/sysdig/sysdigtest"
)

// nowhere is an address where nothing listens.
func nowhere(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// watched is a process's log that calls seen once it holds a text.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.text.Write(p)
	if bytes.Contains(w.text.Bytes(), []byte(w.want)) {
		w.seen()
	}
	return len(p), nil
}

func TestProcessesStopWhenTheyAreTold(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"starter": {"starter", "--listen", "127.0.0.1:0"},
		// It is still waiting for Temporal then.
		"worker": {"worker", "--metrics-listen", "127.0.0.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			log := &watched{want: "listening", seen: stop}
			code := command.Run(ctx, append(args, "--evidence-url", "file://"+t.TempDir()), command.Env{
				Environ: []string{"TEMPORAL_ADDRESS=" + nowhere(t), "FIREBREAK_WEBHOOK_TOKEN=secret-1", "SYSDIG_SECURE_API_TOKEN=secret-2"},
				Stdout:  log, Stderr: log,
			})
			require.Equal(t, 0, code, log.text.String())
			require.NotContains(t, log.text.String(), "secret-")
		})
	}
}

func TestAnAddressInUseIsAFailure(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var log bytes.Buffer
	code := command.Run(t.Context(), []string{"starter", "--listen", listener.Addr().String(), "--evidence-url", "file://" + t.TempDir()},
		command.Env{Environ: []string{"FIREBREAK_WEBHOOK_TOKEN=x"}, Stdout: &log, Stderr: &log})
	require.Equal(t, 1, code)
	require.Contains(t, log.String(), "firebreak: start starter: ")
	require.Contains(t, log.String(), "address already in use")
}

func TestSetupTellsEveryCheckAndFailsIfOneDoes(t *testing.T) {
	t.Parallel()
	sysdig := sysdigtest.Start(t, sysdigtest.Options{Token: "right"})
	for name, c := range map[string]struct {
		token    string
		evidence string
		want     map[string]bool
	}{
		"Temporal down": {"right", "file://" + t.TempDir(), map[string]bool{
			"config": true, "temporal": false, "sysdig token": true, "sysdig agents": true, "sysdig permissions": true, "sysdig actions": true,
			"sysdig captures": true, "sysdig events": true, "evidence store": true, "journal": true, "sources": true, "notifications": true, "hooks": true,
		}},
		"all wrong": {"wrong", "s3://bucket", map[string]bool{
			"config": true, "temporal": false, "sysdig token": false, "evidence store": false, "journal": true, "sources": true, "notifications": true, "hooks": true,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			code := command.Run(t.Context(), []string{"setup", "--output", "json"}, command.Env{
				Environ: []string{
					"TEMPORAL_ADDRESS=" + nowhere(t), "SYSDIG_SECURE_API_TOKEN=" + c.token, "FIREBREAK_EVIDENCE_URL=" + c.evidence,
					"FIREBREAK_SYSDIG_APP_URL=" + sysdig.Config().AppURL, "FIREBREAK_SYSDIG_API_URL=" + sysdig.Config().APIURL,
				},
				Stdout: &out, Stderr: &errs,
			})
			require.Equal(t, 1, code)
			require.Contains(t, errs.String(), "checks failed")
			require.NotContains(t, out.String(), c.token+`"`)
			var checks []struct {
				Check, Detail string
				OK            bool
			}
			require.NoError(t, json.Unmarshal(out.Bytes(), &checks), out.String())
			got := map[string]bool{}
			for _, check := range checks {
				got[check.Check] = check.OK
				require.NotEmpty(t, check.Detail)
			}
			require.Equal(t, c.want, got, out.String())
		})
	}
}

func TestSetupOfTemporalOnlyAsksNobodyElse(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := command.Run(t.Context(), []string{"setup", "--temporal-only", "--output", "json"}, command.Env{
		Environ: []string{"TEMPORAL_ADDRESS=" + nowhere(t), "FIREBREAK_EVIDENCE_URL=s3://bucket"},
		Stdout:  &out, Stderr: &errs,
	})
	require.Equal(t, 1, code, "there is no Temporal")
	require.Equal(t, "firebreak: setup: 1 of 2 checks failed\n", errs.String())
	var checks []struct{ Check string }
	require.NoError(t, json.Unmarshal(out.Bytes(), &checks), out.String())
	require.Equal(t, []struct{ Check string }{{"config"}, {"temporal"}}, checks)
}

func TestSetupChecksEveryTenant(t *testing.T) {
	t.Parallel()
	acme := sysdigtest.Start(t, sysdigtest.Options{Token: "token-of-acme", CustomerName: "Acme Corp"})
	umbrella := sysdigtest.Start(t, sysdigtest.Options{Token: "token-of-umbrella", CustomerName: "Umbrella"})
	file := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
sysdig:
  tenants:
    - {name: acme, app_url: %[1]q, api_url: %[1]q, token: "${ACME}"}
    - {name: umbrella, app_url: %[2]q, api_url: %[2]q, token: "${UMBRELLA}"}
    - {name: initech, region: us4, token: "${INITECH}"}
starter: {sources: [{name: a, auth: {type: none}, tenant: acme}]}
`, acme.URL, umbrella.URL), 0o600))
	var out, errs bytes.Buffer
	command.Run(t.Context(), []string{"setup", "--config", file}, command.Env{
		Environ: []string{
			"TEMPORAL_ADDRESS=" + nowhere(t), "FIREBREAK_EVIDENCE_URL=file://" + t.TempDir(),
			"ACME=token-of-acme", "UMBRELLA=token-of-acme",
		},
		Stdout: &out, Stderr: &errs,
	})
	require.Regexp(t, `(?m)^ok    sysdig tenant acme: .* of customer 55001 \(Acme Corp\) at `+acme.URL+`, agents: \d+ connected$`, out.String())
	require.Regexp(t, `(?m)^FAIL  sysdig tenant umbrella: .*401`, out.String())
	require.Regexp(t, `(?m)^FAIL  sysdig tenant initech: tenant initech: .*sysdig.tenants\[2\].token: environment variable INITECH is not set$`, out.String())
	require.NotContains(t, out.String(), "sysdig token", "nobody needs the account without a name")
	require.NotContains(t, out.String()+errs.String(), "token-of-acme")
}

func TestAWorkerDoesNotStartWithoutATenantsToken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`sysdig: {tenants: [{name: acme, region: us4, token: "${ACME}"}]}`), 0o600))
	var log bytes.Buffer
	code := command.Run(t.Context(), []string{"worker", "--config", file, "--metrics-listen", "127.0.0.1:0"}, command.Env{
		Environ: []string{"TEMPORAL_ADDRESS=" + nowhere(t), "SYSDIG_SECURE_API_TOKEN=x", "FIREBREAK_EVIDENCE_URL=file://" + t.TempDir()},
		Stdout:  &log, Stderr: &log,
	})
	require.Equal(t, 2, code, "as any mistake in the configuration")
	require.Contains(t, log.String(), "tenant acme: "+file+":1:53: sysdig.tenants[0].token: environment variable ACME is not set")
}

func TestSetupChecksTheURLsOfNotificationsAndSendsNothing(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(webhook.Close)
	file := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
approvals: {groups: {soc: [ann]}}
notify:
  urls: ["${ONE}", "${TWO}"]
  groups: {soc: ["${ONE}"]}
`), 0o600))
	for name, c := range map[string]struct {
		two    string
		ok     bool
		detail string
	}{
		"good": {"generic+" + webhook.URL + "/planted-secret", true, "2 channels"},
		"bad":  {"slack://planted-secret", false, file + ":4:20: notify.urls[1]: slack: invalid slack token format; want a URL of shoutrrr, like generic+https://hooks.example.com/path?template=json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			code := command.Run(t.Context(), []string{"setup", "--output", "json", "--config", file}, command.Env{
				Environ: []string{
					"TEMPORAL_ADDRESS=" + nowhere(t), "FIREBREAK_EVIDENCE_URL=file://" + t.TempDir(),
					"ONE=generic+" + webhook.URL + "/one", "TWO=" + c.two,
				},
				Stdout: &out, Stderr: &errs,
			})
			require.Equal(t, 1, code, "the others fail")
			require.NotContains(t, out.String()+errs.String(), "planted-secret")
			var checks []struct {
				Check, Detail string
				OK            bool
			}
			require.NoError(t, json.Unmarshal(out.Bytes(), &checks), out.String())
			of := checks[len(checks)-2]
			require.Equal(t, "notifications", of.Check)
			require.Equal(t, c.ok, of.OK)
			require.Equal(t, c.detail, of.Detail)
			require.Empty(t, asked)
		})
	}
}

func TestAWorkerDoesNotStartOnABadURLOfNotifications(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(file, []byte("notify: {urls: ['${ONE}', '${TWO}']}\n"), 0o600))
	var log bytes.Buffer
	code := command.Run(t.Context(), []string{"worker", "--config", file, "--metrics-listen", "127.0.0.1:0"}, command.Env{
		Environ: []string{
			"TEMPORAL_ADDRESS=" + nowhere(t), "SYSDIG_SECURE_API_TOKEN=x", "FIREBREAK_EVIDENCE_URL=file://" + t.TempDir(),
			"ONE=slack://planted-secret",
		},
		Stdout: &log, Stderr: &log,
	})
	require.Equal(t, 2, code, "as any mistake in the configuration")
	require.Contains(t, log.String(), file+":1:17: notify.urls[0]: slack: invalid slack token format; want a URL of shoutrrr")
	require.Contains(t, log.String(), file+":1:27: notify.urls[1]: environment variable TWO is not set")
	require.NotContains(t, log.String(), "planted-secret")
}

// The worker controller of Kubernetes sets variables of its own.
func TestAWorkerTakesItsVersionFromFlagsThenItsOwnVariablesThenTheControllers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args    string
		environ []string
		want    string
	}{
		"controller": {"", []string{"TEMPORAL_DEPLOYMENT_NAME=a.b", "TEMPORAL_WORKER_BUILD_ID=1"}, `deployment name "a.b"`},
		"controller, build ID": {
			"", []string{"TEMPORAL_DEPLOYMENT_NAME=security/firebreak", "TEMPORAL_WORKER_BUILD_ID=__1"}, `build ID "__1"`,
		},
		"half of it": {"", []string{"TEMPORAL_WORKER_BUILD_ID=1"}, `build ID "1" is given without a deployment name`},
		"own": {
			"", []string{"TEMPORAL_DEPLOYMENT_NAME=a", "FIREBREAK_DEPLOYMENT_NAME=b.c", "TEMPORAL_WORKER_BUILD_ID=1"}, `deployment name "b.c"`,
		},
		"flag": {
			"--build-id __3", []string{"TEMPORAL_DEPLOYMENT_NAME=a", "TEMPORAL_WORKER_BUILD_ID=__1", "FIREBREAK_BUILD_ID=__2"}, `build ID "__3"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			args := append([]string{"worker", "--metrics-listen", "127.0.0.1:0"}, strings.Fields(c.args)...)
			code := command.Run(t.Context(), args, command.Env{Environ: c.environ, Stdout: &log, Stderr: &log})
			require.Equal(t, 2, code)
			require.Contains(t, log.String(), c.want)
		})
	}
}
