package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
)

// beMain makes the test binary behave as the command, so that tests can run,
// interrupt and kill it without another build.
const beMain = "FIREBREAK_TEST_BE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(beMain) != "" {
		main()
	}
	if err := os.Setenv(beMain, "1"); err != nil { // for the processes the tests start
		panic(err)
	}
	os.Exit(m.Run())
}

func TestTheSDKsTestSuiteCanStartAndStopTheServer(t *testing.T) {
	t.Parallel()
	server, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{
		ExistingPath:  os.Args[0],
		ClientOptions: &client.Options{Namespace: "soc", Logger: quiet()},
		DBFilename:    filepath.Join(t.TempDir(), "temporal.db"),
		LogLevel:      "error",
		LogFormat:     "json",
		Stdout:        io.Discard,
		ExtraArgs:     []string{"--search-attribute", "Ticket=keyword", "--dynamic-config-value", "frontend.rps=5000"},
	})
	require.NoError(t, err)
	startWorkflow(t, server.Client(), "incident")
	require.NoError(t, server.Stop(), "an interrupted server ends well")
}

func TestWorkflowsSurviveAKilledServer(t *testing.T) {
	t.Parallel()
	args := []string{"server", "--port", "0", "--headless", "--db-filename", filepath.Join(t.TempDir(), "temporal.db")}

	first := startProcess(t, args...)
	startWorkflow(t, first.dial(t), "incident")
	require.NoError(t, first.cmd.Process.Kill())
	require.Error(t, first.cmd.Wait())

	second := startProcess(t, args...)
	found, err := second.dial(t).DescribeWorkflowExecution(t.Context(), "incident", "")
	require.NoError(t, err)
	require.Equal(t, "Capture", found.WorkflowExecutionInfo.Type.Name)
	require.NoError(t, second.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, second.cmd.Wait(), "a terminated server ends well")
}

func TestTheServerSaysHowToUseAToken(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with a space")
	server := startProcess(t, "server", "--port", "0", "--headless", "--auth", dir, "--principal", "ann", "--principal", "eve=read")
	require.Equal(t, filepath.Join(dir, "NAME.jwt"), server.value(t, "Tokens"))
	require.FileExists(t, filepath.Join(dir, "eve.jwt"))
	var denied *serviceerror.PermissionDenied
	_, err := server.dial(t).ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "incident", TaskQueue: "nobody"}, "Capture")
	require.ErrorAs(t, err, &denied)

	// What the printed line sets is all that a client needs.
	shell := exec.CommandContext(t.Context(), "sh", "-c", server.value(t, "Use one")+` && printf %s "$TEMPORAL_GRPC_META_AUTHORIZATION"`)
	authorization, err := shell.Output()
	require.NoError(t, err)
	ann, err := client.DialContext(t.Context(), client.Options{
		HostPort: server.value(t, "Temporal"), Logger: quiet(), HeadersProvider: header{"authorization": string(authorization)},
	})
	require.NoError(t, err)
	t.Cleanup(ann.Close)
	startWorkflow(t, ann, "incident")
	first, err := ann.GetWorkflowHistory(t.Context(), "incident", "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).Next()
	require.NoError(t, err)
	require.Equal(t, "ann", first.GetPrincipal().GetName())
}

// header are headers of every request.
type header map[string]string

func (h header) GetHeaders(context.Context) (map[string]string, error) { return h, nil }

func TestTheSimulatedSysdigKeepsItsLedgerOverARestart(t *testing.T) {
	t.Parallel()
	args := []string{
		"sysdig", "--listen", "127.0.0.1:0", "--token", "letmein", "--step", "1ms",
		"--state-file", filepath.Join(t.TempDir(), "state", "sysdig.json"),
	}
	host := sysdigtest.DefaultHosts()[0]

	first := startProcess(t, args...)
	require.Contains(t, first.output, "SYSDIG_SECURE_API_TOKEN=letmein")
	require.Contains(t, first.output, host.Name)
	sysdigURL := first.value(t, "Sysdig")
	c, err := sysdig.NewClient(sysdig.Config{AppURL: sysdigURL, APIURL: sysdigURL, Token: "letmein"})
	require.NoError(t, err)
	execution, err := c.Submit(t.Context(), sysdig.Submission{
		ActionType: "KILL_CONTAINER", CallerID: "test",
		Parameters: map[string]any{"host.id": host.ID, "container.id": host.Containers[0]},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		execution, err = c.Execution(t.Context(), execution.ID)
		return err == nil && execution.Done()
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, first.cmd.Process.Signal(os.Interrupt))
	require.NoError(t, first.cmd.Wait(), "an interrupted simulation ends well")

	second := startProcess(t, args...)
	response, err := http.Get(second.value(t, "Ledger"))
	require.NoError(t, err)
	defer response.Body.Close()
	var ledger sysdigtest.Ledger
	require.NoError(t, json.NewDecoder(response.Body).Decode(&ledger))
	require.Equal(t, 1, ledger.Killed(host.Containers[0]))
}

func TestWrongUsageIsExplained(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args string
		want []string
		code int
	}{
		"help":              {"--help", nil, 0},
		"unknown command":   {"demolish", []string{`unknown command "demolish"`}, 2},
		"unknown flag":      {"server --turbo", []string{"--turbo"}, 2},
		"argument":          {"sysdig now", []string{`unknown command "now"`}, 2},
		"every bad flag":    {"server --port=-1 --log-level=loud", []string{"--port -1: want 0..65535", `--log-level "loud": want`}, 2},
		"log format":        {"server --log-format=xml", []string{`--log-format "xml": want text or json`}, 2},
		"search attribute":  {"server --search-attribute Ticket=Colour", []string{`"Ticket=Colour": want NAME=TYPE`}, 2},
		"dynamic config":    {"server --dynamic-config-value frontend.rps=many", []string{`"frontend.rps=many": want KEY=JSON`}, 2},
		"role":              {"server --auth keys --principal ann=boss --principal bob/", []string{`"ann=boss": role "boss" of principal "ann": want read, write or admin`, `principal "bob/": want`}, 2},
		"no auth":           {"server --principal ann", []string{`--principal "ann": want --auth with the folder`}, 2},
		"step":              {"sysdig --step 0", []string{"--step 0s: want more than 0"}, 2},
		"cannot be reached": {"server --ip 0.0.0.0", []string{"want a loopback address"}, 1},
		"reached with auth": {"server --auth keys --ip 0.0.0.0", []string{"want a loopback address"}, 1},
		"name taken":        {"server --auth keys --principal worker", []string{`principal "worker": want another name`}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr strings.Builder
			code := run(t.Context(), strings.Fields(test.args), &stdout, &stderr)
			require.Equal(t, test.code, code, stderr.String())
			for _, want := range test.want {
				require.Contains(t, stderr.String(), want)
			}
		})
	}
}

func TestSettingsKeepTheirType(t *testing.T) {
	t.Parallel()
	got, err := parseDynamicConfig([]string{"a=10000", "b=0.5", "c=true", `d="x=y"`, `e={"f":1}`})
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"a": 10_000, "b": 0.5, "c": true, "d": "x=y", "e": map[string]any{"f": json.Number("1")},
	}, got)
}

func TestTheWebUIFollowsTheServersPort(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		flags serverFlags
		set   bool
		want  int
	}{
		{serverFlags{port: 7233}, false, 8233},
		{serverFlags{port: 0}, false, 0},
		{serverFlags{port: 7233, uiPort: 0}, true, 0},
		{serverFlags{port: 7233, uiPort: 9000}, true, 9000},
	} {
		test.flags.logLevel, test.flags.logFormat = "warn", "text"
		options, err := test.flags.options(io.Discard, test.set)
		require.NoError(t, err)
		require.Equal(t, test.want, options.UIPort)
	}
}

// process is the command, running.
type process struct {
	cmd    *exec.Cmd
	output string // up to the line that says how to stop it
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})

	p := &process{cmd: cmd}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		p.output += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "Stop") {
			return p
		}
	}
	cancel()
	_ = cmd.Wait()
	require.Fail(t, "the command ended", "stdout: %s\nstderr: %s", p.output, stderr.String())
	return nil
}

// value is what the command printed beside a name.
func (p *process) value(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(p.output) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(rest)
		}
	}
	require.Failf(t, "not printed", "%s in %s", name, p.output)
	return ""
}

func (p *process) dial(t *testing.T) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{HostPort: p.value(t, "Temporal"), Logger: quiet()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func startWorkflow(t *testing.T, c client.Client, id string) {
	t.Helper()
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: "nobody"}, "Capture")
	require.NoError(t, err)
}

func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }
