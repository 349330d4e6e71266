package worker

import (
	"context"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.uber.org/fx"

	"firebreak/activities"
	"firebreak/internal/config"
	"firebreak/internal/evidence"
	"firebreak/internal/sysdig"
	"firebreak/internal/telemetry"
	"firebreak/internal/temporalclient"
)

// Module is the worker as a process. It wants a *config.Config, a *slog.Logger,
// a *telemetry.Metrics and the client.Options of Temporal.
var Module = fx.Module("worker",
	temporalclient.Module,
	fx.Provide(newStore, newSysdig, newActivities, newServer, newWorker),
	// The listener first: probes are answered while the worker waits for
	// Temporal.
	fx.Invoke(func(*telemetry.Server) {}, func(*Worker) {}),
)

func newStore(lc fx.Lifecycle, cfg *config.Config) (*evidence.Store, error) {
	store, err := evidence.Open(context.Background(), cfg.Evidence.URL)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(store.Close))
	return store, nil
}

func newSysdig(cfg *config.Config) (*sysdig.Client, error) {
	app, api, err := cfg.SysdigURLs()
	if err != nil {
		return nil, err
	}
	token, err := cfg.SysdigToken()
	if err != nil {
		return nil, err
	}
	return sysdig.NewClient(sysdig.Config{AppURL: app, APIURL: api, Token: token})
}

func newActivities(client *sysdig.Client, store *evidence.Store, log *slog.Logger) *activities.Activities {
	return &activities.Activities{Sysdig: client, Evidence: store, Log: log}
}

func newServer(lc fx.Lifecycle, shutdown fx.Shutdowner, cfg *config.Config,
	ready *telemetry.Readiness, m *telemetry.Metrics, log *slog.Logger,
) *telemetry.Server {
	s := telemetry.NewServer(cfg.Worker.MetricsListen, ready, m.Registry, log, fatal(shutdown, log))
	lc.Append(fx.StartStopHook(s.Start, s.Stop))
	return s
}

func newWorker(lc fx.Lifecycle, shutdown fx.Shutdowner, cfg *config.Config,
	c client.Client, acts *activities.Activities, ready *telemetry.Readiness, log *slog.Logger,
) *Worker {
	w := New(c, cfg.Temporal.TaskQueue, acts, fatal(shutdown, log))
	lc.Append(fx.StartStopHook(w.Start, func() {
		ready.Drain()
		w.Stop()
	}))
	return w
}

// fatal ends the process when a part of it cannot go on.
func fatal(shutdown fx.Shutdowner, log *slog.Logger) func(error) {
	return func(err error) {
		log.Error("worker cannot go on", "error", err)
		_ = shutdown.Shutdown(fx.ExitCode(1)) // fails only when it is shutting down already
	}
}
