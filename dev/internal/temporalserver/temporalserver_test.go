package temporalserver_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"firebreak/dev/internal/temporalserver"
	"firebreak/signals"
)

func TestServerAnswersWithEveryNamespaceAndSearchAttribute(t *testing.T) {
	t.Parallel()
	s := start(t, temporalserver.Options{
		Namespaces:       []string{"soc"},
		SearchAttributes: map[string]enumspb.IndexedValueType{"Ticket": enumspb.INDEXED_VALUE_TYPE_KEYWORD},
	})

	require.Equal(t, []string{"default", "soc"}, s.Namespaces())
	for _, namespace := range s.Namespaces() {
		attributes := searchAttributes(t, s, namespace)
		require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, attributes["Ticket"], namespace)
		for _, key := range signals.SearchAttributeKeys() {
			require.Equal(t, key.GetValueType(), attributes[key.GetName()], "%s in %s", key.GetName(), namespace)
		}
	}

	namespace, err := dial(t, s).WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: "soc"})
	require.NoError(t, err)
	require.GreaterOrEqual(t, namespace.Config.WorkflowExecutionRetentionTtl.AsDuration(), 72*time.Hour)
}

func TestWebUIIsServed(t *testing.T) {
	t.Parallel()
	s := start(t, temporalserver.Options{})

	page := get(t, s.UIURL()+"/")
	require.Contains(t, strings.ToLower(page), "<!doctype html>")
	// The page's own requests reach this server.
	require.Contains(t, get(t, s.UIURL()+"/api/v1/namespaces"), `"default"`)
}

func TestHeadlessServerHasNoWebUI(t *testing.T) {
	t.Parallel()
	require.Empty(t, start(t, temporalserver.Options{Headless: true}).UIURL())
}

func TestWorkflowsSurviveARestartOnTheSameFile(t *testing.T) {
	t.Parallel()
	options := temporalserver.Options{
		DatabaseFile: filepath.Join(t.TempDir(), "state", "temporal.db"),
		Namespaces:   []string{"soc"},
		Headless:     true,
	}

	first := start(t, options)
	run := startWorkflow(t, first, "incident")
	first.Stop()

	second := start(t, options)
	found, err := dial(t, second).DescribeWorkflowExecution(t.Context(), "incident", "")
	require.NoError(t, err)
	require.Equal(t, run.GetRunID(), found.WorkflowExecutionInfo.Execution.RunId)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, found.WorkflowExecutionInfo.Status)
	startWorkflow(t, second, "another")
}

func TestAFileFromAnInterruptedFirstStartIsUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "temporal.db")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	startWorkflow(t, start(t, temporalserver.Options{DatabaseFile: file, Headless: true}), "incident")
}

func TestAnOlderFileGetsTheSearchAttributesItLacks(t *testing.T) {
	t.Parallel()
	options := temporalserver.Options{DatabaseFile: filepath.Join(t.TempDir(), "temporal.db"), Headless: true}
	start(t, options).Stop()

	options.SearchAttributes = map[string]enumspb.IndexedValueType{"Ticket": enumspb.INDEXED_VALUE_TYPE_INT}
	attributes := searchAttributes(t, start(t, options), "default")
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_INT, attributes["Ticket"])
	require.Contains(t, attributes, signals.IncidentState.GetName())
}

func TestServersRunSideBySide(t *testing.T) {
	t.Parallel()
	a, b := start(t, temporalserver.Options{Headless: true}), start(t, temporalserver.Options{Headless: true})
	require.NotEqual(t, a.Address(), b.Address())

	startWorkflow(t, a, "only-in-a")
	_, err := dial(t, b).DescribeWorkflowExecution(t.Context(), "only-in-a", "")
	require.ErrorContains(t, err, "not found")
}

func TestQuietServerLogsNoWarning(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s, err := temporalserver.Start(t.Context(), temporalserver.Options{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	require.NoError(t, err)
	startWorkflow(t, s, "incident")
	s.Stop()
	require.Empty(t, log.String())
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel subtests
	port := taken.Addr().(*net.TCPAddr).Port

	for name, test := range map[string]struct {
		options temporalserver.Options
		want    string
	}{
		"every interface": {temporalserver.Options{IP: "0.0.0.0"}, `ip "0.0.0.0": want a loopback address`},
		"not an address":  {temporalserver.Options{IP: "here"}, `ip "here": want a loopback address`},
		"no name":         {temporalserver.Options{Namespaces: []string{""}}, `namespace "": want a name`},
		"port taken":      {temporalserver.Options{Port: port}, "temporal port: port"},
		"ui port taken":   {temporalserver.Options{UIPort: port}, "web ui port: port"},
		"not a database":  {temporalserver.Options{DatabaseFile: t.TempDir()}, "create database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := temporalserver.Start(t.Context(), test.options)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestACancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := temporalserver.Start(ctx, temporalserver.Options{Headless: true})
	require.ErrorIs(t, err, context.Canceled)
}

func start(t *testing.T, options temporalserver.Options) *temporalserver.Server {
	t.Helper()
	s, err := temporalserver.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func dial(t *testing.T, s *temporalserver.Server) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: s.Address(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// startWorkflow starts a workflow that nobody carries out, with search
// attributes.
func startWorkflow(t *testing.T, s *temporalserver.Server, id string) client.WorkflowRun {
	t.Helper()
	run, err := dial(t, s).ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: id, TaskQueue: "nobody",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			signals.IncidentState.ValueSet(string(signals.Open)),
			signals.IncidentSeverity.ValueSet(0),
		),
	}, "Capture")
	require.NoError(t, err)
	return run
}

func searchAttributes(t *testing.T, s *temporalserver.Server, namespace string) map[string]enumspb.IndexedValueType {
	t.Helper()
	listed, err := dial(t, s).OperatorService().ListSearchAttributes(t.Context(),
		&operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	require.NoError(t, err)
	return listed.CustomAttributes
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	return string(body)
}
