package starter

import (
	"context"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// tell tells an incident its events, and opens it before that when there is
// none. It fills what the message says of its outcome.
//
// A closed incident is not joined: a new event opens the next one of the target,
// for the threat is back. A repeated delivery of an event that the closed one
// was told does not: its sender, or a starter that was killed before it could
// answer, only sends it once more. Only the last closed incident of the target is
// asked: senders repeat within minutes, and those before it are in memory.
func (d *dispatcher) tell(ctx context.Context, m *message) (err error) {
	ctx, ended := d.traceMessage(ctx, m)
	defer func() { ended(err) }()
	if err := d.checkRoom(ctx, m.incident); err != nil {
		return err
	}
	runID, started, err := d.signal(ctx, m, m.events, enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
	if closed := closedRun(err); closed != "" {
		runID, started, err = d.reopen(ctx, m, closed)
	}
	if err != nil {
		return fmt.Errorf("signal incident %s: %w", m.incident, err)
	}
	m.ref = &Reference{WorkflowID: m.incident, RunID: runID, Route: m.route.Name}
	m.opened = started
	for i := range m.events {
		d.memory.add(m.tenant, m.events[i].ID, m.ref)
	}
	d.note(m)
	return nil
}

// reopen opens the next incident after a closed one, unless that one was told
// every event of the message.
func (d *dispatcher) reopen(ctx context.Context, m *message, closed string) (runID string, started bool, err error) {
	if m.earlier, err = d.temporal.Told(ctx, m.incident, closed, m.again); err != nil {
		return "", false, err
	}
	var events []incident.Incident
	for i := range m.events {
		if !m.earlier[m.events[i].ID] {
			events = append(events, m.events[i])
		}
	}
	if len(events) == 0 {
		return closed, false, nil
	}
	return d.signal(ctx, m, events, enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
}

// signal sends events of a message.
func (d *dispatcher) signal(ctx context.Context, m *message, events []incident.Incident, reuse enums.WorkflowIdReusePolicy) (runID string, started bool, err error) {
	workflowType, ok := signals.WorkflowType(m.route.Playbook)
	if !ok {
		return "", false, fmt.Errorf("route %q: playbook %q does not exist", m.route.Name, m.route.Playbook)
	}
	batch := signals.EventBatch{Events: make([]incident.Incident, len(events))}
	for i := range events {
		batch.Events[i] = signals.Slim(events[i])
		batch.Duplicates += m.again[events[i].ID]
	}
	input := signals.Input{
		Route: *m.route, Approvers: d.approvers, Notify: d.notify, Tenant: m.tenant, First: &events[0],
	}
	runID, started, err = d.temporal.SignalWithStart(ctx, d.options(m, &events[0], reuse), workflowType, input, batch)
	if err == nil {
		d.metrics.signals.Inc()
	}
	return runID, started, err
}

// options are those of the incident, should it be opened: how it appears in
// Temporal's lists and on its page before its playbook has said anything. They
// are taken from its first event.
func (d *dispatcher) options(m *message, first *incident.Incident, reuse enums.WorkflowIdReusePolicy) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                    m.incident,
		TaskQueue:             d.taskQueue,
		WorkflowIDReusePolicy: reuse,
		StaticSummary:         summary(first),
		StaticDetails:         details(first, m.route, m.tenant),
		TypedSearchAttributes: sdk.NewSearchAttributes(append(signals.Opened(first), signals.IncidentSeverity.ValueSet(int64(first.Severity)))...),
		Priority:              sdk.Priority{PriorityKey: first.Priority.Key(), FairnessKey: signals.FairnessKey(m.tenant)},
	}
}
