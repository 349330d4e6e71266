// Package starter is the webhook server that opens incidents: it takes runtime
// security events, finds the route of each, and hands them to Temporal, where
// they open an incident or join the open one of their target. Its answer 202
// means that every event is on durable storage. It decides nothing about an
// incident beyond its route, and calls neither Sysdig nor an activity.
//
// What the answer says was done is done, but what was done may be more than the
// answer says: when one of several incidents of a request could not be told its
// events, the answer is 503 although others were. The sender sends everything
// again, and an incident counts an event ID once.
package starter

import (
	"context"
	"io"

	"go.temporal.io/sdk/client"

	"firebreak/internal/evidence"
	"firebreak/internal/temporalclient"
	"firebreak/signals"
)

// Temporal takes events for incidents.
type Temporal interface {
	// SignalWithStart adds events to the open incident options.ID, and opens it
	// before that when there is none: started says which.
	SignalWithStart(ctx context.Context, options client.StartWorkflowOptions, workflowType string,
		input signals.Input, events signals.EventBatch) (runID string, started bool, err error)
}

// Quarantine stores what nobody recognised.
type Quarantine interface {
	Put(ctx context.Context, key, contentType string, r io.Reader, check func(head []byte) error) (evidence.File, error)
}

var (
	_ Temporal   = temporal{}
	_ Quarantine = (*evidence.Store)(nil)
)

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
