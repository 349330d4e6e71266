package sysdig_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// kill is the submission that kills the container of the simulation's second host.
func kill(callerID string) sysdig.Submission {
	h := sysdigtest.DefaultHosts()[1]
	return sysdig.Submission{
		ActionType: "KILL_CONTAINER",
		CallerID:   callerID,
		Parameters: map[string]any{"host.id": h.ID, "container.id": h.Containers[0]},
	}
}

// settled waits until n effects are in the ledger.
func settled(t *testing.T, sim *sysdigtest.Server, n int) sysdigtest.Ledger {
	t.Helper()
	require.NoError(t, sim.WaitFor(t.Context(), func(l sysdigtest.Ledger) bool { return len(l) >= n }))
	return sim.Ledger()
}

func TestASubmittedActionRunsAndSucceeds(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	queued, err := c.Submit(t.Context(), kill("incident-1"))
	require.NoError(t, err)
	require.Equal(t, "incident-1", queued.CallerID)
	require.False(t, queued.Succeeded())

	require.Equal(t, 1, settled(t, sim, 1).Killed("aaa000000006"))
	done, err := c.Execution(t.Context(), queued.ID)
	require.NoError(t, err)
	require.True(t, done.Done())
	require.True(t, done.Succeeded())
	require.Equal(t, "HOST", done.ResponderType)
	require.Equal(t, "ip-10-0-0-3.ec2.internal", done.Context["host.hostName"])
	require.WithinDuration(t, time.Now(), done.CreatedAt, time.Minute)
	require.True(t, done.UpdatedAt.After(done.CreatedAt))
}

func TestAFailedActionSaysWhy(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	s := kill("incident-1")
	s.Parameters["container.id"] = "ffffffffffff"
	queued, err := c.Submit(t.Context(), s)
	require.NoError(t, err)
	settled(t, sim, 1)
	done, err := c.Execution(t.Context(), queued.ID)
	require.NoError(t, err)
	require.Equal(t, sysdig.Failed, done.Status)
	require.True(t, done.Done())
	require.False(t, done.Succeeded())
	require.Equal(t, sysdigtest.ContainerNotFound, done.Failure.Reason)
	require.Contains(t, done.Failure.Message, "ffffffffffff")
}

// lately looks up the executions of the last hour.
func lately(t *testing.T, c *sysdig.Client, callerID string) ([]sysdig.Execution, error) {
	t.Helper()
	return c.ExecutionsByCaller(t.Context(), callerID, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

func TestExecutionsAreListedOldestFirst(t *testing.T) {
	t.Parallel()
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"data":[
			{"id":"2","callerId":"mine","createdAt":"2026-12-01T10:00:02Z"},
			{"id":"1","callerId":"mine","createdAt":"2026-12-01T11:00:01+01:00"},
			{"id":"3","callerId":"mine","createdAt":"2026-12-01T10:00:03Z"}]}`))
	})
	found, err := lately(t, c, "mine")
	require.NoError(t, err)
	var ids []string
	for _, e := range found {
		ids = append(ids, e.ID)
	}
	require.Equal(t, []string{"1", "2", "3"}, ids)
}

func TestExecutionsAreListedInWindowsOfTwoWeeks(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		span time.Duration
		want []time.Duration // of each request
	}{
		"an hour":       {time.Hour, []time.Duration{time.Hour}},
		"two weeks":     {14 * day, []time.Duration{14 * day}},
		"thirty days":   {30 * day, []time.Duration{14 * day, 14 * day, 2 * day}},
		"a moment more": {14*day + 1, []time.Duration{14 * day, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type window struct{ from, to int64 }
			sent := make(chan window, 8)
			c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				from, _ := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
				to, _ := strconv.ParseInt(r.URL.Query().Get("to"), 10, 64)
				sent <- window{from, to}
				fmt.Fprint(w, `{"data":[{"id":"1","callerId":"mine"}]}`)
			})
			found, err := c.ExecutionsByCaller(t.Context(), "mine", begin, begin.Add(tc.span))
			require.NoError(t, err)
			require.Len(t, found, 1, "two windows may list one execution")
			close(sent)
			var spans []time.Duration
			next := begin.UnixNano()
			for w := range sent {
				require.Equal(t, next, w.from, "no gap")
				next = w.to
				spans = append(spans, time.Duration(w.to-w.from))
			}
			require.Equal(t, begin.Add(tc.span).UnixNano(), next)
			require.Equal(t, tc.want, spans)
		})
	}
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[]}`) })
	_, err := c.ExecutionsByCaller(t.Context(), "mine", begin, begin)
	require.ErrorContains(t, err, "must be before")
}

func TestExecutionsAreFoundByTheirCaller(t *testing.T) {
	t.Parallel()
	_, c := simulated(t, sysdigtest.Options{})
	for _, caller := range []string{"mine", "theirs", "mine"} {
		_, err := c.Submit(t.Context(), kill(caller))
		require.NoError(t, err)
	}
	found, err := lately(t, c, "mine")
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.NotEqual(t, found[0].ID, found[1].ID)

	none, err := lately(t, c, "unused")
	require.NoError(t, err)
	require.Empty(t, none)

	_, err = lately(t, c, "")
	require.ErrorContains(t, err, "caller ID is empty")
}

func TestExecutionsOfOthersAreNeverAdopted(t *testing.T) {
	t.Parallel()
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"data":[{"id":"1","callerId":"theirs"},{"id":"2","callerId":"mine"},{"id":"3"}]}`))
	})
	found, err := lately(t, c, "mine")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "2", found[0].ID)
}

func TestAListFullOfExecutionsOfOthersProvesNothing(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{199: true, 200: false} {
		items := strings.Repeat(`{"id":"1","callerId":"theirs"},`, n)
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"data":[` + strings.TrimSuffix(items, ",") + `]}`))
		})
		_, err := lately(t, c, "mine")
		require.Equal(t, want, err == nil, "%v", err)
	}
}

func TestAListThatIsNotThereIsNotAnEmptyList(t *testing.T) {
	t.Parallel()
	for body, ok := range map[string]bool{
		`{"data":[]}`:     true,
		`{"data":null}`:   true,
		`{}`:              false,
		`null`:            false,
		`{"data":[{}]}`:   false,
		`<html>`:          false,
		`{"data":[]}junk`: false,
	} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
		_, err := lately(t, c, "mine")
		require.Equal(t, ok, err == nil, "%s: %v", body, err)
	}
}

func TestUndoReturnsItsOwnExecution(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	s := kill("pause")
	s.ActionType = "PAUSE_CONTAINER"
	paused, err := c.Submit(t.Context(), s)
	require.NoError(t, err)
	settled(t, sim, 1)
	undone, err := c.Undo(t.Context(), paused.ID, "undo")
	require.NoError(t, err)
	require.Equal(t, "UNPAUSE_CONTAINER", undone.ActionType)
	require.Equal(t, "undo", undone.CallerID)
	require.Equal(t, paused.ID, undone.ActionExecutionIDBeingUndone)
	require.NotEqual(t, paused.ID, undone.ID)
	require.Equal(t, sysdigtest.Undo, settled(t, sim, 2)[1].Kind)
}

func TestAnAcquiredFileIsDownloaded(t *testing.T) {
	t.Parallel()
	const size = 1<<20 + 3
	sim, c := simulated(t, sysdigtest.Options{CaptureSize: size})
	s := kill("acquire")
	s.ActionType = "FILE_ACQUIRE"
	s.Parameters["path.absolute"] = "/tmp/xmrig"
	acquired, err := c.Submit(t.Context(), s)
	require.NoError(t, err)
	settled(t, sim, 1)
	body, err := c.AcquiredFile(t.Context(), acquired.ID, time.Minute)
	require.NoError(t, err)
	defer body.Close()
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	want, err := io.ReadAll(sysdigtest.AcquiredReader(acquired.ID, size))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.Equal(t, sysdigtest.Download, sim.Ledger()[1].Kind)

	killed, err := c.Submit(t.Context(), kill("kill"))
	require.NoError(t, err)
	settled(t, sim, 3)
	for _, id := range []string{killed.ID, "nothing"} {
		_, err = c.AcquiredFile(t.Context(), id, time.Minute)
		require.Equal(t, http.StatusNotFound, sysdigError(t, err).StatusCode, "there is a file of FILE_ACQUIRE only")
	}
}

func TestAnAcquiredFileThatBreaksOffIsNotComplete(t *testing.T) {
	t.Parallel()
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("begin"))
	})
	body, err := c.AcquiredFile(t.Context(), "a", time.Minute)
	require.NoError(t, err)
	defer body.Close()
	_, err = io.ReadAll(body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestIDsThatWouldAddressSomethingElseAreRefused(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	for _, id := range []string{"", ".", ".."} {
		_, err := c.Execution(t.Context(), id)
		require.ErrorContains(t, err, "want the ID of an execution")
		_, err = c.Undo(t.Context(), id, "me")
		require.ErrorContains(t, err, "want the ID of an execution")
		require.False(t, sysdig.MayHaveTakenEffect(err))
		_, err = c.AcquiredFile(t.Context(), id, time.Minute)
		require.ErrorContains(t, err, "want the ID of an execution")
	}
	require.Zero(t, sim.Requests("", ""))
}

func TestASubmissionIsSentAsTheAPIWantsIt(t *testing.T) {
	t.Parallel()
	c, sent := recorded(t, http.StatusCreated, "ra-submit-response-kill-container.json")
	e, err := c.Submit(t.Context(), sysdig.Submission{
		ActionType: "KILL_CONTAINER",
		CallerID:   "unique-per-call-max-128-chars",
		Parameters: map[string]any{
			"container.id": "6949e5f10829",
			"host.id":      "dddd000011112222333344445555666677778888999900001111222233334444",
		},
	})
	require.NoError(t, err)
	require.JSONEq(t, string(fixture(t, "ra-submit-request-kill-container.json")), sent())
	require.Empty(t, cmp.Diff(&sysdig.Execution{
		ID:         "00000-1111-2222-3333-444444444",
		CallerID:   "test_kill_container_07",
		ActionType: "KILL_CONTAINER",
		Context: map[string]string{
			"agent.tag.cluster": "test-cluster", "container.id": "123456789012",
			"container.image": "docker.io/library/ubuntu:latest",
		},
		Parameters: map[string]any{"container.id": "123456789012", "host.id": "abc123456789"},
		Status:     "CREATED",
	}, e))
	require.False(t, e.Done())
}

func TestCompletedWithAFailureIsNotASuccess(t *testing.T) {
	t.Parallel()
	c := scripted(t, answer(t, 200, "ra-get-execution-completed-with-failure-block.json"))
	e, err := c.Execution(t.Context(), "b137bf86")
	require.NoError(t, err)
	require.True(t, e.Done())
	require.False(t, e.Succeeded())
	require.Equal(t, &sysdig.Failure{Reason: "forbidden", Message: "Could not execute the action."}, e.Failure)
	require.Equal(t, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), e.CreatedAt)
}

func TestExecutionsAreReadTolerantly(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		body            string
		done, succeeded bool
	}{
		{`{"id":17,"status":"completed"}`, true, true},
		{`{"id":"a","status":"Completed","failure":null,"outputs":null}`, true, true},
		{`{"id":"a","status":"COMPLETED","failure":{}}`, true, true},
		{`{"id":"a","status":"COMPLETED","failure":"out of luck"}`, true, false},
		{`{"id":"a","status":"COMPLETED","failure":{"code":3}}`, true, false},
		{`{"id":"a","status":"COMPLETED","outputs":"text","parameters":[1],"createdAt":0}`, true, true},
		{`{"id":"a","status":"failed"}`, true, false},
		{`{"id":"a","status":"in_progress"}`, false, false},
		{`{"id":"a","status":"ENQUEUED"}`, false, false},
		{`{"id":"a","status":"something new"}`, false, false},
		{`{"id":"a"}`, false, false},
	} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(tc.body)) })
		e, err := c.Execution(t.Context(), "a")
		require.NoError(t, err, tc.body)
		require.Equal(t, tc.done, e.Done(), tc.body)
		require.Equal(t, tc.succeeded, e.Succeeded(), tc.body)
	}
}

func TestNumbersInOutputsStayExact(t *testing.T) {
	t.Parallel()
	c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"id":"a","outputs":{"size":9007199254740993}}`))
	})
	e, err := c.Execution(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, json.Number("9007199254740993"), e.Outputs["size"])
}
