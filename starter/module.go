package starter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	"go.uber.org/fx"

	"firebreak/internal/certfile"
	"firebreak/internal/config"
	"firebreak/internal/evidence"
	"firebreak/internal/incident"
	"firebreak/internal/journal"
	"firebreak/internal/telemetry"
	"firebreak/internal/temporalclient"
)

// Module is the webhook server as a process. It wants a *config.Config, a
// *slog.Logger, a *telemetry.Metrics and the client.Options of Temporal.
var Module = fx.Module("starter",
	temporalclient.Module(temporalclient.Starter),
	evidence.Module,
	fx.Provide(openJournal, newWebhook, newServer),
	fx.Decorate(readiness),
	fx.Invoke(watchTemporal, func(*telemetry.Server) {}),
)

// watchTemporal logs what is wrong with Temporal at the start. Events are taken
// meanwhile if there is a journal.
func watchTemporal(lc fx.Lifecycle, temporal *temporalclient.Monitor) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	lc.Append(fx.StartStopHook(func() {
		go func() {
			defer close(done)
			_ = temporal.Wait(ctx) // it ends without only when it is stopped
		}()
	}, func() {
		stop()
		<-done
	}))
}

// maxJournal is what a journal holds at most, in bytes: hours of an outage.
const maxJournal = 1 << 30

// openJournal opens the configured journal; it is nil when there is none.
func openJournal(lc fx.Lifecycle, cfg *config.Config) (*journal.Journal, error) {
	if cfg.Starter.Journal == "" {
		return nil, nil
	}
	j, err := journal.Open(cfg.Starter.Journal, maxJournal)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(j.Close))
	return j, nil
}

// readiness is whether events can be taken: by Temporal or by the journal.
func readiness(temporal *telemetry.Readiness, j *journal.Journal) *telemetry.Readiness {
	if j == nil {
		return temporal
	}
	return telemetry.NewReadiness(func(ctx context.Context) error {
		if err := j.Err(); err != nil {
			return errors.Join(err, temporal.Ready(ctx))
		}
		return nil
	})
}

// tracing is where spans come from, if anybody wants some.
type tracing struct {
	fx.In

	Provider trace.TracerProvider `optional:"true"`
}

func (t tracing) tracer() trace.Tracer {
	if t.Provider == nil {
		return nil
	}
	return t.Provider.Tracer("firebreak/starter")
}

func newWebhook(lc fx.Lifecycle, cfg *config.Config, c client.Client, store *evidence.Store, j *journal.Journal,
	m *telemetry.Metrics, tracing tracing, log *slog.Logger,
) (*Handler, error) {
	router, err := incident.NewRouter(cfg.Routes)
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	sources, err := sources(&cfg.Starter, log)
	if err != nil {
		return nil, err
	}
	redactor, err := cfg.Redactor()
	if err != nil {
		return nil, err
	}
	h, err := NewHandler(Config{
		Sources: sources, Router: router, TaskQueue: cfg.Temporal.TaskQueue, Approvers: cfg.Approvers(), Notify: cfg.Notify.Any(), Redactor: redactor,
		Temporal: temporal{c}, Quarantine: store, Journal: j, Metrics: m.Registry, Tracer: tracing.tracer(), Log: log,
	})
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StartStopHook(h.Start, h.Stop))
	return h, nil
}

// sources are the configured sources with their secrets; all that is wrong with
// them is reported together.
func sources(c *config.Starter, log *slog.Logger) ([]Source, error) {
	var all []Source
	var failed error
	for i := range c.Sources {
		source, err := newSource(c, &c.Sources[i], log)
		all, failed = append(all, source), errors.Join(failed, err)
	}
	return all, failed
}

// Check tells why a starter with this configuration, here and in this environment,
// would not start: what lets senders in is missing, or cannot be read.
func Check(cfg *config.Config) error {
	log := slog.New(slog.DiscardHandler)
	_, err := sources(&cfg.Starter, log)
	_, bad := certificate(cfg.Starter.TLS, log)
	return errors.Join(err, bad)
}

// certificate is what TLS is terminated with; it is nil for plain HTTP.
func certificate(c config.TLS, log *slog.Logger) (*certfile.Pair, error) {
	if c == (config.TLS{}) {
		return nil, nil
	}
	pair, err := certfile.NewPair(c.Cert, c.Key, log)
	if err != nil {
		return nil, fmt.Errorf("starter.tls: %w", err)
	}
	return pair, nil
}

func newServer(lc fx.Lifecycle, shutdown fx.Shutdowner, cfg *config.Config, webhook *Handler,
	ready *telemetry.Readiness, m *telemetry.Metrics, log *slog.Logger,
) (*telemetry.Server, error) {
	s := telemetry.Serve(lc, telemetry.Fatal(shutdown, log), cfg.Starter.Listen, ready, m, log)
	s.Handle("/", webhook)
	pair, err := certificate(cfg.Starter.TLS, log)
	if err != nil {
		return nil, err
	}
	if pair != nil {
		s.UseTLS(pair.Certificate)
	}
	return s, nil
}
