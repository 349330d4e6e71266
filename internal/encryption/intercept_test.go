package encryption_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/errordetails/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/protocol/v1"
	"go.temporal.io/api/query/v1"
	"go.temporal.io/api/update/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"firebreak/internal/encryption"
)

// frontend is as much of a Temporal server as these tests talk to. What it is
// sent and what it answers is as it went over the wire.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer

	signals      []*workflowservice.SignalWorkflowExecutionRequest
	busy         atomic.Int32 // how many signals fail first
	description  *workflowservice.DescribeWorkflowExecutionResponse
	history      *workflowservice.GetWorkflowExecutionHistoryResponse
	workflowTask *workflowservice.PollWorkflowTaskQueueResponse
	activityTask *workflowservice.PollActivityTaskQueueResponse
	queryErr     error

	completed      *workflowservice.RespondWorkflowTaskCompletedRequest
	failedTask     *workflowservice.RespondWorkflowTaskFailedRequest
	failedActivity *workflowservice.RespondActivityTaskFailedRequest
	failedQuery    *workflowservice.RespondQueryTaskCompletedRequest
}

func (f *frontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (f *frontend) SignalWorkflowExecution(_ context.Context, r *workflowservice.SignalWorkflowExecutionRequest) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	f.signals = append(f.signals, r)
	if f.busy.Add(-1) >= 0 {
		return nil, status.Error(codes.Unavailable, "busy")
	}
	return &workflowservice.SignalWorkflowExecutionResponse{}, nil
}

func (f *frontend) DescribeWorkflowExecution(context.Context, *workflowservice.DescribeWorkflowExecutionRequest) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return f.description, nil
}

func (f *frontend) GetWorkflowExecutionHistory(context.Context, *workflowservice.GetWorkflowExecutionHistoryRequest) (*workflowservice.GetWorkflowExecutionHistoryResponse, error) {
	return f.history, nil
}

func (f *frontend) QueryWorkflow(context.Context, *workflowservice.QueryWorkflowRequest) (*workflowservice.QueryWorkflowResponse, error) {
	return nil, f.queryErr
}

func (f *frontend) PollWorkflowTaskQueue(context.Context, *workflowservice.PollWorkflowTaskQueueRequest) (*workflowservice.PollWorkflowTaskQueueResponse, error) {
	return f.workflowTask, nil
}

func (f *frontend) PollActivityTaskQueue(context.Context, *workflowservice.PollActivityTaskQueueRequest) (*workflowservice.PollActivityTaskQueueResponse, error) {
	return f.activityTask, nil
}

func (f *frontend) RespondWorkflowTaskCompleted(_ context.Context, r *workflowservice.RespondWorkflowTaskCompletedRequest) (*workflowservice.RespondWorkflowTaskCompletedResponse, error) {
	f.completed = r
	return &workflowservice.RespondWorkflowTaskCompletedResponse{}, nil
}

func (f *frontend) RespondWorkflowTaskFailed(_ context.Context, r *workflowservice.RespondWorkflowTaskFailedRequest) (*workflowservice.RespondWorkflowTaskFailedResponse, error) {
	f.failedTask = r
	return &workflowservice.RespondWorkflowTaskFailedResponse{}, nil
}

func (f *frontend) RespondActivityTaskFailed(_ context.Context, r *workflowservice.RespondActivityTaskFailedRequest) (*workflowservice.RespondActivityTaskFailedResponse, error) {
	f.failedActivity = r
	return &workflowservice.RespondActivityTaskFailedResponse{}, nil
}

func (f *frontend) RespondQueryTaskCompleted(_ context.Context, r *workflowservice.RespondQueryTaskCompletedRequest) (*workflowservice.RespondQueryTaskCompletedResponse, error) {
	f.failedQuery = r
	return &workflowservice.RespondQueryTaskCompletedResponse{}, nil
}

// connect is a client of the SDK whose connection has a codec.
func connect(t *testing.T, f *frontend, codec converter.PayloadCodec) client.Client {
	t.Helper()
	keys, isKeyset := codec.(*encryption.Keyset)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	c, err := client.NewLazyClient(client.Options{HostPort: listener.Addr().String(), ConnectionOptions: client.ConnectionOptions{
		DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(encryption.Intercept(codec, !isKeyset || keys != nil))},
	}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func payloads(p ...*common.Payload) *common.Payloads { return &common.Payloads{Payloads: p} }

func signaled(p *common.Payload) *history.HistoryEvent {
	return &history.HistoryEvent{
		EventType: enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
		Attributes: &history.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &history.WorkflowExecutionSignaledEventAttributes{SignalName: "approve", Input: payloads(p)},
		},
	}
}

func TestARequestThatIsSentAgainIsEncryptedOnce(t *testing.T) {
	t.Parallel()
	f, keys := &frontend{}, open(t, newFile(t))
	f.busy.Store(2)
	require.NoError(t, connect(t, f, keys).SignalWorkflow(t.Context(), "id", "", "approve", "by ann"))
	require.Len(t, f.signals, 3)
	for _, s := range f.signals {
		require.NotContains(t, s.String(), "ann")
		requireDecodes(t, keys, s.GetInput().GetPayloads()[0], "by ann")
	}
}

func TestWithoutAKeysetNothingIsChanged(t *testing.T) {
	t.Parallel()
	f := &frontend{}
	require.NoError(t, connect(t, f, (*encryption.Keyset)(nil)).SignalWorkflow(t.Context(), "id", "", "approve", "by ann"))
	require.True(t, proto.Equal(payload(t, "by ann"), f.signals[0].GetInput().GetPayloads()[0]))
}

// Whatever a worker or a client hands to Temporal: nothing of it may be read
// there but what Temporal itself needs.
func TestAnAnswerOfAWorkerIsEncryptedToItsLastPayload(t *testing.T) {
	t.Parallel()
	f, keys := &frontend{}, open(t, newFile(t))
	body, err := anypb.New(&update.Response{Outcome: &update.Outcome{Value: &update.Outcome_Failure{
		Failure: &failure.Failure{Message: "secret text", StackTrace: "secret trace", Cause: &failure.Failure{Message: "secret cause"}},
	}}})
	require.NoError(t, err)
	request := &workflowservice.RespondWorkflowTaskCompletedRequest{
		Messages:     []*protocol.Message{{Id: "m", Body: body}},
		QueryResults: map[string]*query.WorkflowQueryResult{"q": {Answer: payloads(payload(t, "secret answer"))}},
	}
	before := proto.Clone(request)
	_, err = connect(t, f, keys).WorkflowService().RespondWorkflowTaskCompleted(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(before, request), "the caller's request is not touched")
	wire, err := proto.Marshal(f.completed)
	require.NoError(t, err)
	require.NotContains(t, string(wire), "secret")
	require.Contains(t, string(wire), "Encoded failure")
}

func TestWhatIsReadIsInTheClearWhereverItIs(t *testing.T) {
	t.Parallel()
	f, keys := &frontend{}, open(t, newFile(t))
	c := connect(t, f, keys)
	state := payload(t, "open")
	f.description = &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{
		Memo:             &common.Memo{Fields: map[string]*common.Payload{"frozen": encode(t, keys, "by ann"), "old": payload(t, "plain")}},
		SearchAttributes: &common.SearchAttributes{IndexedFields: map[string]*common.Payload{"IncidentState": state}},
	}}
	described, err := c.DescribeWorkflowExecution(t.Context(), "id", "")
	require.NoError(t, err)
	memo := described.GetWorkflowExecutionInfo().GetMemo().GetFields()
	require.True(t, proto.Equal(payload(t, "by ann"), memo["frozen"]))
	require.True(t, proto.Equal(payload(t, "plain"), memo["old"]), "what is older than the encryption")
	require.True(t, proto.Equal(state, described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()["IncidentState"]))

	batch, err := proto.Marshal(&history.History{Events: []*history.HistoryEvent{signaled(encode(t, keys, "raw"))}})
	require.NoError(t, err)
	for name, answer := range map[string]*workflowservice.GetWorkflowExecutionHistoryResponse{
		"raw":       {RawHistory: []*common.DataBlob{{EncodingType: enums.ENCODING_TYPE_PROTO3, Data: batch}}},
		"as events": {History: &history.History{Events: []*history.HistoryEvent{signaled(encode(t, keys, "as events"))}}},
	} {
		f.history = answer
		events := c.GetWorkflowHistory(t.Context(), "id", "run", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		require.True(t, events.HasNext())
		event, err := events.Next()
		require.NoError(t, err)
		require.True(t, proto.Equal(payload(t, name), event.GetWorkflowExecutionSignaledEventAttributes().GetInput().GetPayloads()[0]))
	}

	failed, err := status.New(codes.InvalidArgument, "query failed").WithDetails(&errordetails.QueryFailedFailure{
		Failure: &failure.Failure{Message: "Encoded failure", EncodedAttributes: encode(t, keys, map[string]string{"message": "why it failed"})},
	})
	require.NoError(t, err)
	f.queryErr = failed.Err()
	_, err = c.QueryWorkflow(t.Context(), "id", "", "incident")
	require.ErrorContains(t, err, "query failed")
}

func TestAReaderWithoutTheKeyIsToldWhichOneIsMissing(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	f := &frontend{description: &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{
		Memo: &common.Memo{Fields: map[string]*common.Payload{"frozen": encode(t, open(t, path), "x")}},
	}}}
	for _, keys := range []*encryption.Keyset{nil, open(t, newFile(t))} {
		_, err := connect(t, f, keys).DescribeWorkflowExecution(t.Context(), "id", "")
		require.ErrorContains(t, err, "the payload is encrypted with key "+primary(t, path))
	}
}

// A playbook must not go on without what it cannot read, nor end for it.
func TestATaskThatCannotBeReadIsHandedBack(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	sealed := encode(t, open(t, path), "x")
	f := &frontend{
		workflowTask: &workflowservice.PollWorkflowTaskQueueResponse{
			TaskToken: []byte("w"), History: &history.History{Events: []*history.HistoryEvent{signaled(sealed)}},
		},
		activityTask: &workflowservice.PollActivityTaskQueueResponse{TaskToken: []byte("a"), Input: payloads(sealed)},
	}
	service := connect(t, f, open(t, newFile(t))).WorkflowService()
	want := "the payload is encrypted with key " + primary(t, path)

	task, err := service.PollWorkflowTaskQueue(t.Context(), &workflowservice.PollWorkflowTaskQueueRequest{Namespace: "n", Identity: "me"})
	require.NoError(t, err)
	require.True(t, proto.Equal(&workflowservice.PollWorkflowTaskQueueResponse{}, task), "as if there had been none")
	require.Equal(t, "w n me", string(f.failedTask.GetTaskToken())+" "+f.failedTask.GetNamespace()+" "+f.failedTask.GetIdentity())
	require.Contains(t, f.failedTask.GetFailure().GetMessage(), want, "in the clear")

	activity, err := service.PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{Namespace: "n", Identity: "me"})
	require.NoError(t, err)
	require.True(t, proto.Equal(&workflowservice.PollActivityTaskQueueResponse{}, activity))
	require.Equal(t, "a n me", string(f.failedActivity.GetTaskToken())+" "+f.failedActivity.GetNamespace()+" "+f.failedActivity.GetIdentity())
	require.Contains(t, f.failedActivity.GetFailure().GetMessage(), want)
	require.False(t, f.failedActivity.GetFailure().GetApplicationFailureInfo().GetNonRetryable())

	f.failedTask = nil
	f.workflowTask.Attempt = 2
	task, err = service.PollWorkflowTaskQueue(t.Context(), &workflowservice.PollWorkflowTaskQueueRequest{Namespace: "n"})
	require.NoError(t, err)
	require.True(t, proto.Equal(&workflowservice.PollWorkflowTaskQueueResponse{}, task))
	require.Nil(t, f.failedTask, "or the server would give it out again at once, and for ever")

	f.workflowTask.Query = &query.WorkflowQuery{QueryType: "incident"}
	_, err = service.PollWorkflowTaskQueue(t.Context(), &workflowservice.PollWorkflowTaskQueueRequest{Namespace: "n"})
	require.NoError(t, err)
	require.Nil(t, f.failedTask)
	require.Equal(t, enums.QUERY_RESULT_TYPE_FAILED, f.failedQuery.GetCompletedType())
	require.Contains(t, f.failedQuery.GetErrorMessage(), want)
}
