package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	starterURL  string
	starterProc *process
}

// install prepares an installation on a Temporal server and starts its starter.
func install(t *testing.T, temporal *temporalServer, routes string, options sysdigtest.Options) *installation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	f := &installation{t: t, ctx: ctx, temporal: temporal, host: newHost(), evidenceDir: filepath.Join(t.TempDir(), "evidence")}
	options.Hosts = []sysdigtest.Host{f.host}
	f.sysdig = sysdigtest.Start(t, options)
	var err error
	f.evidence, err = evidence.Open(ctx, "file://"+f.evidenceDir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.evidence.Close()) })
	f.config = filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(f.config, []byte("routes: "+routes), 0o600))
	f.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TEMPORAL_ADDRESS=" + temporal.address,
		"SYSDIG_SECURE_API_TOKEN=" + f.sysdig.Config().Token, "FIREBREAK_WEBHOOK_TOKEN=" + webhookToken,
	}
	f.args = []string{"--config", f.config, "--task-queue", f.host.Name, "--evidence-url", "file://" + f.evidenceDir, "--log-format", "json"}
	f.starter()
	return f
}

// worker starts a worker.
func (f *installation) worker() *process {
	f.t.Helper()
	args := append([]string{
		"worker", "--metrics-listen", "127.0.0.1:0", "--sysdig-app-url", f.sysdig.URL, "--sysdig-api-url", f.sysdig.URL,
	}, f.args...)
	return start(f.t, "worker", f.env, firebreak(), args...)
}

// starter starts a starter, to which send talks from now on.
func (f *installation) starter() {
	f.t.Helper()
	f.starterProc = start(f.t, "starter", f.env, firebreak(), append([]string{"starter", "--listen", "127.0.0.1:0"}, f.args...)...)
	address, err := f.starterProc.await(f.ctx, `"address":"([^"]+)"`)
	require.NoError(f.t, err)
	f.starterURL = "http://" + address
}

// answer is the starter's, as far as it matters here.
type answer struct {
	Status         int
	Opened, Joined []reference
}

// reference is an incident as the starter names it.
type reference struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	Route      string `json:"route"`
}

// post sends events to the starter.
func (f *installation) post(events ...event) answer {
	f.t.Helper()
	body, err := json.Marshal(events)
	require.NoError(f.t, err)
	request, err := http.NewRequestWithContext(f.ctx, http.MethodPost, f.starterURL+"/v1/events/sysdig", bytes.NewReader(body))
	require.NoError(f.t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+webhookToken)
	response, err := http.DefaultClient.Do(request)
	require.NoError(f.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(f.t, err)
	a := answer{Status: response.StatusCode}
	require.NoError(f.t, json.Unmarshal(text, &a), "%s", text)
	return a
}

// open sends an event that opens an incident.
func (f *installation) open(e event) *incident {
	f.t.Helper()
	a := f.post(e)
	require.Equal(f.t, http.StatusAccepted, a.Status)
	require.Len(f.t, a.Opened, 1)
	return &incident{installation: f, reference: a.Opened[0]}
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

// run runs a command to its end.
func (f *installation) run(command string, args ...string) result {
	f.t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(f.ctx, command, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(f.t, err, &exit)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
