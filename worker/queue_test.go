package worker_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/deployment/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"firebreak/activities"
	"firebreak/internal/guard"
	"firebreak/internal/notify"
	"firebreak/worker"
)

// frontend is a Temporal that has nothing to do, and tells which task queues are
// asked for what.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	grpc_health_v1.UnimplementedHealthServer

	mu    sync.Mutex
	polls map[string]bool
	seen  chan string // a poll that was not seen before
	// refusals are how many requests about the namespace are refused first.
	refusals atomic.Int32
}

func (f *frontend) poll(ctx context.Context, name string) {
	f.mu.Lock()
	fresh := !f.polls[name]
	f.polls[name] = true
	f.mu.Unlock()
	if fresh {
		f.seen <- name
	}
	<-ctx.Done()
}

func (f *frontend) PollWorkflowTaskQueue(ctx context.Context, r *workflowservice.PollWorkflowTaskQueueRequest) (*workflowservice.PollWorkflowTaskQueueResponse, error) {
	if r.GetTaskQueue().GetNormalName() == "" { // else the queue is one worker's own
		f.poll(ctx, "workflows of "+r.GetTaskQueue().GetName()+as(r.GetDeploymentOptions()))
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (f *frontend) PollActivityTaskQueue(ctx context.Context, r *workflowservice.PollActivityTaskQueueRequest) (*workflowservice.PollActivityTaskQueueResponse, error) {
	f.poll(ctx, "activities of "+r.GetTaskQueue().GetName()+as(r.GetDeploymentOptions()))
	return nil, ctx.Err()
}

// as is the version that somebody polls as.
func as(o *deployment.WorkerDeploymentOptions) string {
	if o.GetWorkerVersioningMode() != enums.WORKER_VERSIONING_MODE_VERSIONED {
		return ""
	}
	return " as " + o.GetDeploymentName() + ":" + o.GetBuildId()
}

func (f *frontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (f *frontend) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	if f.refusals.Add(-1) >= 0 {
		return nil, status.Error(codes.PermissionDenied, "not yet")
	}
	return &workflowservice.DescribeNamespaceResponse{}, nil
}

func (f *frontend) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func TestNotificationsHaveTheirOwnQueue(t *testing.T) {
	t.Parallel()
	sender, err := notify.New(notify.Config{URLs: []notify.URL{{Name: "notify.urls[0]", Value: "generic+https://hooks.example.com/"}}})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		notifier *notify.Sender
		version  worker.Version
		refusals int32
		want     []string
	}{
		"with a notifier":  {sender, worker.Version{}, 0, []string{"workflows of q", "activities of q", "activities of q-notifications"}},
		"without one":      {nil, worker.Version{}, 0, []string{"workflows of q", "activities of q"}},
		"refused at first": {nil, worker.Version{}, 2, []string{"workflows of q", "activities of q"}},
		"by a version": {
			sender,
			worker.Version{DeploymentName: "d", BuildID: "1"},
			0,
			[]string{"workflows of q as d:1", "activities of q as d:1", "activities of q-notifications as d:1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &frontend{polls: map[string]bool{}, seen: make(chan string, 10)}
			f.refusals.Store(c.refusals)
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			server := grpc.NewServer()
			workflowservice.RegisterWorkflowServiceServer(server, f)
			grpc_health_v1.RegisterHealthServer(server, f)
			served := make(chan error, 1)
			go func() { served <- server.Serve(listener) }()
			t.Cleanup(func() {
				server.Stop()
				require.NoError(t, <-served)
			})
			discard := slog.New(slog.DiscardHandler)
			temporal, err := client.NewLazyClient(client.Options{HostPort: listener.Addr().String(), Logger: log.NewStructuredLogger(discard)})
			require.NoError(t, err)
			t.Cleanup(temporal.Close)
			w := worker.New(temporal, "q", 0, c.version, &activities.Activities{Notifier: c.notifier, Log: discard}, guard.NewWatch(temporal, "default", "q", discard), func(error) {})
			require.NoError(t, w.Start(t.Context(), func(context.Context) error { return nil }))
			var polls []string
			for range c.want {
				polls = append(polls, <-f.seen)
			}
			w.Stop()
			require.ElementsMatch(t, c.want, polls)
			require.Empty(t, f.seen)
		})
	}
}
