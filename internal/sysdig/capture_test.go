package sysdig_test

import (
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// capture is a request for a capture on the simulation's second host.
func capture(t *testing.T, c *sysdig.Client) sysdig.CaptureRequest {
	t.Helper()
	agents, err := c.ConnectedAgents(t.Context())
	require.NoError(t, err)
	return sysdig.CaptureRequest{
		Name: "evidence", Agent: agents[1], ContainerID: "aaa000000006", Duration: 15 * time.Second, Filter: "container.id=aaa000000006 and (proc.name=xmrig)",
	}
}

// captured waits for a capture to come to its end.
func captured(t *testing.T, c *sysdig.Client, id int64) *sysdig.Capture {
	t.Helper()
	var got *sysdig.Capture
	require.Eventually(t, func() bool {
		var err error
		got, err = c.Capture(t.Context(), id)
		return err == nil && (got.Done() || got.Failed())
	}, 10*time.Second, time.Millisecond)
	return got
}

func TestACaptureIsCreatedFollowedAndDownloaded(t *testing.T) {
	t.Parallel()
	const size = 1<<20 + 3
	sim, c := simulated(t, sysdigtest.Options{CaptureSize: size, UploadRate: 1 << 30})
	created, err := c.CreateCapture(t.Context(), capture(t, c))
	require.NoError(t, err)
	require.Equal(t, sysdig.CaptureRequested, created.Status)
	require.Equal(t, "evidence.scap", created.Name)
	require.Equal(t, "99004", created.AgentID)

	done := captured(t, c, created.ID)
	require.True(t, done.Done())
	require.False(t, done.Failed())
	require.EqualValues(t, size, done.Size)

	body, err := c.DownloadCapture(t.Context(), created.ID, time.Minute)
	require.NoError(t, err)
	defer body.Close()
	got, want := sha256.New(), sha256.New()
	_, err = io.Copy(got, body)
	require.NoError(t, err)
	_, err = io.Copy(want, sysdigtest.CaptureReader(created.ID, size))
	require.NoError(t, err)
	require.Equal(t, want.Sum(nil), got.Sum(nil))
	require.Equal(t, 1, sim.Ledger().Count(func(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Download }))
}

func TestACaptureIsRequestedAsThePackDoes(t *testing.T) {
	t.Parallel()
	c, sent := recorded(t, http.StatusOK, "capture-create-response.json")
	got, err := c.CreateCapture(t.Context(), sysdig.CaptureRequest{
		Name:        "xsoar-capture-1234",
		HostName:    "ip-10-0-0-3.ec2.internal",
		ContainerID: "aaa000000006",
		Duration:    15 * time.Second,
		Agent: sysdig.Agent{
			ID: "99001", Customer: "55001", MachineID: "aa:bb:cc:dd:ee:01",
			HostName: "ip-10-0-1-100.us-west-2.compute.internal",
		},
	})
	require.NoError(t, err)
	require.JSONEq(t, string(fixture(t, "capture-create-request.json")), sent())
	require.Empty(t, cmp.Diff(&sysdig.Capture{
		ID: 555444, Name: "test_capture.scap", Status: sysdig.CaptureRequested, ContainerID: "123456789012",
		AgentID: "123456789012", HostName: "ip-1-2-3-4.us-west-1.compute.internal", MachineID: "aa:bb:cc:11:22:33", Folder: "/",
	}, got))
}

func TestACaptureLastsWholeSecondsUpToFiveMinutes(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	for _, d := range []time.Duration{0, -time.Second, 999 * time.Millisecond, 1500 * time.Millisecond, 301 * time.Second} {
		_, err := c.CreateCapture(t.Context(), sysdig.CaptureRequest{Name: "x", Duration: d})
		require.ErrorContains(t, err, "must be whole seconds from 1s to 5m0s")
	}
	require.Zero(t, sim.Requests("", ""))
}

func TestABusyHostIsRecognised(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{RefuseBusyAtOnce: true})
	req := capture(t, c)
	sim.PolicyCapture(99004, time.Hour)
	_, err := c.CreateCapture(t.Context(), req)
	require.True(t, sysdig.OutstandingCapture(err), "%v", err)
	require.False(t, sysdig.MayHaveTakenEffect(err))

	_, err = c.Capture(t.Context(), 1)
	require.Error(t, err)
	require.False(t, sysdig.OutstandingCapture(err))
	require.False(t, sysdig.OutstandingCapture(nil))
}

func TestACaptureThatEndsInAnErrorHasFailed(t *testing.T) {
	t.Parallel()
	_, c := simulated(t, sysdigtest.Options{})
	req := capture(t, c)
	req.Filter = "(proc.name=xmrig"
	created, err := c.CreateCapture(t.Context(), req)
	require.NoError(t, err)
	failed := captured(t, c, created.ID)
	require.True(t, failed.Failed())
	require.False(t, failed.Done())
	require.False(t, failed.Busy())
	require.Equal(t, sysdigtest.ReasonFilter, failed.Reason)
}

func TestCaptureThatABusyAgentRefusedSaysSo(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"errorMessage", "statusDetails", "reason"} {
		sim, c := simulated(t, sysdigtest.Options{ReasonKey: key})
		sim.PolicyCapture(99004, time.Hour)
		created, err := c.CreateCapture(t.Context(), capture(t, c))
		require.NoError(t, err, "Sysdig accepts it")
		failed := captured(t, c, created.ID)
		require.True(t, failed.Busy())
		require.Equal(t, sysdigtest.ReasonBusy, failed.Reason, key)
		listed, err := c.Captures(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.True(t, listed[0].Busy())
	}
}

func TestReasonOfAFailedCapture(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ item, want string }{
		"no text":             {`"status":"error","name":"a b.scap","filters":"proc.name = sh","storageType":"S3"`, ""},
		"a word":              {`"status":"error","state":"x","error":"timeout"`, "timeout"},
		"a sentence":          {`"status":"error","x":"agent is gone"`, "agent is gone"},
		"nested":              {`"status":"error","result":{"list":[{"text":"no space left"}]},"errors":["e1"]`, "e1; no space left"},
		"of the agent":        {`"status":"error","agent":{"hostName":"a b","description":"a host","errorMessage":"busy"}`, "busy"},
		"hostile":             {`"status":"error","error":"a\u0000\u001b[31mb\n` + token + `"`, "a [31mb [token]"},
		"not failed":          {`"status":"done","error":"old news"`, ""},
		"failed in an upload": {`"status":"uploadingError","errMsg":"403 from the bucket"`, "403 from the bucket"},
		"numbers":             {`"status":"error","error":7,"reason":null`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"capture":{"id":1,`+tc.item+`}}`)
			})
			got, err := c.Capture(t.Context(), 1)
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Reason)
		})
	}
	long := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"capture":{"id":1,"status":"error","error":"`+strings.Repeat("x", 100_000)+`"}}`)
	})
	got, err := long.Capture(t.Context(), 1)
	require.NoError(t, err)
	require.Less(t, len(got.Reason), 1100)
}

// A token may be allowed to use one of the two families of paths only.
func TestCapturesWorkByEitherFamilyOfPaths(t *testing.T) {
	t.Parallel()
	for _, family := range []string{sysdigtest.CapturesPath, sysdigtest.DumpsPath} {
		t.Run("without "+family, func(t *testing.T) {
			t.Parallel()
			sim, c := simulated(t, sysdigtest.Options{Closed: []string{family}})
			created, err := c.CreateCapture(t.Context(), capture(t, c))
			require.NoError(t, err)
			require.True(t, captured(t, c, created.ID).Done())
			listed, err := c.Captures(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
			require.NoError(t, err)
			require.Len(t, listed, 1)
			body, err := c.DownloadCapture(t.Context(), created.ID, time.Minute)
			require.NoError(t, err)
			defer body.Close()
			_, err = io.Copy(io.Discard, body)
			require.NoError(t, err)
			require.Equal(t, "aaa000000006", sim.Ledger()[0].ContainerID)
			require.Empty(t, sim.Invalid())
		})
	}
	_, c := simulated(t, sysdigtest.Options{Closed: []string{sysdigtest.CapturesPath, sysdigtest.DumpsPath}})
	_, err := c.CreateCapture(t.Context(), capture(t, c))
	require.ErrorContains(t, err, "403")
	require.False(t, sysdig.MayHaveTakenEffect(err))
}

func TestTheStatusComesFromWhereverSysdigHasIt(t *testing.T) {
	t.Parallel()
	const newer, older, list = "GET /api/v1/captures/{id}", "GET /api/sysdig/{id}", "GET /api/sysdig"
	for _, tc := range []struct {
		without []string
		found   bool
	}{
		{nil, true},
		{[]string{newer}, true},
		{[]string{newer, older}, true},
		{[]string{newer, list}, true},
		{[]string{newer, older, list}, true},
		{[]string{newer, older, list, "GET /api/v1/captures"}, false},
	} {
		sim, c := simulated(t, sysdigtest.Options{Without: tc.without})
		created, err := c.CreateCapture(t.Context(), capture(t, c))
		require.NoError(t, err)
		got, err := c.Capture(t.Context(), created.ID)
		if !tc.found {
			require.Equal(t, http.StatusNotFound, sysdigError(t, err).StatusCode)
			continue
		}
		require.NoError(t, err, tc.without)
		require.Equal(t, created.ID, got.ID)
		require.Equal(t, created.Name, got.Name)

		_, err = c.Capture(t.Context(), created.ID+1)
		require.Equal(t, http.StatusNotFound, sysdigError(t, err).StatusCode, "another capture is not this one")
		require.Empty(t, sim.Invalid())
	}

	// Where a path is only out of order, nobody knows what the list would say.
	sim, c := simulated(t, sysdigtest.Options{Without: []string{newer, older}})
	sim.Fault(sysdigtest.Fault{Method: "GET", Path: "/api/sysdi*", Status: http.StatusBadGateway})
	_, err := c.Capture(t.Context(), 1)
	require.Equal(t, http.StatusBadGateway, sysdigError(t, err).StatusCode)
}

func TestTheStatusComesFromTheOlderPathWhereTheNewerIsRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed} {
		sim, c := simulated(t, sysdigtest.Options{})
		sim.Fault(sysdigtest.Fault{Method: "GET", Path: "/api/v1/captures/*", Status: status})
		created, err := c.CreateCapture(t.Context(), capture(t, c))
		require.NoError(t, err)
		got, err := c.Capture(t.Context(), created.ID)
		require.NoError(t, err)
		require.Equal(t, created.Name, got.Name)
	}

	sim, c := simulated(t, sysdigtest.Options{})
	sim.Fault(sysdigtest.Fault{Method: "GET", Path: "/api/v1/captures/*", Status: http.StatusInternalServerError})
	_, err := c.Capture(t.Context(), 1)
	require.Error(t, err)
	require.Zero(t, sim.Requests("GET", "/api/sysdig"))
}

func TestCapturesAreFoundByTheTimeOfTheirCreation(t *testing.T) {
	t.Parallel()
	_, c := simulated(t, sysdigtest.Options{})
	created, err := c.CreateCapture(t.Context(), capture(t, c))
	require.NoError(t, err)
	now := time.Now()
	found, err := c.Captures(t.Context(), now.Add(-time.Minute), now.Add(time.Minute))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, created.ID, found[0].ID)
	none, err := c.Captures(t.Context(), now.Add(-time.Hour), now.Add(-time.Minute))
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestCapturesAreReadTolerantly(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]sysdig.Capture{
		`{"capture":{"id":5,"status":"DONE"}}`:                      {ID: 5, Status: sysdig.CaptureDone},
		`{"dump":{"id":"5","status":"uploadingerror","size":"12"}}`: {ID: 5, Status: sysdig.CaptureUploadingError, Size: 12},
		`{"id":5,"status":"uploaded","size":12}`:                    {ID: 5, Status: sysdig.CaptureUploaded, Size: 12},
		`{"capture":{"id":5,"status":"something new"}}`:             {ID: 5, Status: "something new"},
	} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
		got, err := c.Capture(t.Context(), 5)
		require.NoError(t, err, body)
		require.Equal(t, &want, got, body)
	}
	for _, body := range []string{`{}`, `{"capture":{}}`, `{"capture":{"id":"x"}}`, `[]`} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
		_, err := c.Capture(t.Context(), 5)
		require.Error(t, err, body)
	}
}
