package command_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"firebreak/internal/command"
	"firebreak/signals"
)

// fakeTemporal answers as its functions say; one that is nil knows nothing.
type fakeTemporal struct {
	DescribeFn func(workflowID, runID string) (*workflow.WorkflowExecutionInfo, error)
	ListFn     func(*workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	QueryFn    func(workflowID, runID string) (any, error)
	SignalFn   func(workflowID, runID, name string, arg any) error
}

var _ command.Temporal = (*fakeTemporal)(nil)

func (f *fakeTemporal) DescribeWorkflowExecution(_ context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if f.DescribeFn == nil {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	info, err := f.DescribeFn(workflowID, runID)
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info}, err
}

func (f *fakeTemporal) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if f.ListFn == nil {
		return &workflowservice.ListWorkflowExecutionsResponse{}, nil
	}
	return f.ListFn(r)
}

func (f *fakeTemporal) QueryWorkflow(_ context.Context, workflowID, runID, queryType string, _ ...any) (converter.EncodedValue, error) {
	if f.QueryFn == nil || queryType != signals.QueryIncident {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	answer, err := f.QueryFn(workflowID, runID)
	if err != nil {
		return nil, err
	}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(answer)
	if err != nil {
		return nil, err
	}
	return client.NewValue(payloads), nil
}

func (f *fakeTemporal) SignalWorkflow(_ context.Context, workflowID, runID, name string, arg any) error {
	if f.SignalFn == nil {
		return serviceerror.NewNotFound("workflow execution already completed")
	}
	return f.SignalFn(workflowID, runID, name, arg)
}

func (f *fakeTemporal) Close() {}

// run runs a command on a fake Temporal, as an analyst whose login is ann.
func run(t *testing.T, temporal *fakeTemporal, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = command.Run(t.Context(), args, command.Env{
		Environ: []string{"USER=ann"}, Stdin: &bytes.Buffer{}, Stdout: &out, Stderr: &errs,
		Connect: func(context.Context) (command.Temporal, error) { return temporal, nil },
	})
	return code, out.String(), errs.String()
}

// fakeIncident is one incident whose playbook answers signals.
type fakeIncident struct {
	page signals.Page
	// answer is what the playbook writes into its war room for a signal.
	answer func(name string, arg any) []signals.Entry
	sent   []sent
}

type sent struct {
	runID, name string
	arg         any
}

const minerID = "crypto-miner:node-1:6949e5f10829"

func newIncident(answer func(name string, arg any) []signals.Entry) *fakeIncident {
	return &fakeIncident{
		answer: answer,
		page: signals.Page{
			WorkflowID: minerID, RunID: "run-1", Playbook: "crypto-miner", Route: "crypto-miner", State: signals.AwaitingApproval,
			Pending: &signals.Request{ID: "0123456789ab", Action: "KILL_CONTAINER", Need: 1, Have: []string{}, Parameters: map[string]any{"container.id": "6949e5f10829"}},
			// An earlier decision of the same analyst, which no later one may be taken for.
			WarRoom: []signals.Entry{{Actor: "ann", Kind: signals.KindDecision, Text: "approved CAPTURE: earlier"}},
		},
	}
}

// temporal is a Temporal that has this incident alone.
func (i *fakeIncident) temporal() *fakeTemporal {
	missing := serviceerror.NewNotFound("workflow not found")
	return &fakeTemporal{
		DescribeFn: func(workflowID, _ string) (*workflow.WorkflowExecutionInfo, error) {
			if workflowID != minerID {
				return nil, missing
			}
			return execution{id: minerID, run: i.page.RunID}.info(), nil
		},
		QueryFn: func(workflowID, runID string) (any, error) {
			if workflowID != minerID || runID != "" && runID != i.page.RunID {
				return nil, missing
			}
			return i.page, nil
		},
		SignalFn: func(workflowID, runID, name string, arg any) error {
			if workflowID != minerID {
				return missing
			}
			i.sent = append(i.sent, sent{runID, name, arg})
			i.page.WarRoom = append(i.page.WarRoom, i.answer(name, arg)...)
			return nil
		},
	}
}

// says answers every signal with one entry.
func says(actor string, kind signals.Kind, text string) func(string, any) []signals.Entry {
	return func(string, any) []signals.Entry { return []signals.Entry{{Actor: actor, Kind: kind, Text: text}} }
}

func TestEveryFlagOfTheAnalystHasAVariable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	i := newIncident(says("bob", signals.KindDecision, "rejected KILL_CONTAINER: false alarm"))
	code := command.Run(t.Context(), []string{"reject", minerID}, command.Env{
		Environ: []string{"FIREBREAK_ANALYST=bob", "FIREBREAK_REASON=false alarm", "FIREBREAK_REQUEST=0123456789ab"},
		Stdout:  &out, Stderr: &out,
		Connect: func(context.Context) (command.Temporal, error) { return i.temporal(), nil },
	})
	require.Equal(t, 0, code, out.String())
	require.Equal(t, []sent{{"run-1", signals.Reject, signals.Decision{Analyst: "bob", Reason: "false alarm", Request: "0123456789ab"}}}, i.sent)
}
