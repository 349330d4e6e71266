package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/sysdig/sysdigtest"
)

const permissions = "/api/users/me/permissions"

// capture is a capture by the response action.
func captureAction() activities.ActionInput {
	return activities.ActionInput{
		Action: "CAPTURE", CallerID: "firebreak-0002",
		Parameters: map[string]any{
			"host.id": nodeHost, "capture.remote_storage_configuration_id": "s3", "capture.duration_ns": int64(1e9), "capture.past_duration_ns": 0,
		},
		Claim: approvals.Claim{Route: "automatic", Playbook: "crypto-miner", Action: "CAPTURE", First: true},
	}
}

// A token that may execute but not read gets an empty list, whatever was executed.
func TestEmptyListWithoutReadPermissionIsAmbiguous(t *testing.T) {
	t.Parallel()
	lost := sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true}
	never := sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetBefore: true}
	for name, test := range map[string]struct {
		in        activities.ActionInput
		deny      []sysdigtest.Permission
		without   []string
		fault     sysdigtest.Fault
		ambiguous bool
		submits   int
	}{
		"it took effect, and is not visible":    {kill(), []sysdigtest.Permission{sysdigtest.ContainmentRead}, nil, lost, true, 1},
		"it never arrived, which is not known":  {kill(), []sysdigtest.Permission{sysdigtest.ContainmentRead}, nil, never, true, 1},
		"only the other class is visible":       {captureAction(), []sysdigtest.Permission{sysdigtest.GatheringRead}, nil, lost, true, 1},
		"the other class is not visible":        {kill(), []sysdigtest.Permission{sysdigtest.GatheringRead}, nil, never, false, 2},
		"it never arrived, which is known":      {kill(), nil, nil, never, false, 2},
		"it took effect, and is visible":        {kill(), nil, nil, lost, false, 1},
		"permissions are not listed, not there": {kill(), nil, []string{"GET " + permissions}, never, true, 1},
		"permissions are not listed, there":     {kill(), nil, []string{"GET " + permissions}, lost, false, 1},
		"permissions are not listed, no read":   {kill(), []sysdigtest.Permission{sysdigtest.ContainmentRead}, []string{"GET " + permissions}, lost, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{Deny: test.deny, Without: test.without})
			b.sysdig.Fault(test.fault)
			_, err := persist[activities.Execution](b, a.ExecuteAction, test.in)
			require.Equal(t, test.submits, b.submits())
			if test.ambiguous {
				require.Equal(t, activities.ErrAmbiguous, errorType(t, err))
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestWithdrawnReadPermissionCounts(t *testing.T) {
	t.Parallel()
	for name, without := range map[string][]string{"listed": nil, "not listed": {"GET " + permissions}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{Without: without})
			first := kill()
			first.CallerID = "firebreak-0003"
			_, err := persist[activities.Execution](b, a.ExecuteAction, first) // read while it was permitted
			require.NoError(t, err)

			b.sysdig.Deny(sysdigtest.ContainmentRead)
			b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true})
			_, err = persist[activities.Execution](b, a.ExecuteAction, kill())
			require.Equal(t, activities.ErrAmbiguous, errorType(t, err))
			require.Equal(t, 2, b.submits(), "one of each caller ID")
		})
	}
}

func TestExecutionReadBeforeProvesTheReadPermission(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{Without: []string{"GET " + permissions}})
	first := kill()
	first.CallerID = "firebreak-0003"
	_, err := persist[activities.Execution](b, a.ExecuteAction, first)
	require.NoError(t, err)
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetBefore: true})
	again := captureAction()
	_, err = persist[activities.Execution](b, a.ExecuteAction, again)
	require.Equal(t, activities.ErrAmbiguous, errorType(t, err), "an execution of the other class proves nothing")

	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetBefore: true})
	stop := kill()
	stop.Action, stop.Claim.Action = "KILL_PROCESS", "KILL_PROCESS"
	stop.Parameters = map[string]any{"host.id": nodeHost, "process.id": 815, "startTime": -1}
	done, err := persist[activities.Execution](b, a.ExecuteAction, stop)
	require.NoError(t, err)
	require.False(t, done.Result.Adopted)
}

func TestPermissionsThatCannotBeReadNowAreReadAgain(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sysdigtest.Fault{
		"unavailable":           {Status: http.StatusServiceUnavailable},
		"rate limit":            {Status: http.StatusTooManyRequests},
		"the connection breaks": {ResetBefore: true},
		"the answer breaks off": {Truncate: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			fault.Path, fault.Times = permissions, 2
			b.sysdig.Fault(fault)
			b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetBefore: true})
			_, err := persist[activities.Execution](b, a.ExecuteAction, kill())
			require.NoError(t, err)
			require.Equal(t, 2, b.submits())
			require.Greater(t, b.sysdig.Requests(http.MethodGet, permissions), 2)
		})
	}
}

func TestUndoIsNotRepeatedWithoutReadPermission(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	pause := kill()
	pause.Action, pause.Claim.Action = "PAUSE_CONTAINER", "PAUSE_CONTAINER"
	pause.Claim.ApprovedBy = []string{"ann"}
	done, err := persist[activities.Execution](b, a.ExecuteAction, pause)
	require.NoError(t, err)

	undo := pause
	undo.Undo, undo.CallerID, undo.Parameters = done.Result.ID, "firebreak-0004", nil
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodDelete, Path: executions, Times: 1, ResetAfter: true})
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodGet, Path: executions[:len(executions)-1] + "*", Times: 1, Status: http.StatusBadGateway})
	undo.Claim.Undo = true
	again, err := persist[activities.Execution](b, a.ExecuteAction, undo)
	require.NoError(t, err)
	require.True(t, again.Result.Adopted)
	require.Equal(t, 1, b.sysdig.Requests(http.MethodDelete, executions))

	// The permission goes after the undo was asked for.
	undo.CallerID, undo.Resumed = "firebreak-0005", true
	b.sysdig.Deny(sysdigtest.ContainmentRead)
	_, err = persist[activities.Execution](b, a.ExecuteAction, undo)
	require.Equal(t, activities.ErrAmbiguous, errorType(t, err))
	require.Equal(t, 1, b.sysdig.Requests(http.MethodDelete, executions))
}

// An incident may have been open for weeks when its action is looked up.
func TestExecutionIsLookedUpSinceItsIncidentWasOpened(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := kill()
	in.Resumed, in.Since = true, time.Now().Add(-30*24*time.Hour)
	b.activities.Settle = time.Nanosecond
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	require.Zero(t, b.lookups()%3, "three windows of two weeks each time")
	require.Equal(t, 1, b.submits())
}

// The command alone is no guard: other clients start workflows, too.
func TestUndoActionIsNotSubmittedByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := kill()
	in.Action, in.Claim.Action, in.Claim.ApprovedBy = "UNPAUSE_CONTAINER", "UNPAUSE_CONTAINER", []string{"ann"}
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrRefused, final(t, err))
	require.Zero(t, b.submits())
	in.Forced = true
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrFailed, final(t, err), "it is not paused, as Sysdig says")
	require.Equal(t, 1, b.submits())
}
