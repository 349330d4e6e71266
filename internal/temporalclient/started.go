package temporalclient

import (
	"context"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

type startedKey struct{}

// WithStarted returns a context for SignalWithStartWorkflow: when the call has
// succeeded, *started says whether it started a run or found one open. The
// server answers that, but the SDK's result does not carry it. It works with
// clients of [New].
func WithStarted(ctx context.Context, started *bool) context.Context {
	return context.WithValue(ctx, startedKey{}, started)
}

// captureStarted is the interceptor that serves WithStarted. The SDK derives the
// context of the request from its caller's.
func captureStarted(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if response, ok := reply.(*workflowservice.SignalWithStartWorkflowExecutionResponse); ok && err == nil {
		if started, ok := ctx.Value(startedKey{}).(*bool); ok {
			*started = response.GetStarted()
		}
	}
	return err
}
