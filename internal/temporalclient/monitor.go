package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/fx"

	"firebreak/internal/telemetry"
)

// Role is what a process has to do with Temporal.
type Role string

// The roles.
const (
	// Worker polls task queues.
	Worker Role = "worker"
	// Starter opens incidents and adds to them.
	Starter Role = "starter"
)

// Allowed asks whether a role may do its work in a namespace, and does nothing
// there. The server's health check answers whoever asks, so the role's own call is
// made, with a request that names nothing: a server looks at who asks for what
// first, and only then finds it invalid.
func Allowed(ctx context.Context, c client.Client, namespace string, role Role) error {
	// A poll that may last less than two seconds is refused before it is looked at
	// (MinLongPollTimeout in the server), and a probe has less.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	var err error
	switch role {
	case Starter:
		_, err = c.WorkflowService().SignalWithStartWorkflowExecution(call, &workflowservice.SignalWithStartWorkflowExecutionRequest{Namespace: namespace})
	default:
		_, err = c.WorkflowService().PollWorkflowTaskQueue(call, &workflowservice.PollWorkflowTaskQueueRequest{Namespace: namespace})
	}
	var invalid *serviceerror.InvalidArgument
	if errors.As(err, &invalid) {
		return nil
	}
	return err
}

// How long a try may take, and the time between two while waiting: it doubles up
// to the longer one.
const (
	tryTimeout            = 5 * time.Second
	firstPause, lastPause = 250 * time.Millisecond, 2 * time.Second
)

// Monitor knows whether a process can do its work with Temporal.
type Monitor struct {
	client  client.Client
	options client.Options
	role    Role
	log     *slog.Logger
	// doubts counts the reasons to try the role's call: there is one at first, and
	// one whenever the server refuses something. allowed is how many there were when
	// the call was last let through. It fails by design, and would else fill the
	// metrics of requests that did.
	doubts, allowed atomic.Int64
}

// NewMonitor returns a monitor and the client that it watches, which connects
// when it is first used.
func NewMonitor(opts client.Options, role Role, log *slog.Logger) (*Monitor, error) {
	m := &Monitor{options: opts, role: role, log: log}
	m.doubts.Store(1)
	var err error
	m.client, err = newClient(opts, func() { m.doubts.Add(1) })
	return m, err
}

// Client is the client that is watched.
func (m *Monitor) Client() client.Client { return m.client }

// Ready returns nil when Temporal answers, and lets the process do its work; the
// error is a diagnosis.
func (m *Monitor) Ready(ctx context.Context) error {
	_, err := m.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	if doubts := m.doubts.Load(); err == nil && doubts != m.allowed.Load() {
		if err = Allowed(ctx, m.client, m.options.Namespace, m.role); err == nil {
			m.allowed.Store(doubts)
		}
	}
	return Diagnose(ctx, m.options, err)
}

// Wait returns when the process is ready. What keeps it waiting is logged when it
// changes, and is the error when ctx ends: a server may come up later, a
// namespace be made, a permission given, so nothing is reason enough to give up.
func (m *Monitor) Wait(ctx context.Context) error {
	told, pause := "", firstPause
	for {
		err := m.try(ctx)
		if err == nil {
			if told != "" {
				m.log.InfoContext(ctx, "Temporal can be used now.", "temporal", m.options.HostPort)
			}
			return nil
		}
		if ctx.Err() == nil && err.Error() != told {
			told = err.Error()
			m.log.WarnContext(ctx, "Temporal cannot be used yet: waiting.", "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("wait for Temporal: %w", errors.Join(context.Cause(ctx), err))
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

func (m *Monitor) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return m.Ready(ctx)
}

// Module gives a process its Temporal client, which is closed last, the monitor
// of it and the readiness that the monitor tells. It wants client.Options and a
// *slog.Logger.
func Module(role Role) fx.Option {
	return fx.Provide(
		func(lc fx.Lifecycle, options client.Options, log *slog.Logger) (*Monitor, client.Client, error) {
			m, err := NewMonitor(options, role, log)
			if err != nil {
				return nil, nil, err
			}
			lc.Append(fx.StopHook(m.client.Close))
			return m, m.client, nil
		},
		func(m *Monitor) *telemetry.Readiness { return telemetry.NewReadiness(m.Ready) },
	)
}
