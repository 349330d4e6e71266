package activities

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"go.temporal.io/sdk/activity"

	"firebreak/internal/metrics"
	"firebreak/internal/notify"
)

// Notification is one message about an incident: what has changed since the last
// one.
type Notification = notify.Notification

// Change is something that happened to an incident.
type Change = notify.Change

// ChangeKind is what a Change is about.
type ChangeKind = notify.ChangeKind

// The changes that people are told of.
const (
	ChangeOpened     = notify.ChangeOpened
	ChangeRequest    = notify.ChangeRequest
	ChangeReminder   = notify.ChangeReminder
	ChangeEscalation = notify.ChangeEscalation
	ChangeDecision   = notify.ChangeDecision
	ChangeResult     = notify.ChangeResult
	ChangeClosed     = notify.ChangeClosed
)

// notConfigured is what stands in the war room when the worker that should tell
// people knows of nobody.
const notConfigured = "notifications are not configured on this worker"

// told is what became of a notification so far: by channel, why it failed, ""
// where it was sent.
type told map[string]string

// failures are the lines for the war room.
func (t told) failures() []string {
	var lines []string
	for _, channel := range slices.Sorted(maps.Keys(t)) {
		if t[channel] != "" {
			lines = append(lines, t[channel])
		}
	}
	return lines
}

// Notify tells people what has changed in an incident, on every channel of its
// route, and of the groups to whom its request was escalated. It returns a line
// for each channel that failed for good, which names the service and never the
// URL. A channel that fails is no failure of the activity: an error means that
// the worker stops or the activity was cancelled, and that it is to be run again.
//
// A channel is served once: heartbeats tell the next attempt which ones were. It
// is served twice if the worker is killed between the service's answer and the
// heartbeat, which the SDK may hold back for most of the heartbeat timeout, or if
// a service that was too slow to answer in time had taken the message. When
// there are too many messages for a channel, this one waits and is sent together
// with others.
func (a *Activities) Notify(ctx context.Context, n Notification) ([]string, error) {
	if a.Notifier == nil {
		return []string{notConfigured}, nil
	}
	var mu sync.Mutex
	progress := told{}
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &progress); err != nil || progress == nil {
			a.Log.WarnContext(ctx, "heartbeat of notification not read", "workflow_id", n.WorkflowID, "run_id", n.RunID, "error", err)
			progress = told{}
		}
	}
	before := maps.Clone(progress)
	snapshot := func() any {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(progress)
	}
	// While it waits in a batch, too.
	stop := heartbeats(ctx, snapshot)
	err := a.Notifier.Send(ctx, activity.GetWorkerStopChannel(ctx), &n,
		func(channel string) bool { _, done := before[channel]; return done },
		func(r notify.Result) {
			mu.Lock()
			progress[r.Channel] = r.Failure
			mu.Unlock()
			activity.RecordHeartbeat(ctx, snapshot())
			result := metrics.Delivered
			if r.Failure != "" {
				result = metrics.Undelivered
				a.Log.WarnContext(ctx, "notification failed", "workflow_id", n.WorkflowID, "run_id", n.RunID, "channel", r.Channel, "reason", r.Failure)
			}
			count(ctx, metrics.Notifications, map[string]string{metrics.LabelChannel: r.Channel, metrics.LabelResult: result})
		})
	stop()
	if errors.Is(err, notify.ErrStopped) {
		return nil, errWorkerStops
	}
	if err != nil {
		return nil, err
	}
	return progress.failures(), nil
}
