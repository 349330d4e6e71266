package worker

import (
	"context"
	"errors"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.uber.org/fx"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/config"
	"firebreak/internal/evidence"
	"firebreak/internal/guard"
	"firebreak/internal/hooks"
	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/internal/notify"
	"firebreak/internal/redact"
	"firebreak/internal/sysdig"
	"firebreak/internal/telemetry"
	"firebreak/internal/temporalclient"
)

// Module is the worker as a process. It wants a *config.Config, a *slog.Logger,
// a *telemetry.Metrics, the client.Options of Temporal, and the [Version] that
// the worker runs as.
var Module = fx.Module("worker",
	temporalclient.Module(temporalclient.Worker),
	evidence.Module,
	fx.Provide(newSysdig, approvals.New, newProtections, newRedactor, newGuard, newNotifier, newHooks, newActivities, newServer, newWorker),
	// The listener first: probes are answered while the worker waits for
	// Temporal.
	fx.Invoke(observe, func(*telemetry.Server) {}, func(*Worker) {}),
)

// newSysdig is a client of each account: of the one without a name, nil where
// there is none, and of the tenants by their names.
func newSysdig(cfg *config.Config, m *telemetry.Metrics) (own *sysdig.Client, tenants map[string]*sysdig.Client, err error) {
	accounts, err := cfg.SysdigAccounts()
	if err != nil {
		return nil, nil, err
	}
	requests, err := newSysdigMetrics(m.Registry)
	if err != nil {
		return nil, nil, err
	}
	tenants = map[string]*sysdig.Client{}
	var problems []error
	for i := range accounts {
		client, err := newClient(&accounts[i], requests)
		switch {
		case err != nil:
			problems = append(problems, err)
		case accounts[i].Tenant == "":
			own = client
		default:
			tenants[accounts[i].Tenant] = client
		}
	}
	return own, tenants, errors.Join(problems...)
}

func newClient(account *config.Account, requests *sysdigMetrics) (*sysdig.Client, error) {
	of, err := account.Resolve()
	if err != nil {
		return nil, err
	}
	of.Observe = requests.of(account.Tenant)
	return sysdig.NewClient(of)
}

func newGuard(c client.Client, options client.Options, cfg *config.Config, log *slog.Logger) *guard.Watch {
	return guard.NewWatch(c, options.Namespace, cfg.Temporal.TaskQueue, log)
}

// newNotifier is nil where nobody is to be told.
func newNotifier(cfg *config.Config, options client.Options) (*notify.Sender, error) {
	if !cfg.Notify.Any() {
		return nil, nil
	}
	n, err := cfg.Notifications()
	if err != nil {
		return nil, err
	}
	n.Namespace = options.Namespace
	return notify.New(n)
}

func newProtections(cfg *config.Config) (*incident.Protections, error) {
	return incident.NewProtections(cfg.Guard.Protected)
}

func newRedactor(cfg *config.Config) (*redact.Redactor, error) { return cfg.Redactor() }

func newHooks(cfg *config.Config, options client.Options) (*hooks.Sender, error) {
	all, err := cfg.ResolveHooks()
	if err != nil {
		return nil, err
	}
	web := &notify.Config{WebURL: cfg.Temporal.WebURL, Namespace: options.Namespace}
	return hooks.New(hooks.Config{Hooks: all, Link: web.Link}), nil
}

func newActivities(cfg *config.Config, c client.Client, watch *guard.Watch, rules *approvals.Rules, protected *incident.Protections,
	own *sysdig.Client, tenants map[string]*sysdig.Client, store *evidence.Store, notifier *notify.Sender, hooks *hooks.Sender, redactor *redact.Redactor,
	log *slog.Logger,
) *activities.Activities {
	observe := cfg.Worker.Mode == config.ModeObserve
	if observe {
		log.Warn("This worker only observes: it checks everything and changes nothing in Sysdig.", "mode", cfg.Worker.Mode)
	}
	return &activities.Activities{
		Sysdig: own, Tenants: tenants, Evidence: store, Log: log, Temporal: c, Notifier: notifier, Hooks: hooks,
		Guard: watch, Approvals: rules, Protected: protected, Budgets: cfg.Guard.Budgets, Redactor: redactor, Observe: observe,
	}
}

// observe adds what the worker counts beside what the Temporal SDK does.
func observe(m *telemetry.Metrics, c client.Client, options client.Options, watch *guard.Watch, log *slog.Logger) error {
	return errors.Join(m.Define(metrics.All()...), watchGuard(m.Registry, watch), m.Registry.Register(newWaiting(c, options.Namespace, log)))
}

func newServer(lc fx.Lifecycle, shutdown fx.Shutdowner, cfg *config.Config,
	ready *telemetry.Readiness, m *telemetry.Metrics, log *slog.Logger,
) *telemetry.Server {
	return telemetry.Serve(lc, telemetry.Fatal(shutdown, log), cfg.Worker.MetricsListen, ready, m, log)
}

func newWorker(lc fx.Lifecycle, shutdown fx.Shutdowner, cfg *config.Config,
	version Version, c client.Client, temporal *temporalclient.Monitor, acts *activities.Activities, watch *guard.Watch, ready *telemetry.Readiness, log *slog.Logger,
) *Worker {
	w := New(c, cfg.Temporal.TaskQueue, cfg.Worker.ActivitiesPerMinute, version, acts, watch, telemetry.Fatal(shutdown, log))
	// A server that comes up later is no crash loop.
	start := func(ctx context.Context) error { return w.Start(ctx, temporal.Wait) }
	lc.Append(fx.StartStopHook(start, func() {
		ready.Drain()
		w.Stop()
	}))
	return w
}
