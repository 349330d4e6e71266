// Package worker is the Temporal worker process: it runs the playbooks and
// their activities, and tells operations how it is. It holds no playbook and no
// side effect of its own.
package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"firebreak/activities"
	"firebreak/internal/guard"
	"firebreak/signals"
	"firebreak/workflows"
)

// StopTimeout is how long activities may take to hand over when the worker
// stops. The process must be given more, or it is killed before.
const StopTimeout = 25 * time.Second

// notificationPollers are few: a notification that waits a moment is none the
// worse, and each poller is a connection's worth of work for Temporal.
const notificationPollers = 2

// cachedIncidents is how many incidents the process keeps in memory between two
// of their steps. Each takes some 100 KiB; one that is not kept is replayed from
// its history when something happens to it, which takes milliseconds. An incident
// waits for people most of its life, so a large cache would be full of those
// that nothing happens to.
const cachedIncidents = 32

// Worker runs playbooks and activities.
type Worker struct {
	guard *guard.Watch
	log   *slog.Logger
	queue string
	// version is the one of a Worker Deployment that it runs as.
	version Version
	// build makes the workers: the one of playbooks and activities and, if there is a
	// notifier, the one of notifications. The SDK's workers can be started once only.
	build   func() []worker.Worker
	workers []worker.Worker
}

// New registers the playbooks and the activities on a task queue, and the
// activity that notifies on one of its own if there is somebody to be told.
// The activities ask the watch whether containment is frozen. At most perMinute of
// them are begun on the queue in a minute, by all its workers together; 0 is no
// limit. The worker runs as a version of a Worker Deployment, if there is one:
// so does the worker of notifications, or those of pinned incidents would be
// sent by another version. Failed is told when the worker cannot go on.
func New(c client.Client, taskQueue string, perMinute int, version Version, acts *activities.Activities, watch *guard.Watch, failed func(error)) *Worker {
	worker.SetStickyWorkflowCacheSize(cachedIncidents) // of the process, says the SDK
	interceptors := []interceptor.WorkerInterceptor{&onlyPlaybooks{}, &reportRetries{temporal: c, log: acts.Log}}
	build := func() []worker.Worker {
		playbooks := worker.New(c, taskQueue, worker.Options{
			WorkerStopTimeout:            StopTimeout,
			OnFatalError:                 failed,
			TaskQueueActivitiesPerSecond: float64(perMinute) / float64(time.Minute/time.Second),
			Interceptors:                 interceptors,
			DeploymentOptions:            version.options(),
		})
		workflows.Register(playbooks, watch.Thawed)
		playbooks.RegisterActivity(acts)
		if acts.Notifier == nil {
			return []worker.Worker{playbooks}
		}
		notifications := worker.New(c, signals.NotificationQueue(taskQueue), worker.Options{
			WorkerStopTimeout:                StopTimeout,
			OnFatalError:                     failed,
			Interceptors:                     interceptors,
			DisableWorkflowWorker:            true,
			MaxConcurrentActivityTaskPollers: notificationPollers,
			DeploymentOptions:                version.options(),
		})
		notifications.RegisterActivity(acts.Notify)
		return []worker.Worker{playbooks, notifications}
	}
	return &Worker{guard: watch, log: acts.Log, queue: taskQueue, version: version, build: build}
}

// maxStarts is how often a worker is started before the process gives up: Temporal
// may be gone again between the answer to wait and the SDK's first request.
const maxStarts = 5

// Start begins to poll. Before each attempt it waits until Temporal can be used.
func (w *Worker) Start(ctx context.Context, wait func(context.Context) error) error {
	if err := wait(ctx); err != nil {
		return err
	}
	w.guard.Start(ctx)
	for attempt := 1; ; attempt++ {
		err := w.poll()
		if err == nil {
			break
		}
		if attempt < maxStarts {
			w.log.WarnContext(ctx, "The worker could not be started and is started again.", "error", err)
			if err = wait(ctx); err == nil {
				continue
			}
		}
		w.guard.Stop()
		return fmt.Errorf("start worker: %w", err)
	}
	of := []any{"queue", w.queue}
	if w.version != (Version{}) {
		of = append(of, "deployment", w.version.DeploymentName, "build_id", w.version.BuildID)
	}
	w.log.InfoContext(ctx, "The worker has started.", of...)
	return nil
}

// poll starts new workers, all of them or none.
func (w *Worker) poll() error {
	workers := w.build()
	for i, started := range workers {
		if err := started.Start(); err != nil {
			stop(workers[:i])
			return err
		}
	}
	w.workers = workers
	return nil
}

// Stop stops polling, and returns when activities have finished or handed over.
func (w *Worker) Stop() {
	stop(w.workers)
	w.guard.Stop()
}

// stop stops workers side by side: each may take as long as StopTimeout.
func stop(workers []worker.Worker) {
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(w.Stop)
	}
	group.Wait()
}
