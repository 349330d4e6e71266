package command_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"firebreak/signals"
)

func TestADecisionThatCountsIsToldInTheIncidentsWords(t *testing.T) {
	t.Parallel()
	i := newIncident(says("ann", signals.KindDecision, "approved KILL_CONTAINER: confirmed"))
	code, stdout, stderr := run(t, i.temporal(), "approve", minerID, "--reason", " confirmed ")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, minerID+"  counted  approved KILL_CONTAINER: confirmed\n", stdout)
	require.Equal(t, []sent{{"run-1", signals.Approve, signals.Decision{Analyst: "ann", Reason: "confirmed"}}}, i.sent)
}

func TestADecisionThatDoesNotCountIsAFailureWithItsReason(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]signals.Entry{
		"refused":       {Actor: "ann", Kind: signals.KindRefused, Text: "approve did not count: too late: it has expired"},
		"not decodable": {Actor: "firebreak", Kind: signals.KindRefused, Text: "approve did not count: too late: it has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIncident(func(string, any) []signals.Entry { return []signals.Entry{entry} })
			code, stdout, stderr := run(t, i.temporal(), "approve", minerID, "--reason", "r", "--output", "json")
			require.Equal(t, 1, code)
			require.JSONEq(t, `[{"workflow_id":"`+minerID+`","counted":false,"reason":"too late: it has expired"}]`, stdout)
			require.Equal(t, "firebreak: approve: counted by 0 of 1 incidents\n", stderr)
		})
	}
}

func TestWhatOthersDoIsNotTakenForTheAnswer(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]signals.Entry{
		"nothing":               {Actor: "firebreak", Kind: signals.KindReminder, Text: "still waiting"},
		"another's decision":    {Actor: "bob", Kind: signals.KindDecision, Text: "approved KILL_CONTAINER: mine"},
		"another's refusal":     {Actor: "bob", Kind: signals.KindRefused, Text: "approve did not count: too late"},
		"the opposite decision": {Actor: "ann", Kind: signals.KindDecision, Text: "rejected KILL_CONTAINER: no"},
		"another signal":        {Actor: "ann", Kind: signals.KindRefused, Text: "note did not count: too long"},
		"a note that imitates":  {Actor: "ann", Kind: signals.KindNote, Text: "approved KILL_CONTAINER: confirmed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIncident(func(string, any) []signals.Entry { return []signals.Entry{entry} })
				code, stdout, _ := run(t, i.temporal(), "approve", minerID, "--reason", "r", "--wait", "3s")
				require.Equal(t, 1, code)
				require.Contains(t, stdout, "unanswered  sent, but not answered within 3s: see `firebreak show "+minerID+"`")
			})
		})
	}
}

func TestAnAnswerThatComesLaterIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIncident(func(string, any) []signals.Entry { return nil })
		temporal, looks := i.temporal(), 0
		inner := temporal.QueryFn
		temporal.QueryFn = func(workflowID, runID string) (any, error) {
			switch looks++; looks {
			case 3:
				return nil, serviceerror.NewUnavailable("restarting")
			case 5:
				i.page.WarRoom = append(i.page.WarRoom, signals.Entry{Actor: "ann", Kind: signals.KindDecision, Text: "approved KILL_CONTAINER"})
			}
			return inner(workflowID, runID)
		}
		code, stdout, _ := run(t, temporal, "approve", minerID, "--reason", "r")
		require.Equal(t, 0, code, stdout)
		require.Equal(t, 5, looks)
	})
}

func TestADecisionOnAClosedIncidentSaysHowItClosed(t *testing.T) {
	t.Parallel()
	i := newIncident(nil)
	i.page.State, i.page.Outcome, i.page.Pending = signals.Contained, signals.Contained, nil
	temporal := i.temporal()
	temporal.SignalFn = nil
	code, stdout, _ := run(t, temporal, "approve", minerID, "--reason", "r")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "refused  the incident is closed: contained")
}

// moving is an incident that has moved on to a second run, whose page still
// names the run that opened it.
func moving(i *fakeIncident, chain string) *fakeTemporal {
	temporal := i.temporal()
	temporal.DescribeFn = func(_, runID string) (*workflow.WorkflowExecutionInfo, error) {
		if runID == "run-1" {
			return execution{id: minerID, run: "run-1", status: enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW}.info(), nil
		}
		return execution{id: minerID, run: "run-2", chain: chain}.info(), nil
	}
	temporal.QueryFn = func(string, string) (any, error) { return i.page, nil }
	return temporal
}

func TestADecisionGoesToTheRunThatTheIncidentHasMovedTo(t *testing.T) {
	t.Parallel()
	i := newIncident(says("ann", signals.KindDecision, "approved KILL_CONTAINER: r"))
	code, stdout, stderr := run(t, moving(i, "run-1"), "approve", minerID, "--reason", "r")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, minerID+"  counted  approved KILL_CONTAINER: r\n", stdout)
	require.Equal(t, []sent{{"run-2", signals.Approve, signals.Decision{Analyst: "ann", Reason: "r"}}}, i.sent)
}

// The incident moves on after it was looked at and before the signal is sent.
func TestADecisionFollowsAnIncidentThatMovesOnAndNoOther(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		chain  string
		stdout string
		sent   int
	}{
		"the same":      {"run-1", minerID + "  counted  approved KILL_CONTAINER\n", 1},
		"the next one":  {"run-2", minerID + "  refused  the incident is closed\n", 0},
		"closed before": {"", minerID + "  refused  the incident is closed\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIncident(says("ann", signals.KindDecision, "approved KILL_CONTAINER"))
			temporal := moving(i, test.chain)
			looks, describe, signal := 0, temporal.DescribeFn, temporal.SignalFn
			temporal.DescribeFn = func(workflowID, runID string) (*workflow.WorkflowExecutionInfo, error) {
				if looks++; looks == 1 {
					return execution{id: minerID, run: "run-1"}.info(), nil
				}
				if test.chain == "" {
					return execution{id: minerID, run: "run-1", status: enums.WORKFLOW_EXECUTION_STATUS_COMPLETED}.info(), nil
				}
				return describe(workflowID, runID)
			}
			temporal.SignalFn = func(workflowID, runID, name string, arg any) error {
				if runID == "run-1" {
					return serviceerror.NewNotFound("workflow execution already completed")
				}
				return signal(workflowID, runID, name, arg)
			}
			_, stdout, _ := run(t, temporal, "approve", minerID, "--reason", "r")
			require.Equal(t, test.stdout, stdout)
			require.Len(t, i.sent, test.sent)
		})
	}
}

func TestADecisionIsSentEvenWhileNoWorkerRuns(t *testing.T) {
	t.Parallel()
	i := newIncident(says("ann", signals.KindDecision, "approved KILL_CONTAINER"))
	temporal := i.temporal()
	temporal.QueryFn = func(string, string) (any, error) {
		return nil, serviceerror.NewFailedPrecondition("no poller seen for task queue recently, worker may be down")
	}
	code, stdout, _ := run(t, temporal, "approve", minerID, "--reason", "r")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "unanswered  sent, but not answered: no worker answers")
	require.Len(t, i.sent, 1)
}

func TestADecisionOnAnUnknownIncidentNamesThoseThatAreOpen(t *testing.T) {
	t.Parallel()
	temporal := newIncident(nil).temporal()
	temporal.ListFn = func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		require.Contains(t, r.Query, "ExecutionStatus = 'Running'")
		return listOf(execution{id: minerID}), nil
	}
	code, stdout, _ := run(t, temporal, "approve", "crypto-miner:typo", "--reason", "r")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, `there is no incident "crypto-miner:typo"; open: `+minerID)
}

func TestEachOfSeveralIncidentsGetsItsOwnLine(t *testing.T) {
	t.Parallel()
	i := newIncident(says("ann", signals.KindDecision, "approved KILL_CONTAINER"))
	code, stdout, stderr := run(t, i.temporal(), "approve", "capture:gone:host", minerID, "--reason", "r")
	require.Equal(t, 1, code)
	require.Equal(t, "capture:gone:host                 refused  there is no incident \"capture:gone:host\", and none is open\n"+
		minerID+"  counted  approved KILL_CONTAINER\n", stdout)
	require.Equal(t, "firebreak: approve: counted by 1 of 2 incidents\n", stderr)
}

func TestNotesAndAmendmentsWaitForTheirAnswerToo(t *testing.T) {
	t.Parallel()
	t.Run("note", func(t *testing.T) {
		t.Parallel()
		i := newIncident(says("ann", signals.KindNote, "seen before"))
		code, stdout, _ := run(t, i.temporal(), "note", minerID, "seen before")
		require.Equal(t, 0, code, stdout)
		require.Equal(t, []sent{{"run-1", signals.Note, signals.NoteText{Analyst: "ann", Text: "seen before"}}}, i.sent)
	})
	t.Run("amend", func(t *testing.T) {
		t.Parallel()
		i := newIncident(func(string, any) []signals.Entry {
			return []signals.Entry{
				{Actor: "ann", Kind: signals.KindAmend, Text: `host.id set to "0a=1b"`},
				{Actor: "ann", Kind: signals.KindAmend, Text: `process.pid set to "7"`},
			}
		})
		code, stdout, _ := run(t, i.temporal(), "amend", minerID, "--set", "host.id=0a=1b", "--set", "process.pid=7")
		require.Equal(t, 0, code, stdout)
		require.Contains(t, stdout, `host.id set to "0a=1b"; process.pid set to "7"`)
		require.Equal(t, signals.Amendment{Analyst: "ann", Fields: map[string]signals.Scalar{"host.id": "0a=1b", "process.pid": "7"}}, i.sent[0].arg)
	})
	t.Run("amend refused", func(t *testing.T) {
		t.Parallel()
		i := newIncident(says("ann", signals.KindRefused, "amend did not count: too late: its fields are fixed"))
		code, stdout, _ := run(t, i.temporal(), "amend", minerID, "--set", "host.id=0a1b")
		require.Equal(t, 1, code)
		require.Contains(t, stdout, "refused  too late: its fields are fixed")
	})
}
