package codec

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.uber.org/fx"

	"firebreak/internal/certfile"
	"firebreak/internal/config"
	"firebreak/internal/encryption"
	"firebreak/internal/httpauth"
	"firebreak/internal/telemetry"
)

// Module is the codec server as a process. It wants a *config.Config, a
// *encryption.Keyset, a *slog.Logger and a *telemetry.Metrics.
var Module = fx.Module("codec",
	fx.Provide(newHandler, newReadiness, newServer),
	fx.Invoke(func(*telemetry.Server) {}),
)

// newReadiness is that of a process that needs nobody: it has its keys.
func newReadiness() *telemetry.Readiness {
	return telemetry.NewReadiness(func(context.Context) error { return nil })
}

func newHandler(cfg *config.Config, keys *encryption.Keyset, m *telemetry.Metrics, log *slog.Logger) (*Handler, error) {
	if keys == nil {
		return nil, errors.New("there is no keyset; want --keyset, or temporal.keyset in the configuration")
	}
	var ways []Way
	var problems []error
	for _, a := range cfg.Codec.Auth {
		secrets, err := a.ResolveSecrets()
		auth, bad := httpauth.New(a, log)
		problems = append(problems, err, bad)
		ways = append(ways, Way{Auth: auth, Secrets: secrets})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return NewHandler(Config{Codec: keys, Ways: ways, Origins: cfg.Codec.Origins, Metrics: m.Registry, Log: log})
}

func newServer(lc fx.Lifecycle, shutdown fx.Shutdowner, cfg *config.Config, handler *Handler,
	ready *telemetry.Readiness, m *telemetry.Metrics, log *slog.Logger,
) (*telemetry.Server, error) {
	s := telemetry.Serve(lc, telemetry.Fatal(shutdown, log), cfg.Codec.Listen, ready, m, log)
	s.Handle("/", handler)
	if tls := cfg.Codec.TLS; tls != (config.TLS{}) {
		pair, err := certfile.NewPair(tls.Cert, tls.Key, log)
		if err != nil {
			return nil, fmt.Errorf("codec.tls: %w", err)
		}
		s.UseTLS(pair.Certificate)
	}
	return s, nil
}
