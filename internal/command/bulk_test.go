package command_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"firebreak/internal/command"
	"firebreak/signals"
)

// several is a Temporal with several incidents, which it lists for any query,
// and where the decisions about them are kept.
type several struct {
	*fakeTemporal
	incidents map[string]*fakeIncident
	queries   []string
}

func newSeveral(ids ...string) *several {
	s := &several{fakeTemporal: &fakeTemporal{}, incidents: map[string]*fakeIncident{}}
	var listed []execution
	for _, id := range ids {
		i := newIncident(counts("done"))
		i.page.WorkflowID = id
		pending := *i.page.Pending
		pending.ID = "request-of-" + id
		i.page.Pending = &pending
		s.incidents[id] = i
		listed = append(listed, execution{id: id})
	}
	s.ListFn = func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		s.queries = append(s.queries, r.Query)
		return listOf(listed...), nil
	}
	s.DescribeFn = func(id, runID string) (*workflow.WorkflowExecutionInfo, error) {
		return s.incidents[id].temporal().DescribeFn(id, runID)
	}
	s.QueryFn = func(id, runID string) (any, error) { return s.incidents[id].temporal().QueryFn(id, runID) }
	s.ReceiptFn = func(id, runID, receipt string) (signals.Receipt, error) {
		return s.incidents[id].temporal().ReceiptFn(id, runID, receipt)
	}
	s.SignalFn = func(id, runID, name string, arg any) error {
		return s.incidents[id].temporal().SignalFn(id, runID, name, arg)
	}
	return s
}

// sent are the signals that the incidents got, by ID.
func (s *several) sent() map[string]any {
	all := map[string]any{}
	for id, i := range s.incidents {
		for _, signal := range i.sent {
			all[id] = signal.arg
		}
	}
	return all
}

func decisionOf(request string) signals.Decision {
	return signals.Decision{Analyst: "ann", Reason: "one attack", Request: request}
}

const listedAandB = "INCIDENT  ACTION          PARAMETERS                 REQUEST       APPROVALS\n" +
	"a         KILL_CONTAINER  container.id=6949e5f10829  request-of-a  0 of 1\n" +
	"b         KILL_CONTAINER  container.id=6949e5f10829  request-of-b  0 of 1\n"

func TestWhatAQuerySelectsIsListedAskedForAndDecided(t *testing.T) {
	t.Parallel()
	s := newSeveral("a", "b")
	code, stdout, stderr := runAt(t, s.fakeTemporal, "y\n", "approve", "--query", `IncidentHost="node-1"`, "--reason", "one attack")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, listedAandB+"Approve these 2? [y/N] ", stderr)
	require.Equal(t, "a  counted  done\nb  counted  done\n", stdout)
	require.Equal(t, map[string]any{"a": decisionOf("request-of-a"), "b": decisionOf("request-of-b")}, s.sent())
	require.Equal(t, []string{"WorkflowType IN ('Capture', 'CryptoMiner', 'Respond', 'ResponseAction') AND ExecutionStatus != 'ContinuedAsNew' AND CloseTime IS NULL" +
		` AND IncidentPending IS NOT NULL AND IncidentState != 'needs-fields' AND (IncidentHost="node-1")`}, s.queries)
}

func TestARejectionIsAlsoForIncidentsThatNeedFields(t *testing.T) {
	t.Parallel()
	s := newSeveral("a")
	code, stdout, stderr := runAt(t, s.fakeTemporal, " YES \n", "reject", "--query", "q", "--reason", "one attack")
	require.Equal(t, 0, code, stdout)
	require.Contains(t, stderr, "Reject this one? [y/N] ")
	require.NotContains(t, s.queries[0], "needs-fields")
}

func TestOnlyAYesSendsAnything(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"", "\n", "n\n", "no\n", "yesno\n", "approve\n"} {
		s := newSeveral("a", "b")
		code, stdout, stderr := runAt(t, s.fakeTemporal, typed, "approve", "--query", "q", "--reason", "r", "--output", "json")
		require.Equal(t, 1, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "firebreak: not confirmed: nothing was sent\n")
		require.Empty(t, s.sent(), typed)
	}
}

func TestAnInterruptedQuestionSendsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	silent, typed := io.Pipe()
	defer typed.Close()
	s := newSeveral("a")
	list := s.ListFn
	s.ListFn = func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		cancel()
		return list(r)
	}
	code, stdout, stderr := runIn(ctx, s.fakeTemporal, command.Env{Stdin: silent, Terminal: true}, "approve", "--query", "q", "--reason", "r")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "firebreak: interrupted: nothing was sent\n")
	require.Empty(t, s.sent())
}

func TestYesSkipsTheQuestionButNotTheList(t *testing.T) {
	t.Parallel()
	s := newSeveral("a", "b")
	code, stdout, stderr := run(t, s.fakeTemporal, "approve", "--query", "q", "--yes", "--reason", "one attack", "--output", "json")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, listedAandB, stderr)
	require.JSONEq(t, `[{"workflow_id":"a","verdict":"counted","counted":true,"analyst":"ann","reason":"done"},
		{"workflow_id":"b","verdict":"counted","counted":true,"analyst":"ann","reason":"done"}]`, stdout)
}

func TestAnIncidentThatCannotSayWhatItWaitsForIsSkipped(t *testing.T) {
	t.Parallel()
	s := newSeveral("a", "b")
	query := s.QueryFn
	s.QueryFn = func(id, runID string) (any, error) {
		if id == "a" {
			return nil, serviceerror.NewFailedPrecondition("no poller seen")
		}
		return query(id, runID)
	}
	code, stdout, stderr := runAt(t, s.fakeTemporal, "y\n", "approve", "--query", "q", "--reason", "one attack")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "a         skipped         query a: no worker answers for it: is `firebreak worker` running?\n")
	require.Contains(t, stderr, "Approve this one? [y/N] firebreak: approve: 1 of 2 counted\n")
	require.Equal(t, "b  counted  done\na  skipped  query a: no worker answers for it: is `firebreak worker` running?\n", stdout)
	require.Equal(t, map[string]any{"b": decisionOf("request-of-b")}, s.sent())
}

func TestNothingIsAskedWhereEveryIncidentIsSkipped(t *testing.T) {
	t.Parallel()
	s := newSeveral("a")
	s.QueryFn = func(string, string) (any, error) { return nil, serviceerror.NewFailedPrecondition("no poller seen") }
	code, stdout, stderr := runAt(t, s.fakeTemporal, "y\n", "approve", "--query", "q", "--reason", "r")
	require.Equal(t, 1, code)
	require.NotContains(t, stderr, "[y/N]")
	require.Contains(t, stdout, "a  skipped")
	require.Empty(t, s.sent())
}

func TestAnIncidentThatWasDecidedMeanwhileIsLeftOut(t *testing.T) {
	t.Parallel()
	s := newSeveral("a", "b")
	s.incidents["a"].page.Pending = nil
	code, stdout, _ := run(t, s.fakeTemporal, "approve", "--query", "q", "--yes", "--reason", "one attack")
	require.Equal(t, 0, code)
	require.Equal(t, "b  counted  done\n", stdout)
}

// Another incident of the same target may ask for the same: it was not listed.
func TestTheNextIncidentOfATargetIsNotDecidedInItsPlace(t *testing.T) {
	t.Parallel()
	s := newSeveral("a")
	looks := 0
	s.DescribeFn = func(id, _ string) (*workflow.WorkflowExecutionInfo, error) {
		if looks++; looks == 1 {
			return execution{id: id, run: "run-1"}.info(), nil
		}
		return execution{id: id, run: "run-9"}.info(), nil
	}
	code, stdout, _ := run(t, s.fakeTemporal, "approve", "--query", "q", "--yes", "--reason", "r")
	require.Equal(t, 1, code)
	require.Equal(t, "a  refused  the incident is closed\n", stdout)
	require.Empty(t, s.sent())
}

func TestAQueryThatSelectsNothingIsAFailure(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run(t, listing(), "approve", "--query", "q", "--yes", "--reason", "r")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, `firebreak: --query "q": no incident that matches waits for a decision that approve answers`)
	_, stdout, _ = run(t, listing(), "approve", "--query", "q", "--yes", "--reason", "r", "--output", "json")
	require.Equal(t, "[]\n", stdout)
}

func TestAQueryThatTemporalRefusesIsAUsageErrorInItsWords(t *testing.T) {
	t.Parallel()
	temporal := &fakeTemporal{ListFn: func(*workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		return nil, serviceerror.NewInvalidArgument("column name 'Host' is not defined")
	}}
	code, stdout, stderr := run(t, temporal, "approve", "--query", "Host=1", "--yes", "--reason", "r")
	require.Equal(t, 2, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, `firebreak: --query "Host=1": list incidents: column name 'Host' is not defined`)
}

func TestAQueryThatSelectsTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	temporal := &fakeTemporal{ListFn: func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		require.EqualValues(t, 1000, r.PageSize, "Temporal takes no more")
		page := listOf(make([]execution, 1000)...)
		page.NextPageToken = []byte("more")
		return page, nil
	}}
	code, _, stderr := run(t, temporal, "approve", "--query", "q", "--yes", "--reason", "r")
	require.Equal(t, 1, code)
	require.Equal(t, "firebreak: --query \"q\": more than 1000 incidents match: want a narrower one\n", stderr)
}
