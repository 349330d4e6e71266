package workflows

import (
	"slices"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"firebreak/signals"
)

// intakeOrder is the order in which signals of different names are read when
// they arrive together: what they know of each other's order is lost by then,
// so facts come before decisions, and a rejection before an approval.
func intakeOrder() []string {
	return []string{signals.Events, signals.Amend, signals.Note, signals.Reject, signals.Approve}
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
}

// unread reports whether a signal waits, of whatever name.
func (r *response) unread(ctx workflow.Context) bool {
	return len(workflow.GetUnhandledSignalNames(ctx)) > 0
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
			r.take(ctx, name, raw)
			if breath += len(raw.Payload().GetData()); breath > maxBreath {
				breathe(ctx)
				breath = 0
			}
		}
	}
	// What is left has a name that no playbook knows.
	unknown := workflow.GetUnhandledSignalNames(ctx)
	slices.Sort(unknown)
	for _, name := range unknown {
		channel := workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: "Not a signal of this playbook: no effect"})
		for channel.Len() > 0 && channel.ReceiveAsync(nil) {
			r.log(ctx, actorFirebreak, signals.KindRefused, "signal %q is unknown: want approve, reject, note or amend", signals.Clip(name, maxQuoted))
		}
	}
}

// take hands one signal to whom it concerns.
func (r *response) take(ctx workflow.Context, name string, raw converter.RawValue) {
	switch name {
	case signals.Events:
		r.addEvents(ctx, raw)
	case signals.Approve, signals.Reject:
		r.takeDecision(ctx, name, raw)
	case signals.Note:
		note, err := signals.DecodeNote(raw)
		if err != nil {
			r.refuse(ctx, actorFirebreak, name, err)
			return
		}
		r.log(ctx, note.Analyst, signals.KindNote, "%s", note.Text)
	case signals.Amend:
		r.takeAmendment(ctx, raw)
	}
}

// refuse records a signal that did not count, and why.
func (r *response) refuse(ctx workflow.Context, actor, name string, reason error) {
	r.log(ctx, actor, signals.KindRefused, "%s did not count: %s", name, reason)
}

// takeDecision counts an approval or a rejection, or says why it does not.
func (r *response) takeDecision(ctx workflow.Context, name string, raw converter.RawValue) {
	decision, err := signals.DecodeDecision(raw)
	if err != nil {
		r.refuse(ctx, actorFirebreak, name, err)
		return
	}
	if err := r.answers(decision); err != nil {
		r.refuse(ctx, decision.Analyst, name, err)
		return
	}
	if err := r.approval.decide(decision, name == signals.Approve); err != nil {
		r.refuse(ctx, decision.Analyst, name, err)
		return
	}
	r.page.Pending.Have = slices.Clone(r.approval.have)
	r.log(ctx, decision.Analyst, signals.KindDecision, "%s %s%s", pastTense(name), r.approval.request.Action, because(decision.Reason))
}

// takeAmendment sets the fields an analyst supplies, all or none.
func (r *response) takeAmendment(ctx workflow.Context, raw converter.RawValue) {
	amendment, err := signals.DecodeAmendment(raw)
	if err != nil {
		r.refuse(ctx, actorFirebreak, signals.Amend, err)
		return
	}
	if err := r.amendable(amendment.Analyst); err != nil {
		r.refuse(ctx, amendment.Analyst, signals.Amend, err)
		return
	}
	amended := r.page.Incident
	paths := workflow.DeterministicKeys(amendment.Fields)
	for _, path := range paths {
		if err := amended.SetField(path, string(amendment.Fields[path])); err != nil {
			r.refuse(ctx, amendment.Analyst, signals.Amend, err)
			return
		}
	}
	r.page.Incident = amended
	for _, path := range paths {
		r.log(ctx, amendment.Analyst, signals.KindAmend, "%s set to %q", path, signals.Clip(string(amendment.Fields[path]), maxQuoted))
	}
	r.amended(amendment.Analyst)
}
