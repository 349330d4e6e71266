package starter

import (
	"errors"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.uber.org/fx"

	"firebreak/internal/config"
	"firebreak/internal/evidence"
	"firebreak/internal/incident"
	"firebreak/internal/telemetry"
	"firebreak/internal/temporalclient"
)

// Module is the webhook server as a process. It wants a *config.Config, a
// *slog.Logger, a *telemetry.Metrics and the client.Options of Temporal.
var Module = fx.Module("starter",
	temporalclient.Module,
	evidence.Module,
	fx.Provide(newWebhook, newServer),
	fx.Invoke(func(*telemetry.Server) {}),
)

func newWebhook(cfg *config.Config, c client.Client, store *evidence.Store, m *telemetry.Metrics, log *slog.Logger) (*Handler, error) {
	router, err := incident.NewRouter(cfg.Routes)
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	sources, err := sources(cfg.Starter.Sources)
	if err != nil {
		return nil, err
	}
	return NewHandler(Config{
		Sources: sources, Router: router, TaskQueue: cfg.Temporal.TaskQueue, Approvers: cfg.Approvers(),
		Temporal: temporal{c}, Quarantine: store, Metrics: m.Registry, Log: log,
	})
}

// sources resolves the secrets of the configured sources; all that is wrong
// with them is reported together.
func sources(configured []config.Source) ([]Source, error) {
	var resolved []Source
	var failed error
	for _, s := range configured {
		secrets, err := s.ResolveSecrets()
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		resolved = append(resolved, Source{Name: s.Name, Open: s.Auth.Type == config.AuthNone, Secrets: secrets})
	}
	return resolved, failed
}

func newServer(lc fx.Lifecycle, shutdown fx.Shutdowner, cfg *config.Config, webhook *Handler,
	ready *telemetry.Readiness, m *telemetry.Metrics, log *slog.Logger,
) *telemetry.Server {
	s := telemetry.Serve(lc, telemetry.Fatal(shutdown, log), cfg.Starter.Listen, ready, m, log)
	s.Handle("/", webhook)
	return s
}
