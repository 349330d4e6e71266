package activities_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
)

// gathered carries an action out that takes something from its target, and is what
// stores it.
func gathered(t *testing.T, b *bench, action string, parameters map[string]any) activities.FetchInput {
	t.Helper()
	in := kill()
	in.Action, in.Claim.Action, in.Parameters = action, action, parameters
	done, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	return activities.FetchInput{Action: action, ExecutionID: done.ID, ApprovedBy: []string{"ann"}, WorkflowID: "respond:node-1:host", RunID: "run-1"}
}

// evidenceOf is the evidence of that run as it is stored.
func (b *bench) evidenceOf(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(b.dir, "respond:node-1:host", "run-1", name))
	require.NoError(t, err)
	return string(content)
}

func TestAnAcquiredFileIsEvidenceUnderItsExecution(t *testing.T) {
	t.Parallel()
	const size = 1<<10 + 1
	b := newBench(t, sysdigtest.Options{CaptureSize: size})
	in := gathered(t, b, "FILE_ACQUIRE", map[string]any{"host.id": nodeHost, "path.absolute": "/tmp/xmrig"})
	file, err := run[activities.StoredFile](b, a.FetchResult, in)
	require.NoError(t, err)
	require.Equal(t, []string{"ann"}, file.ApprovedBy)
	require.EqualValues(t, size, file.Size)
	want, err := io.ReadAll(sysdigtest.AcquiredReader(in.ExecutionID, size))
	require.NoError(t, err)
	require.Equal(t, string(want), b.evidenceOf(t, "file_acquire-"+in.ExecutionID+".bin"))
}

func TestWhereThereIsNoFileTheOutputsAreEvidence(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := gathered(t, b, "GET_LOGS", map[string]any{"kubernetes.cluster.name": "prod", "kubernetes.namespace.name": "shop"})
	_, err := run[activities.StoredFile](b, a.FetchResult, in)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"logs": "logs-%s"}`, in.ExecutionID), b.evidenceOf(t, "get_logs-"+in.ExecutionID+".json"))
}

func TestAnActionThatBroughtNothingHasNoEvidence(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := gathered(t, b, "KILL_CONTAINER", kill().Parameters)
	_, err := run[activities.StoredFile](b, a.FetchResult, in)
	require.Equal(t, activities.ErrNotFound, final(t, err))
	require.ErrorContains(t, err, "Sysdig has neither a file nor outputs of it")
}

func TestAFileThatIsNotHandedOutForNowIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	for _, fault := range []sysdigtest.Fault{
		{Path: executions + "/*/acquired-file", Status: http.StatusServiceUnavailable},
		{Path: executions + "/*", Status: http.StatusServiceUnavailable},
	} {
		b := newBench(t, sysdigtest.Options{})
		in := gathered(t, b, "GET_LOGS", map[string]any{"kubernetes.cluster.name": "prod", "kubernetes.namespace.name": "shop"})
		fault.Method, fault.Times = http.MethodGet, 1
		b.sysdig.Fault(fault)
		_, err := run[activities.StoredFile](b, a.FetchResult, in)
		retried(t, err)
		_, err = run[activities.StoredFile](b, a.FetchResult, in)
		require.NoError(t, err)
	}
}

func TestWhatCannotBeStoredIsFetchedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := gathered(t, b, "FILE_ACQUIRE", map[string]any{"host.id": nodeHost, "path.absolute": "/tmp/xmrig"})
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "respond:node-1:host"), nil, 0o600)) // where the folder goes
	_, err := run[activities.StoredFile](b, a.FetchResult, in)
	retried(t, err)
	require.ErrorContains(t, err, "store what FILE_ACQUIRE brought")
}

// Whoever reads the evidence must not get the keys to what Sysdig stored.
func TestNothingThatSignsAURLIsStored(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/acquired-file") {
			http.Error(w, `{"type":"not_found","message":"no file"}`, http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"id":"x-1","status":"COMPLETED","outputs":{`+
			`"url":"https://bucket.example.com/logs?X-Amz-Signature=secret","login":"https://user:secret@bucket.example.com/logs",`+
			`"both":"https://user:secret@bucket.example.com/logs?sig=secret","plain":"https://example.com/logs","text":"what? no secret","lines":12}}`)
	}))
	t.Cleanup(server.Close)
	var err error
	b.activities.Sysdig, err = sysdig.NewClient(sysdig.Config{AppURL: server.URL, APIURL: server.URL, Token: "token"})
	require.NoError(t, err)
	_, err = run[activities.StoredFile](b, a.FetchResult, activities.FetchInput{
		Action: "GET_LOGS", ExecutionID: "x-1", WorkflowID: "respond:node-1:host", RunID: "run-1",
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"url":"https://bucket.example.com/logs","login":"https://bucket.example.com/logs",
		"both":"https://bucket.example.com/logs","plain":"https://example.com/logs","text":"what? no secret","lines":12}`,
		b.evidenceOf(t, "get_logs-x-1.json"))
}

func TestAFileThatIsNotThereYetIsAskedForAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := gathered(t, b, "FILE_ACQUIRE", map[string]any{"host.id": nodeHost, "path.absolute": "/tmp/xmrig"})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: executions + "/*/acquired-file", Times: 1, Status: http.StatusNotFound})
	_, err := run[activities.StoredFile](b, a.FetchResult, in)
	retried(t, err)
	_, err = run[activities.StoredFile](b, a.FetchResult, in)
	require.NoError(t, err)
}
