// Package activities holds the side effects of playbooks: what is asked of
// Sysdig, what is stored as evidence, and who is told. An activity may run more
// than once; each says in its doc comment how it avoids to do things twice. It
// decides nothing: that is the playbooks' part.
package activities

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"firebreak/internal/approvals"
	"firebreak/internal/evidence"
	"firebreak/internal/hooks"
	"firebreak/internal/incident"
	"firebreak/internal/notify"
	"firebreak/internal/redact"
	"firebreak/internal/sysdig"
	"firebreak/signals"
)

// Activities are the side effects, with what they need. The method values of a
// nil *Activities name them in playbooks.
type Activities struct {
	// Sysdig is the account without a name, nil where there is none, and Tenants are
	// the others by theirs. Only the method sysdig picks one.
	Sysdig   *sysdig.Client
	Tenants  map[string]*sysdig.Client
	Evidence *evidence.Store
	Log      *slog.Logger
	// Temporal is where histories are read.
	Temporal client.Client
	// Guard tells whether containment is frozen, and keeps the ledger of budgets.
	Guard Guard
	// Approvals is the worker's own word on who must approve what, Protected on what
	// is never contained, and Budgets on how much is that nobody approved.
	Approvals *approvals.Rules
	Protected *incident.Protections
	Budgets   []signals.Budget
	// Redactor takes out of what Sysdig tells what nobody is to read; nil leaves it
	// as it is.
	Redactor *redact.Redactor
	// Observe makes it a dry run: everything is checked, nothing is changed in
	// Sysdig, and nothing taken of a budget.
	Observe bool
	// Notifier tells people; nil where nobody is to be told.
	Notifier *notify.Sender
	// Hooks call other vendors; it may know of none.
	Hooks *hooks.Sender
	// Poll is the time between two looks at something that Sysdig is doing.
	// Zero means DefaultPoll.
	Poll time.Duration
	// Settle is how long a submission that may have been lost is looked for
	// before it is submitted again. Zero means DefaultSettle.
	Settle time.Duration
	// Grace is how long a capture may take beyond its duration until its upload
	// begins. Zero means DefaultGrace.
	Grace time.Duration
	// Stall is how long a download may stand still before it counts as broken off.
	// Zero means DefaultStall.
	Stall time.Duration

	witnesses witnesses
	units     startUnits
}

// Defaults of Activities.
const (
	// DefaultPoll leaves Sysdig's rate limit, counted per minute, to others.
	DefaultPoll = 2 * time.Second
	// DefaultSettle is longer than a request is likely to be on its way after
	// its sender died.
	DefaultSettle = 10 * time.Second
	// DefaultGrace is long enough for an agent that reconnects: an agent does not
	// always start a capture, and Sysdig never says so (sysdig-sdk-python,
	// examples/create_sysdig_capture.py).
	DefaultGrace = 10 * time.Minute
	// DefaultStall is longer than a transfer that will go on stands still.
	DefaultStall = time.Minute
)

func (a *Activities) poll() time.Duration   { return cmp.Or(a.Poll, DefaultPoll) }
func (a *Activities) settle() time.Duration { return cmp.Or(a.Settle, DefaultSettle) }
func (a *Activities) grace() time.Duration  { return cmp.Or(a.Grace, DefaultGrace) }
func (a *Activities) stall() time.Duration  { return cmp.Or(a.Stall, DefaultStall) }

// sleep waits, unless the activity is cancelled or its worker stops first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-activity.GetWorkerStopChannel(ctx):
		return errWorkerStops
	case <-timer.C:
		return nil
	}
}

// count counts once in a metric.
func count(ctx context.Context, metric string, labels map[string]string) {
	activity.GetMetricsHandler(ctx).WithTags(labels).Counter(metric).Inc(1)
}

// heartbeats reports the activity alive, with the details it resumes from,
// while a call to the outside takes its time. Details must be safe to read
// until the returned function was called.
func heartbeats(ctx context.Context, details func() any) (stop func()) {
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		// The SDK sends them less often than they are recorded.
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, details())
			}
		}
	}()
	return func() {
		close(done)
		<-finished
	}
}
