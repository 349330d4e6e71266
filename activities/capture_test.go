package activities_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/evidence"
	"firebreak/internal/guard"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// turns is a guard that keeps the turns of hosts, as workflows.Guard does.
type turns struct {
	thawed

	mu   sync.Mutex
	page signals.GuardPage
}

func (g *turns) Hold(_ context.Context, in signals.Hold) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if slot := g.page.HeldByOther(in, now); slot != nil && in.For > 0 {
		return &guard.HeldError{Reason: "capture " + slot.Holder + " is under way"}
	}
	g.page.Hold(in, now)
	return nil
}

// holders are those who hold a turn.
func (g *turns) holders() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := []string{}
	for i := range g.page.Slots {
		names = append(names, g.page.Slots[i].Holder)
	}
	return names
}

// inTurn is the capture of node under a name, in its host's turn.
func inTurn(name string) activities.CaptureInput {
	in := captureOfNode()
	in.Name, in.Turn = name, activities.TurnOf("", incident.Host{ID: nodeHost, AgentID: in.AgentID})
	return in
}

func awaited(c activities.Capture, in activities.CaptureInput) activities.AwaitInput {
	return activities.AwaitInput{Capture: c, Duration: in.Duration, Turn: in.Turn}
}

func TestHostTakesOneCaptureAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	g := &turns{}
	b.activities.Guard = g
	created, err := run[activities.Capture](b, a.CreateCapture, inTurn("one"))
	require.NoError(t, err)

	two := inTurn("two")
	two.Turn = activities.TurnOf("", incident.Host{ID: nodeHost}) // its incident knows less of the host
	_, err = run[activities.Capture](b, a.CreateCapture, two)
	var waits *temporal.ApplicationError
	require.ErrorAs(t, err, &waits)
	require.Equal(t, activities.ErrCaptureTurn, waits.Type())
	require.False(t, waits.NonRetryable())
	require.Positive(t, waits.NextRetryDelay())
	require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, "/api/v1/captures"), "Sysdig is not asked")

	action := activities.ActionInput{Action: "CAPTURE", CallerID: "three", Claim: captureOfNode().Claim, Parameters: map[string]any{
		"host.id": nodeHost, "capture.remote_storage_configuration_id": "s", "capture.duration_ns": int64(time.Second), "capture.past_duration_ns": 0,
	}}
	_, err = run[activities.Execution](b, a.ExecuteAction, action)
	require.ErrorAs(t, err, &waits)
	require.Equal(t, activities.ErrCaptureTurn, waits.Type())
	require.Zero(t, b.submits())

	again, err := run[activities.Capture](b, a.CreateCapture, inTurn("one"))
	require.NoError(t, err, "the holder itself is not refused")
	require.NotEqual(t, created.ID, again.ID)

	_, err = run[activities.Capture](b, a.AwaitCapture, awaited(created, inTurn("one")))
	require.NoError(t, err)
	require.Empty(t, g.holders())
	_, err = run[activities.Execution](b, a.ExecuteAction, action)
	require.NoError(t, err)
	require.Empty(t, g.holders())
}

func TestTurnNamesOfAHost(t *testing.T) {
	t.Parallel()
	host := incident.Host{ID: "i", AgentID: "7", MAC: "m", Name: "n"}
	require.Equal(t, []string{"acme/id/i", "acme/agent/7", "acme/mac/m/n"}, activities.TurnOf("acme", host))
	require.Empty(t, activities.TurnOf("", incident.Host{Name: "n"}), "a bare name may be another host's")
}

func TestFailedCaptureIsReportedWithItsReason(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options sysdigtest.Options
		busy    bool
		kind    string
		reason  string
	}{
		"busy":                    {sysdigtest.Options{}, true, activities.ErrCaptureBusy, sysdigtest.ReasonBusy},
		"busy, nothing said":      {sysdigtest.Options{ReasonKey: "-"}, true, activities.ErrCaptureBusy, "no reason given"},
		"queue full":              {sysdigtest.Options{AgentRefuses: sysdigtest.ReasonQueueFull}, false, activities.ErrCaptureBusy, sysdigtest.ReasonQueueFull},
		"captures are off":        {sysdigtest.Options{AgentRefuses: sysdigtest.ReasonDisabled, ReasonKey: "x"}, false, activities.ErrFailed, sysdigtest.ReasonDisabled},
		"no driver":               {sysdigtest.Options{AgentRefuses: sysdigtest.ReasonNoDriver}, false, activities.ErrFailed, sysdigtest.ReasonNoDriver},
		"filter does not compile": {sysdigtest.Options{AgentRefuses: sysdigtest.ReasonFilter}, false, activities.ErrFailed, sysdigtest.ReasonFilter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, tc.options)
			g := &turns{}
			b.activities.Guard = g
			if tc.busy {
				b.sysdig.PolicyCapture(58014837, time.Hour)
			}
			in := inTurn("one")
			created, err := run[activities.Capture](b, a.CreateCapture, in)
			require.NoError(t, err)
			_, err = run[activities.Capture](b, a.AwaitCapture, awaited(created, in))
			require.Equal(t, tc.kind, final(t, err))
			require.ErrorContains(t, err, "Sysdig reports error: "+tc.reason)
			require.Empty(t, g.holders(), "its turn is over")
		})
	}
}

// What was refused for certain does not exist, and the list may be closed to the
// token.
func TestRefusedCaptureIsNotLookedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{Without: []string{"GET /api/sysdig", "GET /api/v1/captures"}})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: "/api/v1/captures", Times: 2, Status: http.StatusTooManyRequests})
	created, err := persist[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err)
	require.NotZero(t, created.Result.ID)
	require.Zero(t, b.sysdig.Requests(http.MethodGet, "/api/sysdig"))

	// After an attempt whose answer was lost it is looked for, and not taken again.
	b = newBench(t, sysdigtest.Options{Without: []string{"GET /api/sysdig", "GET /api/v1/captures"}})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: "/api/v1/captures", Times: 1, ResetAfter: true})
	_, err = persist[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.Equal(t, activities.ErrAmbiguous, final(t, err))
	require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, "/api/v1/captures"))

	b = newBench(t, sysdigtest.Options{Closed: []string{sysdigtest.DumpsPath}})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: "/api/v1/captures", Times: 1, ResetAfter: true})
	_, err = persist[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err, "the other family of paths lists it")
	require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, "/api/v1/captures"))
}

// mute is a guard that does not answer.
type mute struct {
	thawed
	asked atomic.Int32
}

func (g *mute) Hold(context.Context, signals.Hold) error {
	g.asked.Add(1)
	return errors.New("deadline exceeded")
}

func TestCaptureDoesNotDependOnTheGuardsAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	g := &mute{}
	b.activities.Guard = g
	created, err := persist[activities.Capture](b, a.CreateCapture, inTurn("c"))
	require.NoError(t, err)
	require.NotZero(t, created.Result.ID)
	require.EqualValues(t, 3, g.asked.Load(), "attempts")
}

// inMemory serves requests without a network, so that time can be simulated.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Result(), nil
}

// inSimulatedTime awaits a capture of node, and returns how long that took.
func inSimulatedTime(t *testing.T, options sysdigtest.Options, in activities.AwaitInput) (took time.Duration, err error) {
	t.Helper()
	server := sysdigtest.New(options)
	client, clientErr := sysdig.NewClient(sysdig.Config{AppURL: "http://sysdig", APIURL: "http://sysdig", Token: "test-token", Transport: inMemory{server}})
	require.NoError(t, clientErr)
	g := &turns{}
	capture := captureOfNode()
	created, createErr := client.CreateCapture(t.Context(), sysdig.CaptureRequest{
		Name: "c", HostName: capture.HostName, Duration: 15 * time.Second,
		Agent: sysdig.Agent{ID: capture.AgentID, Customer: capture.CustomerID, MachineID: capture.MAC, HostName: capture.HostName},
	})
	require.NoError(t, createErr)
	in.Capture = activities.Capture{ID: created.ID, Name: "c"}
	if in.Turn != nil {
		require.NoError(t, g.Hold(t.Context(), signals.Hold{Host: in.Turn, Holder: "c", For: incident.Duration(signals.MaxHold)}))
	}
	suite := &testsuite.WorkflowTestSuite{}
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(24 * time.Hour)
	env.RegisterActivity(&activities.Activities{Sysdig: client, Guard: g})
	playbook := func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 13 * time.Hour})
		return workflow.ExecuteActivity(ctx, a.AwaitCapture, in).Get(ctx, nil)
	}
	env.RegisterWorkflow(playbook)
	began := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		env.ExecuteWorkflow(playbook)
		err = env.GetWorkflowError()
	}()
	for {
		select {
		case <-done:
			return time.Since(began), err
		case <-time.After(time.Minute):
			if in.Turn != nil {
				require.Equal(t, []string{"c"}, g.holders())
				require.True(t, time.Now().Before(g.page.Slots[0].Until), "the turn is held during the upload")
			}
		}
	}
}

// An agent uploads 1 MiB a second: 2 GiB take 34 minutes.
func TestUploadOf2GiBIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		took, err := inSimulatedTime(t, sysdigtest.Options{CaptureSize: 2 << 30, Step: 15 * time.Second},
			activities.AwaitInput{Duration: incident.Duration(15 * time.Second), Turn: []string{"h"}})
		require.NoError(t, err)
		require.Greater(t, took, 34*time.Minute)
		require.Less(t, took, 36*time.Minute)
	})
}

func TestOverdueCaptureSaysWhichPhaseRanOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options  sysdigtest.Options
		hurried  bool
		want     string
		min, max time.Duration
	}{
		"never started": {
			sysdigtest.Options{Hosts: []sysdigtest.Host{}},
			false,
			"is still requested after 10m15s: the agent may never have started it", 10 * time.Minute, 11 * time.Minute,
		},
		"recording far too long": {
			sysdigtest.Options{Step: 9 * time.Minute},
			false,
			"is still capturing after 10m15s: it was to record for 15s", 10 * time.Minute, 11 * time.Minute,
		},
		"uploading for ever": {
			sysdigtest.Options{CaptureSize: 1 << 40},
			false,
			"is still uploading after 6h0m", 6 * time.Hour, 6*time.Hour + 5*time.Minute,
		},
		"containment waits": {
			sysdigtest.Options{CaptureSize: 1 << 40}, true, "and containment does not wait longer", 10 * time.Minute, 11 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				took, err := inSimulatedTime(t, tc.options, activities.AwaitInput{Duration: incident.Duration(15 * time.Second), Hurried: tc.hurried})
				require.Equal(t, activities.ErrFailed, final(t, err))
				require.ErrorContains(t, err, tc.want)
				require.Greater(t, took, tc.min)
				require.Less(t, took, tc.max)
			})
		})
	}
}

// The download may end early with a Content-Length that agrees.
func TestSizeThatDiffersIsFlaggedAndTheFileIsKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := b.captured(t)
	in.Capture.Size += 20
	file, err := run[activities.StoredFile](b, a.SaveCapture, in)
	require.NoError(t, err)
	require.EqualValues(t, 64<<10, file.Size)
	require.Equal(t, []evidence.Difference{{What: "size", Source: "Sysdig's capture", Stated: "65556", Stored: "65536"}}, file.Differences)
	require.Equal(t, "size differs: Sysdig's capture states 65556 bytes, stored are 65536 bytes", file.Differences[0].String())

	in.Capture.Size = 0
	file, err = run[activities.StoredFile](b, a.SaveCapture, in)
	require.NoError(t, err)
	require.Empty(t, file.Differences, "a size that is not known says nothing")
}

// A file that was acquired is compared with what the outputs of its execution state.
func TestAcquiredFileIsComparedWithItsOutputs(t *testing.T) {
	t.Parallel()
	const content = "what was acquired"
	digest := strings.Repeat("ab", 32)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/acquired-file") {
			w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(another())+":")
			_, _ = io.WriteString(w, content)
			return
		}
		_, _ = io.WriteString(w, `{"id":"x-1","actionType":"FILE_ACQUIRE","status":"COMPLETED","outputs":{"file.size":99,"file.sha256":"`+digest+`","other.size":"17","path":"/tmp/x"}}`)
	}))
	t.Cleanup(ts.Close)
	b := newBench(t, sysdigtest.Options{})
	client, err := sysdig.NewClient(sysdig.Config{AppURL: ts.URL, APIURL: ts.URL, Token: "test-token"})
	require.NoError(t, err)
	b.activities.Sysdig = client
	file, err := run[activities.StoredFile](b, a.FetchResult, activities.FetchInput{Action: "FILE_ACQUIRE", ExecutionID: "x-1", WorkflowID: "w", RunID: "r"})
	require.NoError(t, err)
	require.EqualValues(t, len(content), file.Size)
	var sources []string
	for _, d := range file.Differences {
		sources = append(sources, d.What+" of "+d.Source+": "+d.Stated[:2])
	}
	require.ElementsMatch(t, []string{"sha256 of the download's digest: " + hex.EncodeToString(another())[:2], "sha256 of output file.sha256: ab", "size of output file.size: 99"}, sources)
}

func another() []byte {
	sum := sha256.Sum256([]byte("another"))
	return sum[:]
}

func TestActionCaptureThatABusyAgentRefusedSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	g := &turns{}
	b.activities.Guard = g
	b.sysdig.PolicyCapture(58014837, time.Hour)
	_, err := run[activities.Execution](b, a.ExecuteAction, activities.ActionInput{
		Action: "CAPTURE", CallerID: "one", Claim: captureOfNode().Claim, Parameters: map[string]any{
			"host.id": nodeHost, "capture.remote_storage_configuration_id": "s", "capture.duration_ns": int64(time.Second), "capture.past_duration_ns": 0,
		},
	})
	require.Equal(t, activities.ErrCaptureBusy, final(t, err))
	require.ErrorContains(t, err, sysdigtest.ReasonBusy)
	require.Empty(t, g.holders())
}
