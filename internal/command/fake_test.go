package command_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
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
	// DoingFn adds what a run is doing to the answer of DescribeFn.
	DoingFn   func(*workflowservice.DescribeWorkflowExecutionResponse)
	ListFn    func(*workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	QueryFn   func(workflowID, runID string) (any, error)
	ReceiptFn func(workflowID, runID, id string) (signals.Receipt, error)
	ResultFn  func(workflowID, runID string) (any, error)
	SignalFn  func(workflowID, runID, name string, arg any) error
	StartFn   func(workflowID, name string, arg any, options client.StartWorkflowOptions, workflow any, args []any) (runID string, err error)
	ExecuteFn func(options client.StartWorkflowOptions, workflow any, args []any) (client.WorkflowRun, error)

	// querying makes queries come one at a time.
	querying sync.Mutex
}

var _ command.Temporal = (*fakeTemporal)(nil)

func (f *fakeTemporal) DescribeWorkflowExecution(_ context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if f.DescribeFn == nil {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	info, err := f.DescribeFn(workflowID, runID)
	if err != nil {
		return nil, err
	}
	answer := &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info}
	if f.DoingFn != nil {
		f.DoingFn(answer)
	}
	return answer, nil
}

func (f *fakeTemporal) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if f.ListFn == nil {
		return &workflowservice.ListWorkflowExecutionsResponse{}, nil
	}
	return f.ListFn(r)
}

func (f *fakeTemporal) QueryWorkflow(_ context.Context, workflowID, runID, queryType string, args ...any) (converter.EncodedValue, error) {
	f.querying.Lock()
	defer f.querying.Unlock()
	var answer any
	var err error
	switch {
	case queryType == signals.QueryIncident && f.QueryFn != nil:
		answer, err = f.QueryFn(workflowID, runID)
	case queryType == signals.QueryReceipt && f.ReceiptFn != nil:
		answer, err = f.ReceiptFn(workflowID, runID, args[0].(string))
	default:
		err = serviceerror.NewNotFound("workflow not found")
	}
	if err != nil {
		return nil, err
	}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(answer)
	if err != nil {
		return nil, err
	}
	return client.NewValue(payloads), nil
}

func (f *fakeTemporal) GetWorkflow(_ context.Context, workflowID, runID string) client.WorkflowRun {
	return fakeResult{answer: func() (any, error) {
		if f.ResultFn == nil {
			return nil, serviceerror.NewNotFound("workflow not found")
		}
		return f.ResultFn(workflowID, runID)
	}}
}

// fakeResult is a run that is closed.
type fakeResult struct {
	client.WorkflowRun
	answer func() (any, error)
}

func (r fakeResult) Get(_ context.Context, into any) error {
	answer, err := r.answer()
	if err != nil {
		return err
	}
	payload, err := converter.GetDefaultDataConverter().ToPayload(answer)
	if err != nil {
		return err
	}
	return converter.GetDefaultDataConverter().FromPayload(payload, into)
}

func (f *fakeTemporal) SignalWorkflow(_ context.Context, workflowID, runID, name string, arg any) error {
	if f.SignalFn == nil {
		return serviceerror.NewNotFound("workflow execution already completed")
	}
	return f.SignalFn(workflowID, runID, name, arg)
}

func (f *fakeTemporal) SignalWithStartWorkflow(_ context.Context, workflowID, name string, arg any,
	options client.StartWorkflowOptions, workflow any, args ...any,
) (client.WorkflowRun, error) {
	if f.StartFn == nil {
		return nil, serviceerror.NewPermissionDenied("no", "")
	}
	runID, err := f.StartFn(workflowID, name, arg, options, workflow, args)
	return fakeRun{runID: runID}, err
}

func (f *fakeTemporal) ExecuteWorkflow(_ context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	if f.ExecuteFn == nil {
		return nil, serviceerror.NewPermissionDenied("no", "")
	}
	return f.ExecuteFn(options, workflow, args)
}

func (f *fakeTemporal) Close() {}

// fakeRun is a run of which only the ID is known, and how it ended.
type fakeRun struct {
	client.WorkflowRun
	runID string
	get   func() error
}

func (r fakeRun) GetRunID() string { return r.runID }

func (r fakeRun) Get(context.Context, any) error { return r.get() }

// run runs a command on a fake Temporal, as an analyst whose login is ann.
func run(t *testing.T, temporal *fakeTemporal, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runIn(t.Context(), temporal, command.Env{Stdin: &bytes.Buffer{}}, args...)
}

// runAt does so at a terminal, where the analyst types a line.
func runAt(t *testing.T, temporal *fakeTemporal, typed string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runIn(t.Context(), temporal, command.Env{Stdin: strings.NewReader(typed), Terminal: true}, args...)
}

func runIn(ctx context.Context, temporal *fakeTemporal, env command.Env, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	env.Environ, env.Stdout, env.Stderr = []string{"USER=ann"}, &out, &errs
	env.Connect = func(context.Context) (command.Temporal, error) { return temporal, nil }
	code = command.Run(ctx, args, env)
	return code, out.String(), errs.String()
}

// fakeIncident is one incident whose playbook answers signals.
type fakeIncident struct {
	page signals.Page
	// answer is what the playbook makes of a signal.
	answer   func(name string, arg any) signals.Receipt
	receipts map[string]signals.Receipt
	// sent are the signals it got, without the IDs of their receipts.
	sent []sent
}

type sent struct {
	runID, name string
	arg         any
}

const minerID = "crypto-miner:node-1:6949e5f10829"

func newIncident(answer func(name string, arg any) signals.Receipt) *fakeIncident {
	return &fakeIncident{
		answer: answer, receipts: map[string]signals.Receipt{},
		page: signals.Page{
			WorkflowID: minerID, RunID: "run-1", Playbook: "crypto-miner", Route: "crypto-miner", State: signals.AwaitingApproval,
			Pending: &signals.Request{ID: "0123456789ab", Action: "KILL_CONTAINER", Need: 1, Have: []string{}, Parameters: map[string]any{"container.id": "6949e5f10829"}},
			WarRoom: []signals.Entry{{Actor: "ann", Kind: signals.KindDecision, Text: "approved CAPTURE: earlier"}},
		},
	}
}

// temporal is a Temporal that has this incident alone.
func (i *fakeIncident) temporal() *fakeTemporal {
	missing := serviceerror.NewNotFound("workflow not found")
	return &fakeTemporal{
		DescribeFn: func(workflowID, _ string) (*workflow.WorkflowExecutionInfo, error) {
			if workflowID != i.page.WorkflowID {
				return nil, missing
			}
			return execution{id: workflowID, run: i.page.RunID}.info(), nil
		},
		QueryFn: func(workflowID, runID string) (any, error) {
			if workflowID != i.page.WorkflowID || runID != "" && runID != i.page.RunID {
				return nil, missing
			}
			return i.page, nil
		},
		ReceiptFn: func(_, _, id string) (signals.Receipt, error) { return i.receipts[id], nil },
		SignalFn: func(workflowID, runID, name string, arg any) error {
			if workflowID != i.page.WorkflowID {
				return missing
			}
			i.take(runID, name, arg)
			return nil
		},
	}
}

// take takes a signal and writes its receipt.
func (i *fakeIncident) take(runID, name string, arg any) {
	id, arg := withoutReceipt(arg)
	i.sent = append(i.sent, sent{runID, name, arg})
	i.receipts[id] = i.answer(name, arg)
}

// withoutReceipt is the ID of a payload's receipt, and the payload without it.
func withoutReceipt(arg any) (string, any) {
	var id string
	switch a := arg.(type) {
	case signals.Decision:
		id, a.Receipt = a.Receipt, ""
		return id, a
	case signals.NoteText:
		id, a.Receipt = a.Receipt, ""
		return id, a
	case signals.Amendment:
		id, a.Receipt = a.Receipt, ""
		return id, a
	case signals.Instruction:
		id, a.Receipt = a.Receipt, ""
		return id, a
	default:
		panic(arg)
	}
}

// counts answers every signal of ann's with what the playbook made of it.
func counts(text string) func(string, any) signals.Receipt {
	return func(string, any) signals.Receipt {
		return signals.Receipt{Answered: true, Counted: true, Analyst: "ann", Text: text}
	}
}

// refuses answers every signal with why it does not count.
func refuses(text string) func(string, any) signals.Receipt {
	return func(string, any) signals.Receipt { return signals.Receipt{Answered: true, Analyst: "ann", Text: text} }
}

func TestEveryFlagOfTheAnalystHasAVariable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	i := newIncident(counts("rejected KILL_CONTAINER: false alarm"))
	code := command.Run(t.Context(), []string{"reject", minerID}, command.Env{
		Environ: []string{"FIREBREAK_ANALYST=bob", "FIREBREAK_REASON=false alarm", "FIREBREAK_REQUEST=0123456789ab"},
		Stdout:  &out, Stderr: &out,
		Connect: func(context.Context) (command.Temporal, error) { return i.temporal(), nil },
	})
	require.Equal(t, 0, code, out.String())
	require.Equal(t, []sent{{"run-1", signals.Reject, signals.Decision{Analyst: "bob", Reason: "false alarm", Request: "0123456789ab"}}}, i.sent)
}
