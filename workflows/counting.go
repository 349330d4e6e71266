package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// What operations see of an incident is counted, and logged, where it happens:
// once, for the SDK does neither in a replay. It makes no command and changes
// nothing, so it may change freely. The log says which incident by the SDK's
// fields; what an event or a person wrote is in the war room only.

// count counts in a metric, with labels given as names and values in turn.
func count(ctx workflow.Context, metric string, by int64, labels ...string) {
	tags := map[string]string{}
	for i := 0; i+1 < len(labels); i += 2 {
		tags[labels[i]] = labels[i+1]
	}
	workflow.GetMetricsHandler(ctx).WithTags(tags).Counter(metric).Inc(by)
}

// countOpened counts the incident, unless an earlier run did.
func (r *response) countOpened(ctx workflow.Context) {
	if r.in.Carried == nil {
		count(ctx, metrics.IncidentsOpened, 1, metrics.LabelPlaybook, r.page.Playbook)
	}
}

// countClosed counts the end of the incident, which reopens may take back.
func (r *response) countClosed(ctx workflow.Context) {
	count(ctx, metrics.IncidentsClosed, 1, metrics.LabelPlaybook, r.page.Playbook, metrics.LabelOutcome, string(r.page.Outcome))
	workflow.GetLogger(ctx).Info("incident closed", "outcome", string(r.page.Outcome), "route", r.page.Route, "events", r.page.Events.Count)
}

// countDecided counts the request, and how long it waited for what became of it.
func (r *response) countDecided(ctx workflow.Context) {
	a := r.approval
	waited := workflow.Now(ctx).Sub(a.clock.Asked)
	workflow.GetMetricsHandler(ctx).WithTags(map[string]string{
		metrics.LabelPlaybook: r.page.Playbook, metrics.LabelOutcome: string(a.verdict),
	}).Timer(metrics.ApprovalWait).Record(waited)
	workflow.GetLogger(ctx).Info("request decided", "request", a.request.ID, "action", a.request.Action, "verdict", string(a.verdict), "waited", waited.String())
}

// countSignal counts a signal of a person; err is why it did not count.
func countSignal(ctx workflow.Context, name string, err error) {
	result := metrics.Counted
	if err != nil {
		result = metrics.Other
		var of *refusal
		if errors.As(err, &of) {
			result = of.result
		}
		workflow.GetLogger(ctx).Info("signal did not count", "signal", signals.Clip(name, maxQuoted), "reason", result)
	}
	count(ctx, metrics.AnalystSignals, 1, metrics.LabelSignal, name, metrics.LabelResult, result)
}

// countAction counts what became of an action of Sysdig's.
func countAction(ctx workflow.Context, action, operation string, done activities.Execution, err error) {
	outcome := outcomeOf(done.Observed, done.Adopted, err)
	count(ctx, metrics.Actions, 1, metrics.LabelAction, action, metrics.LabelOperation, operation, metrics.LabelOutcome, outcome)
	logged(ctx, "action ended", err, "action", action, "operation", operation, "outcome", outcome, "execution_id", done.ID)
}

// countCapture counts what became of a system capture.
func countCapture(ctx workflow.Context, c activities.Capture, err error) {
	outcome := outcomeOf(c.Observed, false, err)
	count(ctx, metrics.Captures, 1, metrics.LabelOutcome, outcome)
	if outcome == metrics.Completed {
		count(ctx, metrics.CaptureBytes, c.Size)
	}
	logged(ctx, "capture ended", err, "outcome", outcome, "capture_id", c.ID)
}

// countFiles counts files that were stored as evidence.
func countFiles(ctx workflow.Context, kind string, files ...activities.StoredFile) {
	size := int64(0)
	for i := range files {
		size += files[i].Size
	}
	count(ctx, metrics.EvidenceFiles, int64(len(files)), metrics.LabelKind, kind)
	count(ctx, metrics.EvidenceBytes, size, metrics.LabelKind, kind)
}

// countHook counts a call of a hook that ended.
func countHook(ctx workflow.Context, hook string, moment activities.Moment, err error) {
	result := metrics.Delivered
	if err != nil {
		result = metrics.Undelivered
	}
	count(ctx, metrics.HookCalls, 1, metrics.LabelMoment, string(moment), metrics.LabelResult, result)
	logged(ctx, "hook called", err, "hook", hook, "moment", string(moment), "result", result)
}

// logged logs what was done, and as a warning what was not. Errors of activities
// hold no secret: they are in the war room, too.
func logged(ctx workflow.Context, message string, err error, fields ...any) {
	if err != nil {
		workflow.GetLogger(ctx).Warn(message, append(fields, "error", describe(err))...)
		return
	}
	workflow.GetLogger(ctx).Info(message, fields...)
}

// outcomeOf is what became of what was asked of Sysdig.
func outcomeOf(observed, adopted bool, err error) string {
	switch kind := applicationErrorType(err); {
	case err == nil && observed:
		return metrics.Observed
	case err == nil && adopted:
		return metrics.Adopted
	case err == nil:
		return metrics.Completed
	case kind == activities.ErrAmbiguous:
		return metrics.Ambiguous
	case kind == activities.ErrFrozen:
		return metrics.Frozen
	case kind == activities.ErrNotPermitted:
		return metrics.NotPermitted
	case kind == activities.ErrProtected:
		return metrics.Protected
	case kind == activities.ErrForbidden:
		return metrics.Forbidden
	case kind == activities.ErrRefused, kind == activities.ErrNotFound:
		return metrics.SysdigNo
	default:
		return metrics.Failed
	}
}

// refusal is why a signal did not count: in words, and as metrics count it.
type refusal struct{ result, text string }

func (r *refusal) Error() string { return r.text }

func refused(result, format string, args ...any) error {
	return &refusal{result, fmt.Sprintf(format, args...)}
}
