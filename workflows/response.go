package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/internal/report"
	"firebreak/signals"
)

// Actors of war-room entries that are not analysts.
const (
	actorFirebreak = "firebreak"
	actorSysdig    = "sysdig"
	actorStarter   = "starter"
)

// response is one incident under way: everything a playbook knows. Playbooks
// change it only through its methods, which keep the war room, the search
// attributes and the page in Temporal Web in step with it.
type response struct {
	in   signals.Input
	page signals.Page

	// openedAt is when the incident was opened, maybe by an earlier run.
	openedAt time.Time
	// reset says that this run, or the one that it continues, repeats what an
	// earlier one did.
	reset bool
	// seen are the events that were counted.
	seen seen
	// action is the response action that was chosen, "" before; described is what
	// Sysdig's own catalogue says of it, nil where ours has it.
	action    string
	described *catalogue.Action
	// parameters are those of the action, nil before they are known.
	parameters map[string]any
	// undoing is set while the last action is being undone, undos counts the
	// intended undos, and undoLost says that nobody knows what became of the last.
	undoing  bool
	undos    int
	undoLost bool
	// desk is the decision that is waited for, and those before.
	desk
	// requester is who asked for a manual action, "" for a playbook's own, and forced
	// says that it may take another action back.
	requester string
	forced    bool
	// demanded is how the worker wants to be allowed what it refused to do, nil
	// while it has refused nothing.
	demanded *incident.Approval
	// heard counts the signals of this run by name, and mail are those that are
	// being vetted.
	heard  map[string]int
	mail   []*message
	intake intake
	// receipts say what became of the latest signals of this run.
	receipts receipts
	// news are changes that nobody was notified of yet, and notifying is set while
	// somebody is.
	news      []activities.Change
	notifying bool
	// calls counts how often hooks were to be called, and calling those that are
	// being called.
	calls, calling int
	// host is how sure it is which host the incident is about.
	host hostStanding
	// locating is set while the host is compared with the connected agents.
	locating bool
	// steps are the activities of this run.
	steps steps
	// needed are the fields that an analyst is asked to supply, nil otherwise.
	needed  []string
	killing killing
	// failed is why the last action failed for good, nil after a success.
	failed error
	// returned is set when the detection returned after its containment.
	returned bool
	// chatter is how much people wrote into the war room, in bytes, and unlisted
	// how many of their entries were too many.
	chatter, unlisted int
	// containedAt is when the threat was contained, and watchUntil when the watch
	// that follows ends; zero before.
	containedAt, watchUntil time.Time

	// lookedAround is set once related events were looked for.
	lookedAround bool

	capture activities.Capture
	files   []activities.StoredFile
	// reported are the files that the last close stored.
	reported []string

	// resuming is set until the playbook has come to the step in which an earlier
	// run waited, and idle until something has happened in the run since.
	resuming, idle bool
	// oversized is set when there is too much to carry into another run.
	oversized bool
	// next continues the incident in another run, nil unless it moves on.
	next error
}

// open begins an incident, and takes its first event.
func open(ctx workflow.Context, in signals.Input, playbook string) (*response, error) {
	r, err := begin(ctx, in, playbook)
	if err != nil {
		return nil, err
	}
	// Whoever starts a playbook without the starter may send the event later.
	if err := workflow.Await(ctx, func() bool { return r.page.Events.Count > 0 }); err != nil {
		return nil, err
	}
	r.call(ctx, activities.MomentOpened, r.in.Route.OnOpened)
	return r, nil
}

// begin registers everything people can send or ask, before anything blocks.
func begin(ctx workflow.Context, in signals.Input, playbook string) (*response, error) {
	info := workflow.GetInfo(ctx)
	in.Route = in.Route.WithDefaults()
	r := &response{
		in: in,
		page: signals.Page{
			WorkflowID: info.WorkflowExecution.ID,
			RunID:      info.WorkflowExecution.RunID,
			Playbook:   playbook,
			Route:      in.Route.Name,
			State:      signals.Open,
			Evidence:   []string{},
			WarRoom:    []signals.Entry{},
			Tenant:     in.Tenant,
		},
		openedAt: info.WorkflowStartTime,
		reset:    wasReset(info),
		desk:     desk{decided: map[string]string{}},
		heard:    map[string]int{},
	}
	if in.Carried != nil {
		if !handedOver(info) {
			// Whoever may start workflows cannot start one that was approved already.
			return nil, temporal.NewNonRetryableApplicationError("carried: only a run that moves on hands it over", "bad-input", nil)
		}
		if err := r.resume(); err != nil {
			return nil, err
		}
	}
	if err := r.answer(ctx); err != nil {
		return nil, err
	}
	r.countOpened(ctx)
	r.listen(ctx)
	r.notifier(ctx)
	r.refresh(ctx)
	return r, nil
}

// handedOver reports whether a run was started by the one before it, as it moved
// on. Temporal also names an earlier run where it starts one with the same input
// again, by a cron schedule or a retry policy: that input comes from whoever
// started the first.
func handedOver(info *workflow.Info) bool {
	return info.ContinuedExecutionRunID != "" && info.CronSchedule == "" && info.Attempt <= 1
}

// answer registers the queries.
func (r *response) answer(ctx workflow.Context) error {
	page := func() (signals.Page, error) { return r.page, nil }
	if err := workflow.SetQueryHandlerWithOptions(ctx, signals.QueryIncident, page,
		workflow.QueryHandlerOptions{Description: "The incident: state, pending request, evidence, war room"}); err != nil {
		return fmt.Errorf("register query %s: %w", signals.QueryIncident, err)
	}
	warRoom := func() ([]signals.Entry, error) { return r.page.WarRoom, nil }
	if err := workflow.SetQueryHandlerWithOptions(ctx, signals.QueryWarRoom, warRoom,
		workflow.QueryHandlerOptions{Description: "The war room: the incident's timeline"}); err != nil {
		return fmt.Errorf("register query %s: %w", signals.QueryWarRoom, err)
	}
	receipt := func(id string) (signals.Receipt, error) { return r.receipts.of(id), nil }
	if err := workflow.SetQueryHandlerWithOptions(ctx, signals.QueryReceipt, receipt,
		workflow.QueryHandlerOptions{Description: "What became of the signal that asked for a receipt under this ID"}); err != nil {
		return fmt.Errorf("register query %s: %w", signals.QueryReceipt, err)
	}
	return nil
}

// maxChatter bounds what can be written into the war room any number of times,
// in bytes of JSON: it travels in the workflow's result, and from run to run,
// and the server limits the size of both.
const maxChatter = 256 << 10

// log appends to the war room.
func (r *response) log(ctx workflow.Context, actor string, kind signals.Kind, format string, args ...any) {
	if r.next != nil {
		return // the next run goes on from what was carried
	}
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	entry := signals.Entry{Time: workflow.Now(ctx).UTC(), Actor: actor, Kind: kind, Text: signals.Clip(text, maxEntry)}
	if kind == signals.KindNote || kind == signals.KindRefused || kind == signals.KindAmend || kind == signals.KindReminder || kind == signals.KindRetry {
		encoded, err := json.Marshal(entry)
		if r.chatter += len(encoded); err != nil || r.chatter > maxChatter {
			r.unlisted++
			return
		}
	}
	r.page.WarRoom = append(r.page.WarRoom, entry)
	r.refresh(ctx)
}

// setState moves the incident on, where operations see it: in the search
// attributes and on the page.
func (r *response) setState(ctx workflow.Context, state signals.State) {
	if r.resuming {
		return
	}
	pending := signals.IncidentPending.ValueUnset()
	if r.page.Pending != nil {
		pending = signals.IncidentPending.ValueSet(r.page.Pending.Action)
	}
	r.page.State = state
	if err := workflow.UpsertTypedSearchAttributes(ctx, signals.IncidentState.ValueSet(string(state)), pending); err != nil {
		workflow.GetLogger(ctx).Error("search attributes not updated", "error", err)
	}
	r.refresh(ctx)
}

// refresh renders the incident's page for Temporal Web. It is not part of the
// history, so it may change freely.
func (r *response) refresh(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, report.Details(&r.page, r.standing(), workflow.GetInfo(ctx).Namespace))
}

// addEvents counts events, and lets later ones supply what the first lacked.
func (r *response) addEvents(ctx workflow.Context, raw converter.RawValue) {
	batch, err := signals.DecodeEvents(raw)
	if err != nil {
		r.log(ctx, actorStarter, signals.KindRefused, "events not taken: %s", err)
		workflow.GetLogger(ctx).Error("events not taken", "error", err)
		return
	}
	before := r.page.Events.Count
	for i := range batch.Events {
		event := &batch.Events[i]
		if !r.seen.add(event.ID) {
			r.page.Events.Duplicates++
			continue
		}
		r.page.Events.Count++
		if r.page.Events.Count == 1 {
			if first := r.in.First; first != nil && first.ID == event.ID {
				event = first
			}
			r.page.Incident = *event
			workflow.GetLogger(ctx).Info("incident opened", "event_id", event.ID, "route", r.page.Route, "severity", int(event.Severity))
			r.announce(ctx, activities.ChangeOpened, actorStarter, signals.KindEvent, "opened by event %s: %s (severity %d, %s) on %s",
				event.ID, event.Rule.Name, event.Severity, event.SeverityLabel, event.Target())
			continue
		}
		r.fill(event)
		r.amended(actorStarter)
		if !r.returned && r.recurs(event) {
			r.returned = true
			r.log(ctx, actorStarter, signals.KindEvent, "the detection returned: event %s at %s",
				event.ID, event.OccurredAt.UTC().Format(time.RFC3339))
		}
	}
	r.page.Events.Duplicates += batch.Duplicates
	for _, repeat := range batch.Repeated {
		if r.seen.has(repeat.ID) {
			r.page.Events.Duplicates += repeat.Times
		}
	}
	// A flood must not flood the war room: it is told at 2, 4, 8, … events.
	if after := r.page.Events.Count; before > 0 && bits.Len(uint(after)) > bits.Len(uint(before)) {
		r.log(ctx, actorStarter, signals.KindEvent, "%d events so far", after)
	}
	r.refresh(ctx)
}

// recurs reports whether an event shows the same detection after the
// containment. One that happened before it only arrived late.
func (r *response) recurs(event *incident.Incident) bool {
	return !r.containedAt.IsZero() && event.Rule.Name == r.page.Incident.Rule.Name && event.OccurredAt.After(r.containedAt)
}

// severe is the severity check: it reports whether the playbook may act.
func (r *response) severe(ctx workflow.Context) bool {
	if r.resuming {
		return true
	}
	limit := incident.MildestSeverity
	if r.in.Route.MaxSeverity != nil {
		limit = *r.in.Route.MaxSeverity
	}
	severity := r.page.Incident.Severity
	if severity > limit {
		r.log(ctx, actorFirebreak, signals.KindCheck, "severity %d (%s) is milder than the route's limit %d: nothing is done",
			severity, severity.Label(), limit)
		return false
	}
	r.log(ctx, actorFirebreak, signals.KindCheck, "severity %d (%s) is within the route's limit %d", severity, severity.Label(), limit)
	return true
}

// failure records why an action failed for good; the next ask is whether to
// try again.
func (r *response) failure(ctx workflow.Context, action string, err error) {
	r.failed = err
	what := action + " failed"
	switch {
	case isAmbiguous(err):
		what = action + ": Sysdig cannot say whether it ran"
	case isWithheld(err):
		what = action + " was not carried out"
		r.withhold(err)
	}
	r.announce(ctx, activities.ChangeResult, actorFirebreak, signals.KindAction, "%s: %s", what, describe(err))
}

// deniedOutcome is how an incident ends whose last request was not approved:
// as failed or ambiguous if it was to try again after a failure.
func (r *response) deniedOutcome(v verdict) signals.State {
	switch {
	case r.failed == nil:
		return v.outcome()
	case isAmbiguous(r.failed):
		return signals.Ambiguous
	default:
		return signals.Failed
	}
}

func isAmbiguous(err error) bool {
	return applicationErrorType(err) == activities.ErrAmbiguous
}

func applicationErrorType(err error) string {
	if app := applicationError(err); app != nil {
		return app.Type()
	}
	return ""
}

// applicationError is the error of an activity, nil if it is another one.
func applicationError(err error) *temporal.ApplicationError {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app
	}
	return nil
}
