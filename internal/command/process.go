package command

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"firebreak/internal/telemetry"
	"firebreak/internal/temporalclient"
	"firebreak/starter"
	"firebreak/worker"
)

// startTimeout is patient: a worker waits for a Temporal that comes up later,
// and a process that gave up soon would only be started again.
const startTimeout = 10 * time.Minute

// stopTimeout leaves the worker's activities their time to hand over, and some
// to close the rest.
const stopTimeout = worker.StopTimeout + 10*time.Second

func (s *session) workerCommand() *cobra.Command {
	var p process
	var version worker.Version
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the worker: playbooks and activities",
		Long: "Runs the worker until SIGINT or SIGTERM: playbooks and their activities. It waits for a Temporal\n" +
			"that is not up yet. Probes and metrics are at /livez, /readyz and /metrics.\n\n" +
			"With --deployment-name and --build-id it runs as a version of a Worker Deployment: an incident is\n" +
			"finished by workers of the version that it was opened on, and new ones are opened on the version that\n" +
			"`temporal worker deployment set-current-version` names; until one is named, they wait.",
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// As the worker controller of Kubernetes sets them.
			version := worker.Version{
				DeploymentName: cmp.Or(version.DeploymentName, s.environ["TEMPORAL_DEPLOYMENT_NAME"]),
				BuildID:        cmp.Or(version.BuildID, s.environ["TEMPORAL_WORKER_BUILD_ID"]),
			}
			if err := version.Check(); err != nil {
				return &UsageError{err}
			}
			p.module = fx.Options(worker.Module, fx.Supply(version))
			return s.run(cmd, &p)
		},
	}
	p.add(cmd)
	cmd.Flags().StringVar(&version.DeploymentName, "deployment-name", "", "`NAME` of the Worker Deployment whose version this worker is; also TEMPORAL_DEPLOYMENT_NAME")
	cmd.Flags().StringVar(&version.BuildID, "build-id", "", "`ID` of the version; also TEMPORAL_WORKER_BUILD_ID")
	addSettings(cmd, flagTaskQueue, flagSysdigRegion, flagSysdigAppURL, flagSysdigAPIURL, flagMetricsListen, flagEvidenceURL, flagMode)
	return cmd
}

func (s *session) starterCommand() *cobra.Command {
	p := process{module: starter.Module}
	cmd := &cobra.Command{
		Use:   "starter",
		Short: "Run the webhook server that opens incidents",
		Long: "Runs the webhook server until SIGINT or SIGTERM. Events come in at POST /v1/events/SOURCE; probes and\n" +
			"metrics are at /livez, /readyz and /metrics.",
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd, &p) },
	}
	p.add(cmd)
	addSettings(cmd, flagTaskQueue, flagListen, flagJournal, flagEvidenceURL)
	return cmd
}

// process is a command that runs until it is told to stop.
type process struct {
	module              fx.Option
	logLevel, logFormat string
	stopTimeout         time.Duration
}

func (p *process) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.logLevel, "log-level", "info", "`LEVEL` of the log: debug, info, warn or error")
	cmd.Flags().StringVar(&p.logFormat, "log-format", "", "`FORMAT` of the log: text or json; text on a terminal if it is not given")
	cmd.Flags().DurationVar(&p.stopTimeout, "shutdown-timeout", stopTimeout, "how long work under way may take to end or hand over")
}

// run runs a process. It returns when the process was stopped by a signal or
// the end of the command's context, or because a part of it could not go on.
func (s *session) run(cmd *cobra.Command, p *process) error {
	log, err := telemetry.Logger(s.Stderr, p.logFormat, p.logLevel)
	if err != nil {
		return &UsageError{err}
	}
	cfg, err := s.load(cmd)
	if err != nil {
		return err
	}
	metrics, err := telemetry.NewMetrics(log)
	if err != nil {
		return err
	}
	options, err := temporalclient.Options(s.environ, log, metrics.Temporal)
	if err != nil {
		return err
	}
	traced := fx.Options()
	if telemetry.Traced() {
		tracing, err := telemetry.NewTracing(cmd.Context(), "firebreak-"+cmd.Name(), log)
		if err != nil {
			return err
		}
		// Last, when what there is to trace has ended.
		defer func() { tracing.Close(context.WithoutCancel(cmd.Context())) }()
		if options.Interceptors, err = tracing.Interceptors(); err != nil {
			return err
		}
		traced = fx.Supply(fx.Annotate(tracing.Provider(), fx.As(new(trace.TracerProvider))))
	}
	app := fx.New(p.module, traced, fx.Supply(cfg, log, metrics, options),
		fx.WithLogger(func(log *slog.Logger) fxevent.Logger {
			events := &fxevent.SlogLogger{Logger: log}
			events.UseLogLevel(slog.LevelDebug)
			events.UseErrorLevel(slog.LevelDebug) // the errors are returned
			return events
		}))
	if err := app.Err(); err != nil {
		// What fx puts around the cause is about its own functions.
		return fmt.Errorf("%s: %w", cmd.Name(), dig.RootCause(err))
	}
	return s.serve(cmd.Context(), cmd.Name(), app, metrics, p.stopTimeout)
}

// serve starts an application and stops it in the end.
func (s *session) serve(ctx context.Context, name string, app *fx.App, metrics *telemetry.Metrics, timeout time.Duration) error {
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := app.Start(starting); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it was up, as it was told to
		}
		return fmt.Errorf("start %s: %w", name, err)
	}
	forgetStartup()
	code := exitDone
	select {
	case stop := <-app.Wait():
		code = stop.ExitCode
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := app.Stop(stopping); err != nil {
		return fmt.Errorf("stop %s within %s: %w", name, timeout, err)
	}
	if err := metrics.Close(stopping); err != nil {
		return err
	}
	if code != exitDone {
		return fmt.Errorf("%s could not go on: its log says why", name)
	}
	return nil
}
