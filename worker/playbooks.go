package worker

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
)

// onlyPlaybooks refuses activities that were started without a workflow, as
// Temporal lets whoever may start workflows do (server setting
// activity.enableStandalone, on by default in 1.32): what an activity is told of
// approvals is true because a playbook says it.
type onlyPlaybooks struct {
	interceptor.WorkerInterceptorBase
}

func (*onlyPlaybooks) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &ofPlaybook{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type ofPlaybook struct {
	interceptor.ActivityInboundInterceptorBase
}

// ExecuteActivity runs the activity for a playbook.
func (p *ofPlaybook) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if info := activity.GetInfo(ctx); !info.IsWorkflowActivity() {
		return nil, temporal.NewNonRetryableApplicationError(
			info.ActivityType.Name+" was started by itself: only playbooks have it done", "bad-input", nil)
	}
	return p.Next.ExecuteActivity(ctx, in)
}
