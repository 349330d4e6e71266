package command_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"firebreak/internal/command"
	"firebreak/signals"
)

func TestADecisionThatCountsIsToldInTheIncidentsWords(t *testing.T) {
	t.Parallel()
	i := newIncident(counts("approved KILL_CONTAINER: confirmed"))
	code, stdout, stderr := run(t, i.temporal(), "approve", minerID, "--reason", " confirmed ")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, minerID+"  counted  approved KILL_CONTAINER: confirmed\n", stdout)
	require.Equal(t, []sent{{"run-1", signals.Approve, signals.Decision{Analyst: "ann", Reason: "confirmed"}}}, i.sent)
}

func TestADecisionThatCountsForAnotherAnalystSaysForWhom(t *testing.T) {
	t.Parallel()
	i := newIncident(counts("approved KILL_CONTAINER: r"))
	code, stdout, _ := run(t, i.temporal(), "approve", minerID, "--reason", "r", "--analyst", "eve")
	require.Equal(t, 0, code)
	require.Equal(t, minerID+"  counted as ann  approved KILL_CONTAINER: r\n", stdout)
	_, stdout, _ = run(t, i.temporal(), "approve", minerID, "--reason", "r", "--analyst", "eve", "--output", "json")
	require.JSONEq(t, `[{"workflow_id":"`+minerID+`","verdict":"counted","counted":true,"analyst":"ann","reason":"approved KILL_CONTAINER: r"}]`, stdout)
}

func TestADecisionThatDoesNotCountIsAFailureWithItsReason(t *testing.T) {
	t.Parallel()
	i := newIncident(refuses("too late: it has expired"))
	code, stdout, stderr := run(t, i.temporal(), "approve", minerID, "--reason", "r", "--output", "json")
	require.Equal(t, 1, code)
	require.JSONEq(t, `[{"workflow_id":"`+minerID+`","verdict":"refused","counted":false,"analyst":"ann","reason":"too late: it has expired"}]`, stdout)
	require.Equal(t, "firebreak: approve: 0 of 1 counted\n", stderr)
}

func TestEverySignalAsksForAReceiptOfItsOwn(t *testing.T) {
	t.Parallel()
	i := newIncident(counts("approved"))
	_, stdout, _ := run(t, i.temporal(), "approve", minerID, minerID, "--reason", "r")
	require.Len(t, i.receipts, 2, stdout)
	require.NotContains(t, i.receipts, "")
}

func TestASignalWithoutAReceiptIsUnanswered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"not handled yet": {nil, "sent, but not answered within 3s: see `firebreak show " + minerID + "`"},
		"a worker of an earlier version": {
			serviceerror.NewQueryFailed("unknown queryType receipt. KnownQueryTypes=[incident war-room]"),
			"sent, but this worker gives no receipts: see `firebreak show " + minerID + "`",
		},
		"no worker": {
			serviceerror.NewFailedPrecondition("no poller seen for task queue recently, worker may be down"),
			"sent, but not answered within 3s: no worker answers for it: is `firebreak worker` running?",
		},
		"something else": {errors.New("out of order"), "sent, but not answered within 3s: out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIncident(func(string, any) signals.Receipt { return signals.Receipt{} })
				temporal := i.temporal()
				temporal.ReceiptFn = func(string, string, string) (signals.Receipt, error) { return signals.Receipt{}, test.err }
				code, stdout, _ := run(t, temporal, "approve", minerID, "--reason", "r", "--wait", "3s")
				require.Equal(t, 1, code)
				require.Equal(t, minerID+"  unanswered  "+test.want+"\n", stdout)
				require.Len(t, i.sent, 1)
			})
		})
	}
}

func TestAnAnswerThatComesLaterIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIncident(counts("approved KILL_CONTAINER"))
		temporal, looks := i.temporal(), 0
		inner := temporal.ReceiptFn
		temporal.ReceiptFn = func(workflowID, runID, id string) (signals.Receipt, error) {
			switch looks++; looks {
			case 1, 2:
				return signals.Receipt{}, nil
			case 3:
				return signals.Receipt{}, serviceerror.NewUnavailable("restarting")
			case 4:
				return signals.Receipt{}, serviceerror.NewWorkflowNotReady("no workflow task yet")
			default:
				return inner(workflowID, runID, id)
			}
		}
		code, stdout, _ := run(t, temporal, "approve", minerID, "--reason", "r")
		require.Equal(t, 0, code, stdout)
		require.Equal(t, 5, looks)
	})
}

func TestOneIncidentThatDoesNotAnswerHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"capture:silent:host", "capture:quick:host"}
		i := newIncident(counts("approved"))
		temporal := i.temporal()
		temporal.DescribeFn = func(workflowID, _ string) (*workflow.WorkflowExecutionInfo, error) {
			return execution{id: workflowID}.info(), nil
		}
		temporal.SignalFn = func(_, runID, name string, arg any) error {
			i.take(runID, name, arg)
			return nil
		}
		temporal.ReceiptFn = func(workflowID, _, id string) (signals.Receipt, error) {
			if workflowID == ids[0] {
				require.Len(t, i.sent, 2, "everything is sent before anything is waited for")
				return signals.Receipt{}, nil
			}
			return i.receipts[id], nil
		}
		code, stdout, stderr := run(t, temporal, "approve", ids[0], ids[1], "--reason", "r", "--wait", "2s")
		require.Equal(t, 1, code)
		require.Equal(t, ids[0]+"  unanswered  sent, but not answered within 2s: see `firebreak show "+ids[0]+"`\n"+
			ids[1]+"   counted     approved\n", stdout)
		require.Equal(t, "firebreak: approve: 1 of 2 counted\n", stderr)
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
	i := newIncident(counts("approved KILL_CONTAINER: r"))
	temporal := moving(i, "run-1")
	receipt := temporal.ReceiptFn
	temporal.ReceiptFn = func(workflowID, runID, id string) (signals.Receipt, error) {
		require.Equal(t, "run-2", runID, "the run that was signalled is asked")
		return receipt(workflowID, runID, id)
	}
	code, stdout, stderr := run(t, temporal, "approve", minerID, "--reason", "r")
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
			i := newIncident(counts("approved KILL_CONTAINER"))
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

func TestASignalThatCannotBeSentSaysWhy(t *testing.T) {
	t.Parallel()
	denied := serviceerror.NewPermissionDenied("no", "")
	for name, test := range map[string]struct {
		describe, signal error
		want             string
	}{
		"no look-up": {denied, nil, "look up incident " + minerID + ": no"},
		"no signal":  {nil, denied, "send approve: no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIncident(counts("approved"))
			temporal := i.temporal()
			describe := temporal.DescribeFn
			temporal.DescribeFn = func(workflowID, runID string) (*workflow.WorkflowExecutionInfo, error) {
				info, err := describe(workflowID, runID)
				return info, errors.Join(err, test.describe)
			}
			temporal.SignalFn = func(string, string, string, any) error { return test.signal }
			code, stdout, _ := run(t, temporal, "approve", minerID, "--reason", "r")
			require.Equal(t, 1, code)
			require.Equal(t, minerID+"  refused  "+test.want+"\n", stdout)
		})
	}
}

func TestADecisionOnAnUnknownIncidentNamesThoseThatAreOpen(t *testing.T) {
	t.Parallel()
	temporal := newIncident(nil).temporal()
	temporal.ListFn = func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		require.Contains(t, r.Query, "CloseTime IS NULL")
		return listOf(execution{id: minerID}), nil
	}
	code, stdout, _ := run(t, temporal, "approve", "crypto-miner:typo", "--reason", "r")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, `there is no incident "crypto-miner:typo"; open: `+minerID)
}

func TestEachOfSeveralIncidentsGetsItsOwnLine(t *testing.T) {
	t.Parallel()
	i := newIncident(counts("approved KILL_CONTAINER"))
	code, stdout, stderr := run(t, i.temporal(), "approve", "capture:gone:host", minerID, "--reason", "r")
	require.Equal(t, 1, code)
	require.Equal(t, "capture:gone:host                 refused  there is no incident \"capture:gone:host\", and none is open\n"+
		minerID+"  counted  approved KILL_CONTAINER\n", stdout)
	require.Equal(t, "firebreak: approve: 1 of 2 counted\n", stderr)
}

func TestOtherSignalsWaitForTheirAnswerToo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want sent
	}{
		"note": {
			[]string{"note", minerID, " seen before "},
			sent{"run-1", signals.Note, signals.NoteText{Analyst: "ann", Text: "seen before"}},
		},
		"amend": {
			[]string{"amend", minerID, "--set", "host.id=0a=1b", "--set", "process.pid=7"},
			sent{"run-1", signals.Amend, signals.Amendment{Analyst: "ann", Fields: map[string]signals.Scalar{"host.id": "0a=1b", "process.pid": "7"}}},
		},
		"undo": {
			[]string{"undo", minerID, "--reason", "a false alarm"},
			sent{"run-1", signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIncident(counts("done"))
			code, stdout, stderr := run(t, i.temporal(), test.args...)
			require.Equal(t, 0, code, stderr)
			require.Equal(t, minerID+"  counted  done\n", stdout)
			require.Equal(t, []sent{test.want}, i.sent)

			i = newIncident(refuses("KILL_CONTAINER cannot be undone"))
			code, stdout, stderr = run(t, i.temporal(), test.args...)
			require.Equal(t, 1, code)
			require.Equal(t, minerID+"  refused  KILL_CONTAINER cannot be undone\n", stdout)
			require.Equal(t, "firebreak: "+name+": 0 of 1 counted\n", stderr)
		})
	}
}

// An interrupted command does not wait on; what was sent stays sent.
func TestAnInterruptedWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIncident(func(string, any) signals.Receipt { return signals.Receipt{} })
		ctx, cancel := context.WithCancel(t.Context())
		temporal := i.temporal()
		temporal.ReceiptFn = func(string, string, string) (signals.Receipt, error) {
			cancel()
			return signals.Receipt{}, nil
		}
		code, stdout, _ := runIn(ctx, temporal, command.Env{}, "approve", minerID, "--reason", "r")
		require.Equal(t, 1, code)
		require.Contains(t, stdout, "unanswered  sent, but not answered before the interruption")
	})
}
