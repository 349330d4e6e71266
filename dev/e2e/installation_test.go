package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/evidence"
	"firebreak/internal/sysdig/sysdigtest"
)

const webhookToken = "webhook-token"

// routes are those of most tests. The cool-down is short because nothing
// returns.
const routes = `
  - name: crypto-miner
    when: incident.rule.name == "` + minerRule + `"
    playbook: crypto-miner
    max_severity: 3
    cool_down: 100ms
  - name: capture
    when: incident.severity <= 3
    playbook: capture
    save_approval: {mode: none}
`

// installation is a Firebreak with a simulated Sysdig, an evidence store and a
// task queue of its own. Its processes are started by the test.
type installation struct {
	t *testing.T
	// ctx ends when the test has taken far too long.
	ctx      context.Context
	temporal *temporalServer
	sysdig   *sysdigtest.Server
	host     sysdigtest.Host
	evidence *evidence.Store
	// evidenceDir is where the evidence lies.
	evidenceDir string
	config      string
	env         []string
	args        []string
	// starterEnv and starterArgs are the starter's beside those of both.
	starterEnv  []string
	starterArgs []string
	starterURL  string
	// otherStarters are the URLs of further ones: senders send to each in turn.
	otherStarters []string
	sent          *atomic.Int64
	// source is the name that senders post to; "" is sysdig.
	source      string
	starterProc *process
	// http is how senders talk to the starter.
	http *http.Client
}

// install prepares an installation on a Temporal server and starts its starter.
func install(t *testing.T, temporal *temporalServer, routes string, options sysdigtest.Options) *installation {
	t.Helper()
	f := prepare(t, temporal, routes, options, newHost())
	f.starter()
	return f
}

// prepare prepares an installation with one host, of which the targets are
// containers. The test starts its starter.
func prepare(t *testing.T, temporal *temporalServer, routes string, options sysdigtest.Options, targets ...sysdigtest.Host) *installation {
	t.Helper()
	f := &installation{
		t: t, temporal: temporal, host: hostOf(targets), evidenceDir: filepath.Join(t.TempDir(), "evidence"),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, sent: new(atomic.Int64),
	}
	t.Cleanup(f.http.CloseIdleConnections)
	f.allow(2 * time.Minute)
	ctx := f.ctx
	options.Hosts = []sysdigtest.Host{f.host}
	f.sysdig = sysdigtest.Start(t, options)
	t.Cleanup(func() { require.Empty(t, f.sysdig.Invalid(), "requests that Sysdig does not describe") })
	var err error
	f.evidence, err = evidence.Open(ctx, "file://"+f.evidenceDir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.evidence.Close()) })
	f.config = filepath.Join(t.TempDir(), "firebreak.yaml")
	f.configure("routes: " + routes)
	f.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TEMPORAL_ADDRESS=" + temporal.address,
		"SYSDIG_SECURE_API_TOKEN=" + f.sysdig.Config().Token, "FIREBREAK_WEBHOOK_TOKEN=" + webhookToken,
	}
	if temporal.tls != nil {
		f.env = append(f.env, temporal.tls.env...)
	}
	f.args = []string{"--config", f.config, "--task-queue", f.host.Name, "--evidence-url", "file://" + f.evidenceDir, "--log-format", "json"}
	return f
}

// configure appends to the configuration of what is started from now on.
func (f *installation) configure(yaml string) {
	f.t.Helper()
	file, err := os.OpenFile(f.config, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(f.t, err)
	_, err = file.WriteString(yaml + "\n")
	require.NoError(f.t, errors.Join(err, file.Close()))
}

// allow gives the test as much time from now on.
func (f *installation) allow(time time.Duration) {
	ctx, cancel := context.WithTimeout(f.t.Context(), time)
	f.t.Cleanup(cancel)
	f.ctx = ctx
}

// setUp runs what has to be run once before anything else.
func (f *installation) setUp() {
	f.t.Helper()
	done := f.setUpAs(f.envOf("worker"))
	require.Zero(f.t, done.code, done.stdout+done.stderr)
}

// setUpAs runs setup in somebody's environment.
func (f *installation) setUpAs(env []string) result {
	f.t.Helper()
	return f.runIn(env, firebreak(), "setup", "--config", f.config, "--evidence-url", "file://"+f.evidenceDir,
		"--sysdig-app-url", f.sysdig.URL, "--sysdig-api-url", f.sysdig.URL)
}

// worker starts a worker.
func (f *installation) worker() *process {
	f.t.Helper()
	return start(f.t, "worker", f.envOf("worker"), firebreak(), f.workerArgs()...)
}

// workerArgs are the arguments of a worker.
func (f *installation) workerArgs() []string {
	return append([]string{
		"worker", "--metrics-listen", "127.0.0.1:0", "--sysdig-app-url", f.sysdig.URL, "--sysdig-api-url", f.sysdig.URL,
	}, f.args...)
}

// open sends an event that opens an incident, as often as it takes: Temporal may
// be busy, or just back. The first time may have opened it.
func (f *installation) open(e event) *incident {
	f.t.Helper()
	a, err := f.deliver(f.ctx, nil, e)
	require.NoError(f.t, err)
	opened := slices.Concat(a.Opened, a.Joined)
	require.Len(f.t, opened, 1)
	return &incident{installation: f, reference: opened[0]}
}

// openMiner opens an incident about a crypto-miner in the host's container.
func (f *installation) openMiner() *incident {
	f.t.Helper()
	i := f.open(newEvent(f.t, f.host, minerRule))
	require.Equal(f.t, "crypto-miner:"+f.host.Name+":"+f.host.Containers[0], i.WorkflowID)
	return i
}

// openCapture opens an incident whose playbook takes a capture.
func (f *installation) openCapture() *incident {
	f.t.Helper()
	i := f.open(newEvent(f.t, f.host, toolRule))
	require.Equal(f.t, "capture:"+f.host.Name+":"+f.host.Containers[0], i.WorkflowID)
	return i
}

// killed is how often the host's container was killed.
func (f *installation) killed() int { return f.sysdig.Ledger().Killed(f.host.Containers[0]) }

// await waits for a condition.
func (f *installation) await(what string, condition func() bool) {
	f.t.Helper()
	require.NoError(f.t, poll(f.ctx, condition), "waiting until %s", what)
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command to its end, without a token if the Temporal server wants
// one.
func (f *installation) run(command string, args ...string) result {
	f.t.Helper()
	return f.runIn(f.env, command, args...)
}

// runAs runs a command to its end as a principal of the Temporal server.
func (f *installation) runAs(principal, command string, args ...string) result {
	f.t.Helper()
	return f.runIn(f.envOf(principal), command, args...)
}

// envOf is the environment of a principal's processes. Where nobody is
// authenticated it is everybody's.
func (f *installation) envOf(principal string) []string {
	f.t.Helper()
	if len(f.temporal.principals) == 0 {
		return f.env
	}
	token, err := f.temporal.token(principal)
	require.NoError(f.t, err)
	if f.temporal.tls != nil { // without which it is refused: an API key is for TLS
		return slices.Concat(f.env, []string{"TEMPORAL_API_KEY=" + token})
	}
	return slices.Concat(f.env, []string{"TEMPORAL_GRPC_META_AUTHORIZATION=Bearer " + token})
}

func (f *installation) runIn(env []string, command string, args ...string) result {
	f.t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(f.ctx, command, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(f.t, err, &exit)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
