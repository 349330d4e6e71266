package starter

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"firebreak/internal/temporalclient"
	"firebreak/signals"
)

// Temporal takes events for incidents.
type Temporal interface {
	// SignalWithStart adds events to the open incident options.ID, and opens it
	// before that when there is none: started says which.
	SignalWithStart(ctx context.Context, options client.StartWorkflowOptions, workflowType string,
		input signals.Input, events signals.EventBatch) (runID string, started bool, err error)
	// Signal adds to an open incident.
	Signal(ctx context.Context, workflowID string, events signals.EventBatch) error
	// Told is which of some event IDs a closed incident was told.
	Told(ctx context.Context, workflowID, runID string, ids map[string]int) (map[string]bool, error)
	// History is how long the history of an open incident is, in events and in
	// bytes; zero for one that is not open.
	History(ctx context.Context, workflowID string) (events, bytes int64, err error)
}

var _ Temporal = temporal{}

// temporal is Temporal by way of the SDK.
type temporal struct{ client client.Client }

func (t temporal) SignalWithStart(ctx context.Context, options client.StartWorkflowOptions, workflowType string,
	input signals.Input, events signals.EventBatch,
) (runID string, started bool, err error) {
	run, err := t.client.SignalWithStartWorkflow(temporalclient.WithStarted(ctx, &started),
		options.ID, signals.Events, events, options, workflowType, input)
	if err != nil {
		return "", false, err
	}
	return run.GetRunID(), started, nil
}

func (t temporal) Signal(ctx context.Context, workflowID string, events signals.EventBatch) error {
	return t.client.SignalWorkflow(ctx, workflowID, "", signals.Events, events)
}

// Told reads the run's history: the signals in it, and what it was handed by
// the run before it, if that moved on.
func (t temporal) Told(ctx context.Context, workflowID, runID string, ids map[string]int) (map[string]bool, error) {
	told := map[string]bool{}
	history := t.client.GetWorkflowHistory(ctx, workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() && len(told) < len(ids) {
		event, err := history.Next()
		if err != nil {
			return nil, fmt.Errorf("read what the closed incident was told: %w", err)
		}
		if started := event.GetWorkflowExecutionStartedEventAttributes(); started != nil {
			noteCarried(started.GetInput(), ids, told)
		} else if signaled := event.GetWorkflowExecutionSignaledEventAttributes(); signaled.GetSignalName() == signals.Events {
			noteSignaled(signaled.GetInput(), ids, told)
		}
	}
	return told, nil
}

// noteCarried adds those of ids to told that a run's input says were counted.
// What cannot be decoded, here and in a signal, no incident could count.
func noteCarried(input *common.Payloads, ids map[string]int, told map[string]bool) {
	var in signals.Input
	if converter.GetDefaultDataConverter().FromPayloads(input, &in) != nil {
		return
	}
	counted, err := in.Counted()
	if err != nil {
		return
	}
	for id := range ids {
		if counted[signals.FingerprintOf(id)] {
			told[id] = true
		}
	}
}

// noteSignaled adds those of ids to told that are in a signal.
func noteSignaled(input *common.Payloads, ids map[string]int, told map[string]bool) {
	var raw converter.RawValue
	if converter.GetDefaultDataConverter().FromPayloads(input, &raw) != nil {
		return
	}
	batch, err := signals.DecodeEvents(raw)
	if err != nil {
		return
	}
	for i := range batch.Events {
		if _, asked := ids[batch.Events[i].ID]; asked {
			told[batch.Events[i].ID] = true
		}
	}
}

func (t temporal) History(ctx context.Context, workflowID string) (events, bytes int64, err error) {
	description, err := t.client.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		if isNotFound(err) {
			return 0, 0, nil // nothing is there yet
		}
		return 0, 0, fmt.Errorf("look at the incident's history: %w", err)
	}
	info := description.GetWorkflowExecutionInfo()
	if !signals.IsOpen(info.GetStatus()) {
		return 0, 0, nil // the next one begins with an empty history
	}
	return info.GetHistoryLength(), info.GetHistorySizeBytes(), nil
}

// closedRun is the run of a closed incident that an error names, "" for any
// other error.
func closedRun(err error) string {
	var closed *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &closed) {
		return closed.RunId
	}
	return ""
}

// isNotFound reports whether there is no such incident, or none that is open.
func isNotFound(err error) bool {
	var none *serviceerror.NotFound
	return errors.As(err, &none)
}

// isUnavailable reports whether Temporal does not answer, or takes nothing from
// anybody: the error says nothing about the incident.
func isUnavailable(err error) bool {
	var unavailable *serviceerror.Unavailable
	var deadline *serviceerror.DeadlineExceeded
	var exhausted *serviceerror.ResourceExhausted
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &unavailable) || errors.As(err, &deadline) || errors.As(err, &exhausted)
}
