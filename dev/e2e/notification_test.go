package e2e_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/notify"
	"firebreak/signals"
	"firebreak/worker"
)

// notifies is a workflow that notifies as a playbook does.
func notifies(ctx workflow.Context, taskQueue string) ([]string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: signals.NotificationQueue(taskQueue), StartToCloseTimeout: time.Minute, HeartbeatTimeout: 30 * time.Second,
	})
	var a *activities.Activities
	var failures []string
	err := workflow.ExecuteActivity(ctx, a.Notify, activities.Notification{
		WorkflowID: "capture:node-1:host", RunID: "r", Route: "capture", State: signals.Open,
	}).Get(ctx, &failures)
	return failures, err
}

func TestTheNextWorkerNotifiesOnlyWhoWasNotNotified(t *testing.T) {
	t.Parallel()
	const taskQueue = "notification"
	var good, bad atomic.Int64
	arrived, refused := make(chan struct{}), make(chan struct{})
	one := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if good.Add(1) == 1 {
			close(arrived)
		}
	}))
	t.Cleanup(one.Close)
	two := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if bad.Add(1) == 1 {
			<-arrived
			w.WriteHeader(http.StatusServiceUnavailable)
			close(refused)
		}
	}))
	t.Cleanup(two.Close)
	start := func() *worker.Worker {
		// Between attempts there is time to stop.
		sender, err := notify.New(notify.Config{Backoff: []time.Duration{time.Hour}, URLs: []notify.URL{
			{Name: "notify.urls[0]", Value: "generic+" + one.URL}, {Name: "notify.urls[1]", Value: "generic+" + two.URL},
		}})
		require.NoError(t, err)
		w := worker.New(shared.Client, taskQueue, &activities.Activities{Notifier: sender, Log: slog.New(slog.DiscardHandler)}, func(error) {})
		require.NoError(t, w.Start(t.Context()))
		return w
	}
	playbooks := sdkworker.New(shared.Client, taskQueue+"-test", sdkworker.Options{})
	playbooks.RegisterWorkflow(notifies)
	require.NoError(t, playbooks.Start())
	t.Cleanup(playbooks.Stop)

	first := start()
	run, err := shared.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: taskQueue + "-test"}, notifies, taskQueue)
	require.NoError(t, err)
	<-refused
	first.Stop()
	t.Cleanup(start().Stop)
	var failures []string
	require.NoError(t, run.Get(t.Context(), &failures))
	require.Empty(t, failures)
	require.EqualValues(t, 1, good.Load())
	require.EqualValues(t, 2, bad.Load())
}
