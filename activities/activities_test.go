package activities_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/config"
	"firebreak/internal/evidence"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// bench runs activities against a simulated Sysdig and a real directory.
type bench struct {
	*testsuite.TestActivityEnvironment
	sysdig  *sysdigtest.Server
	dir     string
	stalled atomic.Bool            // downloads stop in the middle
	instead atomic.Pointer[string] // what downloads give for a capture

	activities *activities.Activities
	suite      *testsuite.WorkflowTestSuite
}

func newBench(t *testing.T, options sysdigtest.Options) *bench {
	t.Helper()
	server := sysdigtest.Start(t, options)
	t.Cleanup(func() { require.Empty(t, server.Invalid(), "requests that Sysdig does not describe") })
	b := &bench{sysdig: server, dir: t.TempDir(), suite: new(testsuite.WorkflowTestSuite)}
	// Between them stands what a network can do and a Sysdig does not.
	network := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if instead := b.instead.Load(); instead != nil && strings.HasSuffix(r.URL.Path, "/download") {
			_, _ = io.WriteString(w, *instead)
			return
		}
		if b.stalled.Load() && strings.HasSuffix(r.URL.Path, "/download") {
			_, _ = io.CopyN(w, sysdigtest.CaptureReader(1, 1<<20), 1<<19)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(network.Close)
	client, err := sysdig.NewClient(sysdig.Config{AppURL: network.URL, APIURL: network.URL, Token: server.Config().Token})
	require.NoError(t, err)
	store, err := evidence.Open(t.Context(), "file://"+b.dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })

	discard := slog.New(slog.DiscardHandler)
	b.suite.SetLogger(log.NewStructuredLogger(discard))
	env := b.suite.NewTestActivityEnvironment()
	env.SetTestTimeout(time.Minute)
	b.activities = &activities.Activities{
		Sysdig: client, Evidence: store, Log: discard, Guard: thawed{}, Approvals: rules(t, ""),
		Poll: time.Millisecond, Settle: 20 * time.Millisecond, Stall: 2 * time.Second,
	}
	env.RegisterActivity(b.activities)
	b.TestActivityEnvironment = env
	return b
}

// thawed is a guard that lets everything happen.
type thawed struct{}

func (thawed) Frozen(context.Context) (*signals.Frozen, error) { return nil, nil }

func (thawed) Reserve(context.Context, signals.Reserve, bool) error { return nil }

func (thawed) Hold(context.Context, signals.Hold) error { return nil }

// rules are those of a configuration. The default ones have a route that
// contains, and captures first, without asking.
func rules(t *testing.T, yaml string) *approvals.Rules {
	t.Helper()
	if yaml == "" {
		yaml = "routes: [{name: automatic, when: 'true', playbook: crypto-miner, approval: none, capture_first: true}]"
	}
	file := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	cfg, err := config.Load(file, func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	r, err := approvals.New(cfg)
	require.NoError(t, err)
	return r
}

// run runs an activity and decodes its result.
func run[T any](b *bench, activity any, in any) (T, error) {
	var out T
	value, err := b.ExecuteActivity(activity, in)
	if err != nil {
		return out, err
	}
	return out, value.Get(&out)
}

const (
	nodeHost      = "eeee000011112222333344445555666677778888999900001111222233334444"
	nodeContainer = "6949e5f10829"
	executions    = "/secure/response-actions/v1alpha1/action-executions"
)

func kill() activities.ActionInput {
	return activities.ActionInput{
		Action: "KILL_CONTAINER", CallerID: "firebreak-0001",
		Parameters: map[string]any{"host.id": nodeHost, "container.id": nodeContainer},
		Claim:      approvals.Claim{Route: "automatic", Playbook: "crypto-miner", Action: "KILL_CONTAINER"},
	}
}

// A policy is about an action, and so is what people approve: another name for it
// would get round both.
func TestAnExecutionOfAnotherActionIsNotUndone(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := kill()
	in.Action = "PAUSE_CONTAINER"
	done, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	undo := activities.ActionInput{Action: "STOP_CONTAINER", CallerID: "firebreak-0002", Undo: done.ID, Claim: in.Claim}
	undo.Claim.ApprovedBy = []string{"ann"}
	_, err = run[activities.Execution](b, a.ExecuteAction, undo)
	require.Equal(t, activities.ErrRefused, final(t, err))
	require.ErrorContains(t, err, "execution "+done.ID+" is of PAUSE_CONTAINER, not of STOP_CONTAINER")
	undo.Action = "PAUSE_CONTAINER"
	_, err = run[activities.Execution](b, a.ExecuteAction, undo)
	require.NoError(t, err)
}

func TestParametersReachSysdigAsTheyWereApproved(t *testing.T) {
	t.Parallel()
	for _, number := range []any{int64(1732531234567890123), json.Number("1732531234567890123")} {
		encoded, err := json.Marshal(activities.ActionInput{Parameters: map[string]any{"startTime": number}})
		require.NoError(t, err)
		var in activities.ActionInput
		require.NoError(t, json.Unmarshal(encoded, &in))
		again, err := json.Marshal(in.Parameters)
		require.NoError(t, err)
		require.Equal(t, `{"startTime":1732531234567890123}`, string(again))
	}
	var found activities.Evaluation
	require.NoError(t, json.Unmarshal([]byte(`{"values":{"startTime":1732531234567890123}}`), &found))
	require.Equal(t, json.Number("1732531234567890123"), found.Values["startTime"])
}

// final returns the type of an error that is not retried, and fails if it is
// one that is.
func final(t *testing.T, err error) string {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable(), "%s", err)
	return app.Type()
}

// retried fails unless the error is retried.
func retried(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.False(t, app.NonRetryable(), "%s", err)
	return app
}

var a *activities.Activities

func TestAnActionIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	done, err := run[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	require.Equal(t, "COMPLETED", done.Status)
	require.False(t, done.Adopted)
	require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
}

func TestASubmissionWhoseAnswerWasLostIsAdoptedNotRepeated(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true})
	_, err := run[activities.Execution](b, a.ExecuteAction, kill())
	retried(t, err)
	in := kill()
	in.Resumed = true
	done, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	require.True(t, done.Adopted)
	require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
	require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, executions))
}

func TestASubmissionThatNeverArrivedIsRepeatedAfterALook(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetBefore: true})
	_, err := run[activities.Execution](b, a.ExecuteAction, kill())
	retried(t, err)
	in := kill()
	in.Resumed = true
	done, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	require.False(t, done.Adopted)
	require.Equal(t, 1, b.sysdig.Ledger().Killed(nodeContainer))
	require.Greater(t, b.sysdig.Requests(http.MethodGet, executions), 1, "it must look more than once before it submits again")
}

func TestARetryWithAKnownExecutionOnlyFollowsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	done, err := run[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	b.SetHeartbeatDetails(map[string]any{"execution_id": done.ID})
	again, err := run[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	require.Equal(t, done.ID, again.ID)
	require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, executions))
}

func TestNothingIsSubmittedWhileSysdigCannotSayWhetherItRan(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: executions, Times: 1, Status: http.StatusForbidden})
	in := kill()
	in.Resumed = true
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrAmbiguous, final(t, err))
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: executions, Times: 1, Status: http.StatusBadGateway})
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	retried(t, err)
	require.Zero(t, b.sysdig.Requests(http.MethodPost, executions))
}

func TestAFailureThatSysdigReportsIsNotRetried(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := kill()
	in.Parameters["container.id"] = "000000000000"
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrFailed, final(t, err))
	require.ErrorContains(t, err, "KILL_CONTAINER: Sysdig reports FAILED")
}

func TestAHostIsFoundByWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	twins := []sysdigtest.Host{
		{Name: "twin", MAC: "aa:00:00:00:00:01", ID: "id-1", AgentID: 1},
		{Name: "twin", MAC: "aa:00:00:00:00:02", ID: "id-2", AgentID: 2},
	}
	for name, test := range map[string]struct {
		in   activities.EnrichInput
		want string
	}{
		"by host ID":                          {activities.EnrichInput{HostID: "id-2"}, "id-2"},
		"by MAC address":                      {activities.EnrichInput{MAC: "aa:00:00:00:00:02"}, "id-2"},
		"by MAC address, however written":     {activities.EnrichInput{MAC: "AA-00-00-00-00-02"}, "id-2"},
		"by MAC address, however Sysdig does": {activities.EnrichInput{MAC: "aa:00:00:00:00:04"}, "id-4"},
		"not by a MAC that two hosts share":   {activities.EnrichInput{MAC: "aa:00:00:00:00:09"}, ""},
		"by name, in any case":                {activities.EnrichInput{HostName: "Alone"}, "id-3"},
		"by its bare name":                    {activities.EnrichInput{HostName: "WEB-1"}, "id-4"},
		"by its name with a domain":           {activities.EnrichInput{HostName: "alone.example.com"}, "id-3"},
		"not by the name in another domain":   {activities.EnrichInput{HostName: "web-1.example.org"}, ""},
		"not by a bare name of two domains":   {activities.EnrichInput{HostName: "web-2"}, ""},
		"by the whole name of one of those":   {activities.EnrichInput{HostName: "web-2.example.org"}, "id-6"},
		"not by a part of a name":             {activities.EnrichInput{HostName: "web"}, ""},
		"not by a host ID and another's MAC":  {activities.EnrichInput{HostID: "id-1", MAC: "aa:00:00:00:00:02"}, ""},
		"not by a name that two hosts share":  {activities.EnrichInput{HostName: "twin"}, ""},
		"not by nothing":                      {activities.EnrichInput{}, ""},
		"not by name with another MAC":        {activities.EnrichInput{HostName: "ALONE", MAC: "ff:ff:ff:ff:ff:ff"}, ""},
		"not at all where nothing is matched": {activities.EnrichInput{HostName: "nobody"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hosts := append(twins[:2:2], []sysdigtest.Host{
				{Name: "alone", MAC: "aa:00:00:00:00:03", ID: "id-3", AgentID: 3},
				{Name: "web-1.example.com", MAC: "AA-00-00-00-00-04", ID: "id-4", AgentID: 4},
				{Name: "web-2.example.com", MAC: "aa:00:00:00:00:09", ID: "id-5", AgentID: 5},
				{Name: "web-2.example.org", MAC: "aa:00:00:00:00:09", ID: "id-6", AgentID: 6},
			}...)
			b := newBench(t, sysdigtest.Options{Hosts: hosts})
			found, err := run[activities.Enrichment](b, a.Enrich, test.in)
			require.NoError(t, err)
			require.Equal(t, test.want, found.Host.ID)
			require.Equal(t, incident.Tenant{ID: "55001", Name: "Acme Corp"}, found.Tenant)
			require.NotEmpty(t, found.Note)
		})
	}
}

func captureOfNode() activities.CaptureInput {
	return activities.CaptureInput{
		Claim: approvals.Claim{Route: "automatic", Playbook: "crypto-miner", Action: "CAPTURE"},
		Name:  "firebreak-0001", HostName: "gke-cluster-gcp-demo-san-default-pool-66250c41-vd1o", MAC: "42:01:0a:80:00:05",
		AgentID: "58014837", CustomerID: "55001", ContainerID: nodeContainer, Duration: incident.Duration(15 * time.Second),
		Since: time.Now(),
	}
}

func captures(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Capture }

func TestACaptureIsTakenAndStoredWithItsHash(t *testing.T) {
	t.Parallel()
	const size = 3<<20 + 17
	b := newBench(t, sysdigtest.Options{CaptureSize: size, UploadRate: 1 << 30})
	created, err := run[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err)
	require.Equal(t, "firebreak-0001", created.Name)
	done, err := run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: created})
	require.NoError(t, err)
	file, err := run[activities.StoredFile](b, a.SaveCapture, activities.SaveInput{
		Capture: done, WorkflowID: "capture:node-1:host", RunID: "run-1", ApprovedBy: []string{"ann"},
	})
	require.NoError(t, err)
	require.EqualValues(t, size, file.Size)
	require.Empty(t, file.NotCapture)
	require.Equal(t, []string{"ann"}, file.ApprovedBy)

	hash := sha256.New()
	_, err = io.Copy(hash, sysdigtest.CaptureReader(created.ID, size))
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(hash.Sum(nil)), file.SHA256)
	stored, err := os.Stat(filepath.Join(b.dir, "capture:node-1:host", "run-1", "firebreak-0001.scap"))
	require.NoError(t, err)
	require.EqualValues(t, size, stored.Size())
}

func TestACaptureWhoseCreationWasNotAnsweredIsFoundByItsName(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: "/api/v1/captures", Times: 1, ResetAfter: true})
	_, err := run[activities.Capture](b, a.CreateCapture, captureOfNode())
	retried(t, err)
	in := captureOfNode()
	in.Resumed = true
	found, err := run[activities.Capture](b, a.CreateCapture, in)
	require.NoError(t, err)
	require.NotZero(t, found.ID)
	require.NoError(t, b.sysdig.WaitFor(t.Context(), func(l sysdigtest.Ledger) bool { return l.Count(captures) > 0 }))
	require.Equal(t, 1, b.sysdig.Ledger().Count(captures))
	require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, "/api/v1/captures"))
}

func TestACaptureOfABusyHostWaitsItsTurn(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{RefuseBusyAtOnce: true})
	b.sysdig.PolicyCapture(58014837, time.Hour)
	second := captureOfNode()
	second.Name = "firebreak-0002"
	_, err := run[activities.Capture](b, a.CreateCapture, second)
	require.Positive(t, retried(t, err).NextRetryDelay())
}

func TestACaptureIsFollowedWhereverSysdigTellsItsStatus(t *testing.T) {
	t.Parallel()
	const newer, older, list = "GET /api/v1/captures/{id}", "GET /api/sysdig/{id}", "GET /api/sysdig"
	for _, without := range [][]string{{newer}, {newer, older}, {newer, list}} {
		b := newBench(t, sysdigtest.Options{Without: without})
		created, err := run[activities.Capture](b, a.CreateCapture, captureOfNode())
		require.NoError(t, err)
		done, err := run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: created})
		require.NoError(t, err, without)
		require.EqualValues(t, 64<<10, done.Size)
	}
	b := newBench(t, sysdigtest.Options{Without: []string{newer, older, list, "GET /api/v1/captures"}})
	created, err := run[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err)
	_, err = run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: created})
	require.Equal(t, activities.ErrNotFound, final(t, err))
}

// neverStarted is a capture that its agent, which is not connected, ignores.
func neverStarted(t *testing.T, b *bench) activities.Capture {
	t.Helper()
	in := captureOfNode()
	in.AgentID = "1"
	created, err := run[activities.Capture](b, a.CreateCapture, in)
	require.NoError(t, err)
	return created
}

func TestACaptureThatIsNeverStartedIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.activities.Grace = 50 * time.Millisecond
	capture := neverStarted(t, b)
	_, err := run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: capture})
	require.Equal(t, activities.ErrFailed, final(t, err))
	require.ErrorContains(t, err, "still requested after 50ms: the agent may never have started it")
}

// The worker that began to wait is gone: what it told before is when it began.
func TestACaptureIsGivenUpHoweverManyAttemptsWaitedForIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	capture := neverStarted(t, b)
	var told atomic.Value
	b.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var began map[string]time.Time
		if details.Get(&began) == nil {
			told.CompareAndSwap(nil, began["started"])
		}
	})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: "/api/", Times: 1, Status: http.StatusBadGateway})
	before := time.Now()
	_, err := run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: capture})
	retried(t, err)
	require.NotNil(t, told.Load(), "however short an attempt is, it tells when it began")
	require.WithinRange(t, told.Load().(time.Time), before, time.Now())

	b.SetHeartbeatDetails(map[string]time.Time{"started": time.Now().Add(-activities.DefaultGrace - time.Second)})
	_, err = run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: capture})
	require.Equal(t, activities.ErrFailed, final(t, err))
}

// captured takes a capture to be saved.
func (b *bench) captured(t *testing.T) activities.SaveInput {
	t.Helper()
	created, err := run[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err)
	done, err := run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: created})
	require.NoError(t, err)
	return activities.SaveInput{Capture: done, WorkflowID: "capture:node-1:host", RunID: "run-1"}
}

// stored are the names of what is stored of that capture's incident.
func (b *bench) stored(t *testing.T) []string {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(b.dir, "capture:node-1:host", "run-1"))
	require.NoError(t, err)
	names := []string{}
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names
}

func TestADownloadThatBreaksOffGoesOnWithinTheAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{CaptureSize: 1 << 20, UploadRate: 1 << 30})
	in := b.captured(t)
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: "/api/v1/captures", Times: 2, Truncate: true})
	file, err := run[activities.StoredFile](b, a.SaveCapture, in)
	require.NoError(t, err)
	hash := sha256.New()
	_, err = io.Copy(hash, sysdigtest.CaptureReader(in.Capture.ID, 1<<20))
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(hash.Sum(nil)), file.SHA256)
	require.Equal(t, 3, b.sysdig.Requests(http.MethodGet, "/api/v1/captures/*/download"))
	require.Equal(t, []string{"firebreak-0001.scap"}, b.stored(t))
}

func TestADownloadThatIsCutShortStoresNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{CaptureSize: 1 << 20, UploadRate: 1 << 30, NoRange: true})
	in := b.captured(t)
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: "/api/v1/captures", Times: 1, Truncate: true})
	_, err := run[activities.StoredFile](b, a.SaveCapture, in)
	require.ErrorContains(t, err, "unexpected EOF")
	retried(t, err)
	require.Empty(t, b.stored(t))
	file, err := run[activities.StoredFile](b, a.SaveCapture, in)
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, file.Size)
}

func TestADownloadThatStandsStillBeginsAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := b.captured(t)
	b.stalled.Store(true)
	_, err := run[activities.StoredFile](b, a.SaveCapture, in)
	require.ErrorContains(t, err, "the download stands still")
	retried(t, err)
	require.Empty(t, b.stored(t))
}

func TestWhatIsNoCaptureIsStoredForWhatItIs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"an error page": {"<!doctype html><html>502</html>", `it begins with "<!doctype html><": want the section header`},
		"JSON":          {`{"a":1}`, "it begins with"},
		"nothing":       {"", "it is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			in := b.captured(t)
			b.instead.Store(&tc.body)
			file, err := run[activities.StoredFile](b, a.SaveCapture, in)
			require.NoError(t, err)
			require.Contains(t, file.NotCapture, tc.want)
			require.Equal(t, "firebreak-0001.not-a-capture", file.Name)
			require.Equal(t, []string{file.Name}, b.stored(t))
			body, err := os.ReadFile(filepath.Join(b.dir, "capture:node-1:host", "run-1", file.Name))
			require.NoError(t, err)
			require.Equal(t, tc.body, string(body))
		})
	}
}

func TestTheManifestListsEverythingThatIsStored(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	scap := activities.StoredFile{CaptureID: "7", ApprovedBy: []string{"ann"}}
	scap.Name, scap.Size, scap.SHA256 = "firebreak-0001.scap", 9, "feed"
	in := activities.ReportInput{
		Page: signals.Page{
			WorkflowID: "crypto-miner:node-1:6949e5f10829", RunID: "run-1", Outcome: signals.Contained,
			Incident: incident.Incident{ID: "event-1"}, WarRoom: []signals.Entry{{Actor: "ann", Kind: signals.KindNote, Text: "**hello**"}},
		},
		Files: []activities.StoredFile{scap},
	}
	stored, err := run[[]activities.StoredFile](b, a.StoreReport, in)
	require.NoError(t, err)
	require.Len(t, stored, 4)

	dir := filepath.Join(b.dir, "crypto-miner:node-1:6949e5f10829", "run-1")
	content, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	require.NoError(t, err)
	var manifest evidence.Manifest
	require.NoError(t, json.Unmarshal(content, &manifest))
	require.Equal(t, "contained", manifest.Outcome)
	names := []string{}
	for _, file := range manifest.Files {
		names = append(names, file.Name)
		if file.Name == scap.Name {
			continue
		}
		body, err := os.ReadFile(filepath.Join(dir, file.Name))
		require.NoError(t, err)
		sum := sha256.Sum256(body)
		require.Equal(t, hex.EncodeToString(sum[:]), file.SHA256)
	}
	require.Equal(t, []string{"firebreak-0001.scap", "incident.json", "war-room.json", "report.md"}, names)
}
