package workflows

import (
	"slices"
	"strings"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"firebreak/internal/metrics"
	"firebreak/signals"
)

// intakeOrder is the order in which signals of different names are read when
// they arrive together: what they know of each other's order is lost by then,
// so facts come before decisions, and a rejection before an approval.
func intakeOrder() []string {
	return []string{signals.Events, signals.Told, signals.Retrying, signals.Amend, signals.Note, signals.Undo, signals.Reject, signals.Approve}
}

// listen takes signals for as long as the playbook runs. Nothing a person can
// send wedges it: payloads are received raw and decoded here, where a bad one
// becomes a line in the war room.
func (r *response) listen(ctx workflow.Context) {
	for _, name := range intakeOrder() {
		workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: signals.Description(name)})
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			if err := workflow.Await(ctx, func() bool { return r.unread(ctx) }); err != nil {
				return // cancelled: close reads what is left
			}
			r.drain(ctx)
		}
	})
	r.vetMail(ctx)
}

// unread reports whether a signal waits, of whatever name.
func (r *response) unread(ctx workflow.Context) bool {
	return len(r.intake.unread(ctx)) > 0
}

// intake knows which of a run's signals wait.
type intake struct {
	// reserved are the names of those that cannot be read, and were discarded.
	reserved []string
}

// unread names the signals that wait, sorted.
func (i *intake) unread(ctx workflow.Context) []string {
	names := slices.DeleteFunc(workflow.GetUnhandledSignalNames(ctx), func(name string) bool { return slices.Contains(i.reserved, name) })
	slices.Sort(names)
	return names
}

// discard takes one of the signals of a name that nobody knows, and reports whether
// there was one. Some names the SDK keeps to itself: the server takes such a signal
// from anybody, and the SDK panics when a workflow asks for its channel. All signals
// of such a name stay where they are, and count as one.
func (i *intake) discard(ctx workflow.Context, name string, opts workflow.SignalChannelOptions) bool {
	if strings.HasPrefix(name, "__temporal_") {
		first := !slices.Contains(i.reserved, name)
		if first {
			i.reserved = append(i.reserved, name)
		}
		return first
	}
	channel := workflow.GetSignalChannelWithOptions(ctx, name, opts)
	return channel.Len() > 0 && channel.ReceiveAsync(nil)
}

// maxBreath is how much is read in one go, in bytes. The SDK gives up a task in
// which a coroutine runs for a second, and all that came while no worker ran
// waits in one task.
const maxBreath = 256 << 10

// breathe tells the SDK that the workflow is alive.
func breathe(ctx workflow.Context) {
	breathed := false
	workflow.Go(ctx, func(workflow.Context) { breathed = true })
	// Cancelled or not: what waits is read.
	_ = workflow.Await(ctx, func() bool { return breathed })
}

// drain takes every signal that waits. It waits for nothing.
func (r *response) drain(ctx workflow.Context) {
	breath := 0
	for _, name := range intakeOrder() {
		channel := workflow.GetSignalChannel(ctx, name)
		for channel.Len() > 0 {
			// A fresh value each time: a signal without input leaves it untouched.
			var raw converter.RawValue
			if !channel.ReceiveAsync(&raw) {
				break
			}
			r.idle = false
			switch name {
			case signals.Events:
				r.addEvents(ctx, raw)
			case signals.Told:
				r.addTelling(ctx, raw)
			case signals.Retrying:
				r.addRetry(ctx, raw)
			default:
				r.hear(ctx, name, raw)
			}
			if breath += len(raw.Payload().GetData()); breath > maxBreath {
				breathe(ctx)
				breath = 0
			}
		}
	}
	// What is left has a name that no playbook knows.
	stranger := workflow.SignalChannelOptions{Description: "Not a signal of this playbook: no effect"}
	for _, name := range r.intake.unread(ctx) {
		for r.intake.discard(ctx, name, stranger) {
			countSignal(ctx, name, refused(metrics.UnknownSignal, "unknown"))
			r.log(ctx, actorFirebreak, signals.KindRefused, "signal %q is unknown: want approve, reject, note, amend or undo", signals.Clip(name, maxQuoted))
		}
	}
}

// catchUp takes every signal that waits, and waits until those whose senders
// have to be looked up first are taken, too.
func (r *response) catchUp(ctx workflow.Context) {
	for r.drain(ctx); len(r.mail) > 0; r.drain(ctx) {
		quiet, cancel := workflow.NewDisconnectedContext(ctx)
		_ = workflow.Await(quiet, func() bool { return len(r.mail) == 0 })
		cancel()
	}
}
