package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// message is a signal of a person, decoded.
type message struct {
	name string
	// ordinal is the how-manieth signal of its name it is in this run's history.
	ordinal int
	digest  string
	payload any
	// claimed is the analyst it names, and analyst the one it is attributed to.
	claimed, analyst string
	receipt          string
}

// decode reads a signal of a person.
func decode(name string, raw converter.RawValue) (*message, error) {
	m := &message{name: name}
	switch name {
	case signals.Approve, signals.Reject:
		p, err := signals.DecodeDecision(raw)
		m.payload, m.claimed, m.receipt = p, p.Analyst, p.Receipt
		return m, err
	case signals.Note:
		p, err := signals.DecodeNote(raw)
		m.payload, m.claimed, m.receipt = p, p.Analyst, p.Receipt
		return m, err
	case signals.Amend:
		p, err := signals.DecodeAmendment(raw)
		m.payload, m.claimed, m.receipt = p, p.Analyst, p.Receipt
		return m, err
	default:
		p, err := signals.DecodeInstruction(raw)
		m.payload, m.claimed, m.receipt = p, p.Analyst, p.Receipt
		return m, err
	}
}

// hear takes a signal of a person, at once if nothing has to be found out about
// it. A message that comes after one that is being vetted may be taken before
// it: a rejection then wins over an approval, and nothing else depends on their
// order.
func (r *response) hear(ctx workflow.Context, name string, raw converter.RawValue) {
	r.heard[name]++
	m, err := decode(name, raw)
	m.ordinal, m.digest, m.analyst = r.heard[name], activities.Digest(raw.Payload()), m.claimed
	if err != nil {
		m.analyst = actorFirebreak
		r.refuse(ctx, m, refused(metrics.Undecodable, "%s", err))
		return
	}
	if err := r.hopeless(m); err != nil {
		if r.verifies() {
			m.analyst, err = actorFirebreak, fmt.Errorf("%w (sent in the name of %q)", err, signals.Clip(m.claimed, maxQuoted))
		}
		r.refuse(ctx, m, err)
		return
	}
	if r.vetted(ctx, m) {
		r.mail = append(r.mail, m)
		return
	}
	r.take(ctx, m)
}

// verifies reports whether the analyst that counts is the one whom the Temporal
// server authenticated. A trust that this version does not know verifies, for
// package approvals takes it for no less.
func (r *response) verifies() bool {
	switch r.in.Approvers.Trust {
	case signals.TrustOpen, signals.TrustListed, "":
		return false
	default:
		return true
	}
}

// hopeless is why a message does not count whoever sent it.
func (r *response) hopeless(m *message) error {
	switch p := m.payload.(type) {
	case signals.Decision:
		if err := r.answers(p); err != nil || r.verifies() {
			return err
		}
		return r.approval.check(ballot{m.analyst, m.name == signals.Approve})
	case signals.Amendment:
		return r.amendable()
	case signals.Instruction:
		return r.undoable()
	default:
		return nil
	}
}

// vetted reports whether something has to be found out about a message that only
// an activity can: its sender, where that is to be verified; of a decision that is
// read after the deadline, when it was sent; and whether containment is frozen,
// unless the worker has it in memory that it is not.
func (r *response) vetted(ctx workflow.Context, m *message) bool {
	if r.verifies() {
		return true
	}
	if _, decision := m.payload.(signals.Decision); !decision {
		return false
	}
	if !workflow.Now(ctx).Before(r.approval.request.ExpiresAt) {
		return true
	}
	return m.name == signals.Approve && r.contains() && !glance(ctx)
}

// vetMail vets messages, one after the other, for as long as the playbook runs.
func (r *response) vetMail(ctx workflow.Context) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			if workflow.Await(ctx, func() bool { return len(r.mail) > 0 }) != nil {
				return
			}
			m := r.mail[0]
			err := r.vet(ctx, m)
			if err != nil {
				r.refuse(ctx, m, err)
			} else {
				r.take(ctx, m)
			}
			r.mail = r.mail[1:]
		}
	})
}

// vet finds out what has to be known of a message, and returns why it does not
// count.
func (r *response) vet(ctx workflow.Context, m *message) error {
	decision, decides := m.payload.(signals.Decision)
	late := decides && r.open && !workflow.Now(ctx).Before(r.approval.request.ExpiresAt)
	in := activities.VetInput{
		Signal: m.name, Ordinal: m.ordinal, Digest: m.digest, Sender: r.verifies() || late,
		Freeze: decides && m.name == signals.Approve && r.approval != nil && r.contains(),
	}
	found, err := vet(ctx, r.do, in)
	if err != nil {
		m.analyst = actorFirebreak
		return refused(metrics.SenderNotFound, "its sender could not be looked up, send it again: %s", describe(err))
	}
	if r.verifies() {
		if m.analyst = found.Principal; m.analyst == "" {
			m.analyst = actorFirebreak
			return unverified(m.claimed)
		}
	}
	if !decides || r.answers(decision) != nil {
		return nil // take says why it does not count
	}
	if err := r.approval.check(ballot{m.analyst, m.name == signals.Approve}); err != nil {
		return err
	}
	if late && !found.SentAt.Before(r.approval.request.ExpiresAt) {
		return refused(metrics.TooLate, "too late: request %s expired at %s", r.approval.request.ID, r.approval.request.ExpiresAt.Format(time.RFC3339))
	}
	if found.Frozen != nil {
		return frozen(found.Frozen)
	}
	return nil
}

// vet asks the worker about a message.
func vet(ctx workflow.Context, do executor, in activities.VetInput) (activities.Vetting, error) {
	var a *activities.Activities
	var found activities.Vetting
	summary := "Vet the signal " + in.Signal
	err := askWorker(ctx, do, summary, a.Vet, in, &found)
	return found, err
}

func unverified(claimed string) error {
	return refused(metrics.Unverified, "unverified: the Temporal server has not authenticated its sender, who claims to be %q", signals.Clip(claimed, maxQuoted))
}

// take counts a message, or says why it does not count.
func (r *response) take(ctx workflow.Context, m *message) {
	switch p := m.payload.(type) {
	case signals.Decision:
		r.takeDecision(ctx, m, p)
	case signals.NoteText:
		r.countedSignal(ctx, m, p.Text)
		r.log(ctx, m.analyst, signals.KindNote, "%s%s", p.Text, m.alias())
	case signals.Amendment:
		r.takeAmendment(ctx, m, p)
	case signals.Instruction:
		r.takeUndo(ctx, m, p)
	}
}

// alias tells of a sender who claimed to be somebody else.
func (m *message) alias() string {
	if m.claimed == m.analyst {
		return ""
	}
	return fmt.Sprintf(" (sent in the name of %q)", signals.Clip(m.claimed, maxQuoted))
}

// refuse records a message that did not count, and why.
func (r *response) refuse(ctx workflow.Context, m *message, reason error) {
	countSignal(ctx, m.name, reason)
	r.acknowledge(m, false, reason.Error())
	r.log(ctx, m.analyst, signals.KindRefused, "%s did not count: %s", m.name, reason)
}

// maxReceipts bounds what is remembered for senders who ask within moments.
const maxReceipts = 256

// countedSignal counts a message that counts, and remembers what became of it.
func (r *response) countedSignal(ctx workflow.Context, m *message, text string) {
	countSignal(ctx, m.name, nil)
	r.acknowledge(m, true, text)
}

// acknowledge remembers what became of a message, for its sender.
func (r *response) acknowledge(m *message, counted bool, text string) {
	r.receipts.add(m.receipt, signals.Receipt{
		Answered: true, Counted: counted, Analyst: m.analyst, Text: signals.Clip(text, maxEntry),
	})
}

// receipts say what became of the latest signals of a run.
type receipts []acknowledged

// acknowledged is a receipt, under the ID that the sender gave it.
type acknowledged struct {
	id      string
	receipt signals.Receipt
}

// add remembers a receipt, if the sender asked for one, in place of the oldest
// where there are too many.
func (r *receipts) add(id string, receipt signals.Receipt) {
	if id == "" {
		return
	}
	*r = append(*r, acknowledged{id, receipt})
	if over := len(*r) - maxReceipts; over > 0 {
		*r = slices.Delete(*r, 0, over)
	}
}

// of is the receipt of that ID. Of two signals with one ID the first has it: a
// repeated one tells nothing new.
func (r receipts) of(id string) signals.Receipt {
	for _, a := range r {
		if a.id == id {
			return a.receipt
		}
	}
	return signals.Receipt{}
}

// takeDecision counts an approval or a rejection, or says why it does not.
func (r *response) takeDecision(ctx workflow.Context, m *message, d signals.Decision) {
	b := ballot{m.analyst, m.name == signals.Approve}
	err := r.answers(d)
	if err == nil {
		err = r.approval.check(b)
	}
	if err != nil {
		r.refuse(ctx, m, err)
		return
	}
	a := r.approval
	a.count(b)
	r.page.Pending.Have = slices.Clone(a.have)
	text := fmt.Sprintf("%s %s", pastTense(m.name), a.request.Action)
	if a.request.Need > 1 && b.approve {
		text += fmt.Sprintf(" (%d of %d)", len(a.have), a.request.Need)
	}
	text += because(d.Reason) + m.alias()
	r.countedSignal(ctx, m, text)
	r.announce(ctx, activities.ChangeDecision, m.analyst, signals.KindDecision, "%s", text)
}

// supply sets a field that is missing. What is known stays: policies and routes
// that ask nobody were decided on it, and one analyst must not lead them to another
// target.
func (r *response) supply(inc *incident.Incident, path, value string) error {
	known, _ := inc.Field(path)
	if err := inc.SetField(path, value); err != nil {
		return err
	}
	if now, _ := inc.Field(path); known != "" && now != known {
		return refused(metrics.NotApplicable, "field %s is %q already: only what is missing can be supplied", path, signals.Clip(known, maxQuoted))
	}
	return nil
}

// takeAmendment sets the fields an analyst supplies, all or none.
func (r *response) takeAmendment(ctx workflow.Context, m *message, amendment signals.Amendment) {
	err := r.amendable()
	if err == nil {
		err = r.amender().entitled(m.analyst)
	}
	amended := r.page.Incident
	r.restated(&amended, amendment)
	paths := workflow.DeterministicKeys(amendment.Fields)
	for i := 0; err == nil && i < len(paths); i++ {
		err = r.supply(&amended, paths[i], string(amendment.Fields[paths[i]]))
	}
	if err != nil {
		r.refuse(ctx, m, err)
		return
	}
	if host := r.page.Incident.Host; r.host != hostReplaced && (amended.Host.ID != host.ID || amended.Host.AgentID != host.AgentID) {
		r.host = hostVouched
	}
	r.page.Incident = amended
	told := ""
	for _, path := range paths {
		text := fmt.Sprintf("%s set to %q", path, signals.Clip(string(amendment.Fields[path]), maxQuoted))
		told += "; " + text
		r.log(ctx, m.analyst, signals.KindAmend, "%s%s", text, m.alias())
		r.stated(ctx, path)
	}
	r.countedSignal(ctx, m, told[len("; "):])
	r.amended(m.analyst)
}

// amender is an approval that the entitlement to amend is checked with: who may
// decide may supply what the decision is about.
func (r *response) amender() *approval {
	if r.open {
		return r.approval
	}
	return r.routeApproval()
}
