// Package stack runs everything Firebreak needs in one process: an embedded
// Temporal server with its Web UI, a simulated Sysdig, the worker and the
// starter, wired as in production. It is for the demonstration and the
// benchmark; what happens to separate processes is the end-to-end tests' part.
package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"firebreak/dev/internal/temporalserver"
	"firebreak/internal/config"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/internal/telemetry"
	"firebreak/starter"
	"firebreak/worker"
)

// Source is the name of the webhook's one source, and WebhookToken its secret,
// which keeps no secret: everything listens on the loopback interface only.
const (
	Source       = "sysdig"
	WebhookToken = "demo-webhook-token"
)

// Options say what to run.
type Options struct {
	// Dir keeps everything that survives a restart.
	Dir string
	// Ports on 127.0.0.1; 0 picks a free one.
	TemporalPort, UIPort, StarterPort, MetricsPort, SysdigPort int
	// Headless leaves the Web UI out, and WorkerApart the worker: the caller runs it
	// as a process, with [Stack.ConfigFile] and [Stack.Environ].
	Headless, WorkerApart bool
	// DynamicConfig overrides Temporal's settings, by its names for them.
	DynamicConfig map[string]any
	// Address is where a Temporal answers that runs already, with the search
	// attributes; if it is empty, an embedded one is started.
	Address string
	// Sysdig shapes the simulated Sysdig, and Wrap, if it is not nil, sees its
	// requests first.
	Sysdig sysdigtest.Options
	Wrap   func(http.Handler) http.Handler
	// Routes is the YAML of the routes, indented as a list.
	Routes string
	Logger *slog.Logger
}

// Stack is everything, running.
type Stack struct {
	// Temporal is the embedded server, if there is one, and Address is where it, or
	// the one that ran already, answers.
	Temporal *temporalserver.Server
	Address  string
	Sysdig   *sysdigtest.Server
	Client   client.Client
	// EvidenceDir is where the evidence lies.
	EvidenceDir string
	// StarterURL is the base URL of the webhook.
	StarterURL string
	// ConfigFile is the configuration of worker and starter.
	ConfigFile string

	stops []func() error
}

// Start starts everything, in the order in which it is needed. On an error what
// was started is stopped.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	s := &Stack{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return s, fmt.Errorf("create state folder: %w", err)
	}
	if err := s.startTemporal(ctx, o); err != nil {
		return s, err
	}
	if err := s.startSysdig(ctx, o); err != nil {
		return s, err
	}
	options := client.Options{HostPort: s.Address, Namespace: client.DefaultNamespace, Logger: log.NewStructuredLogger(o.Logger)}
	if s.Client, err = client.DialContext(ctx, options); err != nil {
		return s, fmt.Errorf("connect to temporal: %w", err)
	}
	s.stops = append(s.stops, func() error { s.Client.Close(); return nil })
	cfg, err := s.config(o)
	if err != nil {
		return s, err
	}
	if !o.WorkerApart {
		if err := s.run(ctx, cfg, options, o.Logger, worker.Module, fx.Supply(worker.Version{})); err != nil {
			return s, fmt.Errorf("start worker: %w", err)
		}
	}
	var webhook *telemetry.Server
	if err := s.run(ctx, cfg, options, o.Logger, starter.Module, fx.Populate(&webhook)); err != nil {
		return s, fmt.Errorf("start starter: %w", err)
	}
	s.StarterURL = "http://" + webhook.Address()
	return s, nil
}

func (s *Stack) startTemporal(ctx context.Context, o Options) error {
	if s.Address = o.Address; s.Address != "" {
		return nil
	}
	var err error
	if s.Temporal, err = temporalserver.Start(ctx, temporalserver.Options{
		Port: o.TemporalPort, UIPort: o.UIPort, Headless: o.Headless, DatabaseFile: filepath.Join(o.Dir, "temporal.db"), DynamicConfig: o.DynamicConfig, Logger: o.Logger,
	}); err != nil {
		return err
	}
	s.Address = s.Temporal.Address()
	s.stops = append(s.stops, func() error { s.Temporal.Stop(); return nil })
	return nil
}

func (s *Stack) startSysdig(ctx context.Context, o Options) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", o.SysdigPort))
	if err != nil {
		return fmt.Errorf("listen for the simulated Sysdig: %w", err)
	}
	s.Sysdig = sysdigtest.New(o.Sysdig)
	s.Sysdig.URL = "http://" + listener.Addr().String()
	handler := http.Handler(s.Sysdig)
	if o.Wrap != nil {
		handler = o.Wrap(handler)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	s.stops = append(s.stops, server.Close)
	return nil
}

// config writes the configuration of these parts, as a user would, and loads it.
func (s *Stack) config(o Options) (*config.Config, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find state folder: %w", err)
	}
	s.EvidenceDir = filepath.Join(dir, "evidence")
	of := s.Sysdig.Config()
	text := fmt.Sprintf(`# Written at every start.
sysdig:   {app_url: %q, api_url: %q, token: "${SYSDIG_SECURE_API_TOKEN}"}
starter:
  listen: 127.0.0.1:%d
  sources: [{name: %s, auth: {type: bearer, secrets: ["${FIREBREAK_WEBHOOK_TOKEN}"]}}]
worker:   {metrics_listen: 127.0.0.1:%d}
evidence: {url: %q}
routes:
%s`, of.AppURL, of.APIURL, o.StarterPort, Source, o.MetricsPort, "file://"+s.EvidenceDir, o.Routes)
	s.ConfigFile = filepath.Join(dir, config.FileName)
	if err := os.WriteFile(s.ConfigFile, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	secrets := s.secrets()
	return config.Load(s.ConfigFile, func(name string) (string, bool) {
		value, ok := secrets[name]
		return value, ok
	})
}

// secrets are the variables that the configuration names.
func (s *Stack) secrets() map[string]string {
	return map[string]string{"SYSDIG_SECURE_API_TOKEN": s.Sysdig.Config().Token, "FIREBREAK_WEBHOOK_TOKEN": WebhookToken}
}

// Environ is the environment of a process that uses [Stack.ConfigFile].
func (s *Stack) Environ() []string {
	environ := append(os.Environ(), "TEMPORAL_ADDRESS="+s.Temporal.Address())
	for name, value := range s.secrets() {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// run starts one process's parts.
func (s *Stack) run(ctx context.Context, cfg *config.Config, options client.Options, logger *slog.Logger, parts ...fx.Option) error {
	metrics, err := telemetry.NewMetrics(logger)
	if err != nil {
		return err
	}
	options.MetricsHandler = metrics.Temporal
	app := fx.New(
		fx.Supply(cfg, metrics, options, logger),
		fx.WithLogger(func() fxevent.Logger {
			l := &fxevent.SlogLogger{Logger: logger}
			l.UseLogLevel(slog.LevelDebug)
			return l
		}),
		fx.StopTimeout(worker.StopTimeout+10*time.Second),
		fx.Options(parts...),
	)
	if err := app.Start(ctx); err != nil {
		return err
	}
	s.stops = append(s.stops, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), app.StopTimeout())
		defer cancel()
		return errors.Join(app.Stop(ctx), metrics.Close(ctx))
	})
	return nil
}

// Stop stops everything, in reverse order.
func (s *Stack) Stop() error {
	var failed error
	for i := len(s.stops) - 1; i >= 0; i-- {
		failed = errors.Join(failed, s.stops[i]())
	}
	s.stops = nil
	return failed
}
