// Package worker is the Temporal worker process: it runs the playbooks and
// their activities, and tells operations how it is. It holds no playbook and no
// side effect of its own.
package worker

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"firebreak/activities"
	"firebreak/internal/guard"
	"firebreak/internal/temporalclient"
	"firebreak/workflows"
)

// StopTimeout is how long activities may take to hand over when the worker
// stops. The process must be given more, or it is killed before.
const StopTimeout = 25 * time.Second

// Worker runs playbooks and activities.
type Worker struct {
	client client.Client
	guard  *guard.Watch
	worker worker.Worker
}

// New registers the playbooks and the activities on a task queue; the activities
// ask the watch whether containment is frozen. Failed is told when the worker
// cannot go on.
func New(c client.Client, taskQueue string, acts *activities.Activities, watch *guard.Watch, failed func(error)) *Worker {
	w := worker.New(c, taskQueue, worker.Options{
		WorkerStopTimeout: StopTimeout,
		OnFatalError:      failed,
	})
	workflows.Register(w)
	w.RegisterActivity(acts)
	return &Worker{client: c, guard: watch, worker: w}
}

// Start waits until Temporal answers, so that a server that comes up later is
// no crash loop, and begins to poll.
func (w *Worker) Start(ctx context.Context) error {
	if err := temporalclient.WaitReady(ctx, w.client); err != nil {
		return err
	}
	w.guard.Start(ctx)
	if err := w.worker.Start(); err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	return nil
}

// Stop stops polling, and returns when activities have finished or handed over.
func (w *Worker) Stop() {
	w.worker.Stop()
	w.guard.Stop()
}
