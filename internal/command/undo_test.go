package command_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflow/v1"

	"firebreak/internal/incident"
	"firebreak/signals"
)

const undoID = "action:PAUSE_CONTAINER:undo:exec-2"

// closedIncident is a Temporal with a closed incident, beside which manual actions
// can be started.
func closedIncident(actions ...signals.Executed) *manual {
	i := newIncident(nil)
	i.page.State, i.page.Outcome, i.page.Pending = signals.Contained, signals.Contained, nil
	i.page.Actions, i.page.Tenant = actions, "emea"
	i.page.Incident.Host = incident.Host{Name: "node-1"}
	m := newManual(i, running, signals.Page{State: signals.AwaitingApproval, Pending: &signals.Request{ID: "abcdef012345", Action: "UNDO", Need: 1}})
	describe := m.DescribeFn
	m.DescribeFn = func(workflowID, runID string) (*workflow.WorkflowExecutionInfo, error) {
		if workflowID == minerID {
			return execution{id: minerID, run: "run-1", status: completed}.info(), nil
		}
		return describe(workflowID, runID)
	}
	return m
}

func TestTheLastActionOfAClosedIncidentIsUndoneByHand(t *testing.T) {
	t.Parallel()
	m := closedIncident(
		signals.Executed{Action: "KILL_CONTAINER", ExecutionID: "exec-1"},
		signals.Executed{Action: "PAUSE_CONTAINER", ExecutionID: "exec-2"},
		signals.Executed{Action: "STOP_CONTAINER", ExecutionID: "exec-3", UndoneBy: "bob"},
		signals.Executed{Action: "STOP_CONTAINER", ExecutionID: "exec-4", Observed: true},
	)
	code, stdout, stderr := run(t, m.fakeTemporal, "undo", minerID, "--reason", "a false alarm")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "firebreak approve "+undoID+" --request abcdef012345 --reason WHY\n")
	require.Equal(t, []signals.ManualInput{{
		Action: "PAUSE_CONTAINER", Undo: "exec-2", Incident: minerID, Tenant: "emea", Requester: "ann", Reason: "a false alarm",
	}}, m.started)
	require.Equal(t, undoID, m.options.ID)
	require.Equal(t, `Undo PAUSE\_CONTAINER, asked for by ann: a false alarm`, m.options.StaticSummary)
}

func TestWhatCannotBeUndoneOfAClosedIncidentIsSaid(t *testing.T) {
	t.Parallel()
	for want, actions := range map[string][]signals.Executed{
		"nothing was done that could be undone": {{Action: "PAUSE_CONTAINER", UndoneBy: "bob"}},
		"KILL_CONTAINER cannot be undone":       {{Action: "PAUSE_CONTAINER", ExecutionID: "exec-2"}, {Action: "KILL_CONTAINER", ExecutionID: "exec-3"}},
	} {
		m := closedIncident(actions...)
		code, stdout, stderr := run(t, m.fakeTemporal, "undo", minerID, "--reason", "r")
		require.Equal(t, 1, code)
		require.Empty(t, stdout)
		require.Equal(t, "firebreak: "+minerID+": "+want+"\n", stderr)
		require.Empty(t, m.started)
	}
}

func TestAnActionIsNotUndoneTwice(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		outcome signals.State
		by      string
		starts  int
	}{
		"undone": {signals.Contained, "bob", 0}, "on a dry run": {signals.Contained, "", 1}, "rejected": {signals.Rejected, "", 1}, "failed": {signals.Failed, "", 1},
	} {
		m := closedIncident(signals.Executed{Action: "PAUSE_CONTAINER", ExecutionID: "exec-2"})
		query := m.QueryFn
		m.QueryFn = func(workflowID, runID string) (any, error) {
			if workflowID == undoID && len(m.started) == 0 {
				return signals.Page{
					Outcome: test.outcome, Actions: []signals.Executed{{Action: "PAUSE_CONTAINER", ExecutionID: "exec-2", UndoneBy: test.by}},
				}, nil
			}
			return query(workflowID, runID)
		}
		code, _, stderr := run(t, m.fakeTemporal, "undo", minerID, "--reason", "r")
		require.Len(t, m.started, test.starts, "%s: %s", name, stderr)
		if test.starts == 0 {
			require.Equal(t, 1, code)
			require.Equal(t, "firebreak: "+minerID+": PAUSE_CONTAINER was undone already: see `firebreak show "+undoID+"`\n", stderr)
		}
	}
}
