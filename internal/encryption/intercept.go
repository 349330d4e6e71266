package encryption

import (
	"context"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Intercept returns a gRPC interceptor that has a codec encode every payload of
// a request to Temporal, and decode every one of an answer. It does what a data
// converter and a failure converter with EncodeCommonAttributes do, and writes
// the same, which Temporal Web and the temporal CLI read with a codec server.
// Unlike those it misses nothing: a history that is read by whatever code is in
// the clear, and a playbook never sees a payload that could not be read. The SDK
// would drop a signal that cannot be decoded, and fail a workflow for its input
// (converter.PayloadCodec says so).
//
// A task with a payload that cannot be read is handed back: it is tried again,
// here or by another worker, and its failure in Temporal says which key is
// missing.
//
// The SDK has interceptors of this kind, converter.NewPayloadCodecGRPCClientInterceptor
// and converter.NewFailureGRPCClientInterceptor. They encode a request in place,
// so that one that the SDK sends again is encoded twice, and an answer that
// cannot be decoded to a worker that polls is a task that is lost until it times
// out.
func Intercept(codec converter.PayloadCodec, encodes bool) grpc.UnaryClientInterceptor {
	i := &interceptor{codec: codec}
	return func(ctx context.Context, method string, request, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if message, ok := request.(proto.Message); ok && encodes {
			message = proto.Clone(message)
			if err := i.encode(ctx, message); err != nil {
				return err
			}
			request = message
		}
		err := invoke(ctx, method, request, reply, cc, opts...)
		if err != nil {
			return i.decodeError(ctx, err)
		}
		message, ok := reply.(proto.Message)
		if !ok {
			return nil
		}
		if err = i.decode(ctx, message); err == nil {
			return nil
		}
		handBack := func(method string, request, answer proto.Message) error {
			defer proto.Reset(message) // as if there had been no task
			return invoke(ctx, method, request, answer, cc, opts...)
		}
		switch request := request.(type) {
		case *workflowservice.PollWorkflowTaskQueueRequest:
			return refuseWorkflowTask(request, reply.(*workflowservice.PollWorkflowTaskQueueResponse), err, handBack)
		case *workflowservice.PollActivityTaskQueueRequest:
			return handBack(workflowservice.WorkflowService_RespondActivityTaskFailed_FullMethodName,
				&workflowservice.RespondActivityTaskFailedRequest{
					Namespace: request.GetNamespace(), Identity: request.GetIdentity(), Failure: unreadable(err),
					TaskToken: reply.(*workflowservice.PollActivityTaskQueueResponse).GetTaskToken(),
				}, &workflowservice.RespondActivityTaskFailedResponse{})
		default:
			return err
		}
	}
}

// refuseWorkflowTask hands a workflow task back, or answers the query that it
// is. One that was handed back before is kept until it times out, as the SDK does
// with tasks that fail: the server gives it out again at once, but waits longer
// for each that it hears nothing of, ten seconds at first.
func refuseWorkflowTask(request *workflowservice.PollWorkflowTaskQueueRequest, task *workflowservice.PollWorkflowTaskQueueResponse, cause error,
	handBack func(method string, request, answer proto.Message) error,
) error {
	if task.GetQuery() != nil {
		return handBack(workflowservice.WorkflowService_RespondQueryTaskCompleted_FullMethodName,
			&workflowservice.RespondQueryTaskCompletedRequest{
				Namespace: request.GetNamespace(), TaskToken: task.GetTaskToken(),
				CompletedType: enums.QUERY_RESULT_TYPE_FAILED, ErrorMessage: cause.Error(), Failure: unreadable(cause),
			}, &workflowservice.RespondQueryTaskCompletedResponse{})
	}
	if task.GetAttempt() > 1 {
		proto.Reset(task)
		return nil
	}
	return handBack(workflowservice.WorkflowService_RespondWorkflowTaskFailed_FullMethodName,
		&workflowservice.RespondWorkflowTaskFailedRequest{
			Namespace: request.GetNamespace(), Identity: request.GetIdentity(), TaskToken: task.GetTaskToken(),
			Cause: enums.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE, Failure: unreadable(cause),
		}, &workflowservice.RespondWorkflowTaskFailedResponse{})
}

// unreadable is the failure of a task that could not be read. It is in the
// clear, and retried.
func unreadable(err error) *failure.Failure {
	return &failure.Failure{
		Message: err.Error(), Source: "firebreak",
		FailureInfo: &failure.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failure.ApplicationFailureInfo{Type: "unreadable"}},
	}
}

type interceptor struct{ codec converter.PayloadCodec }

// encode moves the texts of failures into payloads, and encodes all payloads.
func (i *interceptor) encode(ctx context.Context, message proto.Message) error {
	plain := converter.GetDefaultDataConverter()
	err := proxy.VisitFailures(ctx, message, proxy.VisitFailuresOptions{
		Visitor: func(_ *proxy.VisitFailuresContext, f *failure.Failure) error {
			return converter.EncodeCommonFailureAttributes(plain, f)
		},
	})
	if err != nil {
		return err
	}
	return proxy.VisitPayloads(ctx, message, i.visit(i.codec.Encode))
}

func (i *interceptor) decode(ctx context.Context, message proto.Message) error {
	if answer, ok := message.(*workflowservice.GetWorkflowExecutionHistoryResponse); ok {
		if err := unpack(answer); err != nil {
			return err
		}
	}
	if err := proxy.VisitPayloads(ctx, message, i.visit(i.codec.Decode)); err != nil {
		return err
	}
	plain := converter.GetDefaultDataConverter()
	return proxy.VisitFailures(ctx, message, proxy.VisitFailuresOptions{
		Visitor: func(_ *proxy.VisitFailuresContext, f *failure.Failure) error {
			converter.DecodeCommonFailureAttributes(plain, f)
			return nil
		},
	})
}

// visit has search attributes left as they are: the server reads them.
func (i *interceptor) visit(code func([]*common.Payload) ([]*common.Payload, error)) proxy.VisitPayloadsOptions {
	return proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*common.Payload) ([]*common.Payload, error) {
			return code(payloads)
		},
	}
}

// decodeError decodes what a gRPC error carries: a query or an update that
// failed has its failure there.
func (i *interceptor) decodeError(ctx context.Context, err error) error {
	s, ok := status.FromError(err)
	if !ok || len(s.Proto().GetDetails()) == 0 {
		return err
	}
	carried := s.Proto()
	for _, detail := range carried.GetDetails() {
		content, unknown := detail.UnmarshalNew()
		if unknown != nil {
			continue
		}
		if failed := i.decode(ctx, content); failed != nil {
			return failed
		}
		if failed := detail.MarshalFrom(content); failed != nil {
			return failed
		}
	}
	return status.ErrorProto(carried)
}

// unpack decodes a history that the server sends as it stores it (its setting
// frontend.sendRawWorkflowHistory): its payloads are nowhere else.
func unpack(answer *workflowservice.GetWorkflowExecutionHistoryResponse) error {
	for _, blob := range answer.GetRawHistory() {
		batch := &history.History{}
		if err := proto.Unmarshal(blob.GetData(), batch); err != nil {
			return err
		}
		if answer.History == nil {
			answer.History = &history.History{}
		}
		answer.History.Events = append(answer.History.Events, batch.GetEvents()...)
	}
	answer.RawHistory = nil
	return nil
}
