package starter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"firebreak/internal/journal"
	"firebreak/signals"
)

// budget is how long Temporal has to take events. Senders count a slow answer
// as a failure.
const budget = 2 * time.Second

// spacing is the least time between two signals to one incident. In a flood its
// events travel together, and its workflow gets to act between two of them: a
// workflow cannot close, or continue as new, while signals keep coming.
const spacing = 20 * time.Millisecond

// dispatcher brings events to where they are durable. Events for one incident
// go one signal after the other, in the order in which they came, and those that
// come while one is under way travel together in the next. Events that Temporal
// does not take go into the journal, if there is one, and from there to Temporal
// as soon as that is back; meanwhile the journal also takes what comes later for
// the same incident, so that the order stays.
type dispatcher struct {
	temporal  Temporal
	journal   *journal.Journal // nil when there is none
	taskQueue string
	approvers signals.Approvers
	notify    bool
	metrics   *metrics
	tracer    trace.Tracer // nil makes no spans
	log       *slog.Logger

	memory  memory
	claims  claims
	repeats repeats
	// down is set while Temporal does not answer and there is a journal: nobody
	// but the journal's drain asks it then.
	down atomic.Bool

	// serving are the lanes that are worked off.
	serving sync.WaitGroup

	mu    sync.Mutex
	lanes map[string]*lane
	// told is what incidents were told since their history was last looked at,
	// in bytes.
	told map[string]int
}

// lane is the queue of one incident. It is there while something is under way.
type lane struct{ waiting []*ticket }

// ticket is a delivery that somebody waits for.
type ticket struct {
	*delivery
	from trace.SpanContext // the request's
	done chan outcome
}

// outcome is what became of a delivery.
type outcome struct {
	ref *Reference
	// result is opened, joined, or journaled.
	result result
	// duplicates are those of the delivery's events that are stored already.
	duplicates int
	err        error
}

// newDispatcher returns the dispatcher of a webhook.
func newDispatcher(c Config, m *metrics) *dispatcher {
	d := &dispatcher{
		temporal: c.Temporal, journal: c.Journal, taskQueue: c.TaskQueue, approvers: c.Approvers, notify: c.Notify, metrics: m, tracer: c.Tracer, log: c.Log,
		lanes: map[string]*lane{}, told: map[string]int{},
	}
	if d.journal != nil {
		d.recall()
	}
	return d
}

// place claims an event for an incident, unless the event is known to be elsewhere:
// stored in another incident, or on its way there. The claim is released when the
// event is durable or has failed.
func (d *dispatcher) place(tenant, eventID, incident string) *elsewhere {
	key := keyOf(tenant, eventID)
	held, mine := d.claims.take(key, incident)
	if !mine {
		return &elsewhere{eventID: eventID, claim: held}
	}
	// Only now: an event is in memory before its claim is released.
	if ref := d.memory.find(tenant, eventID); ref != nil && ref.WorkflowID != incident {
		d.claims.release(key, ref)
		return &elsewhere{eventID: eventID, ref: ref}
	}
	return nil
}

// released gives up the claims on the events of a delivery; ref is nil if they are not
// durable.
func (d *dispatcher) released(del *delivery, ref *Reference) {
	for i := range del.events {
		d.claims.release(keyOf(del.tenant, del.events[i].ID), ref)
	}
}

// elsewhere is an event that another incident has, or gets, than the one that it
// correlates with.
type elsewhere struct {
	eventID string
	ref     *Reference // nil while it is on its way
	claim   *claim
}

// repeat counts a further delivery of an event with the incident that has it, and
// returns that; nil if the event did not become durable there.
func (d *dispatcher) repeat(e *elsewhere) *Reference {
	ref := e.ref
	if ref == nil {
		<-e.claim.settled
		ref = e.claim.ref
	}
	if ref != nil {
		d.repeats.add(ref.WorkflowID, e.eventID, 1)
	}
	return ref
}

// run does what nobody waits for, until ctx ends: it drains the journal, and
// tells incidents of repeated deliveries. It returns when nothing is under way.
func (d *dispatcher) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { d.tellRepeats(ctx) })
	if d.journal != nil {
		work.Go(func() { d.drain(ctx) })
	}
	work.Wait()
	d.serving.Wait()
}

// errLater says that something waits for something else.
var errLater = errors.New("later")

// submit hands over a delivery. Its outcome comes through the ticket: an error
// means that it is not durable. A delivery of which every event is known to be
// durable waits for nothing.
func (d *dispatcher) submit(del *delivery, from trace.SpanContext) *ticket {
	t := &ticket{delivery: del, from: from, done: make(chan outcome, 1)}
	if ref := d.stored(del); ref != nil {
		for i := range del.events {
			d.repeats.add(del.incident, del.events[i].ID, 1)
		}
		t.done <- repeatedOutcome(ref, len(del.events))
		return t
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[del.incident]
	if l == nil {
		l = &lane{}
		d.lanes[del.incident] = l
		d.serving.Go(func() { d.serve(del.incident, l) })
	}
	l.waiting = append(l.waiting, t)
	return t
}

// stored is where the events of a delivery are stored, nil when that is not
// known of all of them.
func (d *dispatcher) stored(del *delivery) (ref *Reference) {
	for i := range del.events {
		if ref = d.memory.findIn(del.incident, del.tenant, del.events[i].ID); ref == nil {
			return nil
		}
	}
	return ref
}

// repeatedOutcome is that of a delivery all of whose events are stored.
func repeatedOutcome(ref *Reference, events int) outcome {
	o := outcome{ref: ref, result: resultJoined, duplicates: events}
	if ref.RunID == "" {
		o.result = resultJournaled
	}
	return o
}

// serve works a lane off, and ends when nothing has come for a while.
func (d *dispatcher) serve(id string, l *lane) {
	for {
		tickets := d.next(id, l)
		if len(tickets) == 0 {
			return
		}
		begin := time.Now()
		if d.down.Load() || d.holds(id) {
			d.keep(id, tickets, nil)
			continue
		}
		if d.deliver(id, l, tickets) {
			time.Sleep(spacing - time.Since(begin))
		}
	}
}

// next takes from a lane what fits into one signal. A lane without anything is
// given up.
func (d *dispatcher) next(id string, l *lane) []*ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, size := 0, 0
	for n < len(l.waiting) && (n == 0 || size+l.waiting[n].size <= maxSignal) {
		size += l.waiting[n].size
		n++
	}
	if n == 0 {
		delete(d.lanes, id)
		return nil
	}
	tickets := l.waiting[:n]
	l.waiting = l.waiting[n:]
	return tickets
}

// rest takes everything from a lane.
func (d *dispatcher) rest(l *lane) []*ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	tickets := l.waiting
	l.waiting = nil
	return tickets
}

// deliver tells an incident what tickets hold, and reports whether a signal was
// sent. When Temporal does not take it, what waits behind it does not wait for
// another attempt.
func (d *dispatcher) deliver(id string, l *lane, tickets []*ticket) bool {
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	m := d.merge(tickets)
	if len(m.events) > 0 {
		if err := d.tell(ctx, &m.message); err != nil {
			d.keep(id, slices.Concat(tickets, d.rest(l)), err)
			return false
		}
	}
	m.settle(d, tickets)
	return len(m.events) > 0
}

// keep puts deliveries into the journal. Without one, or when it cannot take
// them, they have failed, for the reason given.
func (d *dispatcher) keep(id string, tickets []*ticket, reason error) {
	var ref *Reference
	err := reason
	if d.journal != nil {
		if ref, err = d.write(id, tickets); err != nil {
			err = errors.Join(reason, err)
		} else if isUnavailable(reason) {
			// Only now: the drain takes an empty journal for a sign to ask again.
			d.down.Store(true)
		}
	}
	for _, t := range tickets {
		if err != nil {
			t.done <- outcome{err: fmt.Errorf("incident %s: %w", id, err)}
		} else {
			t.done <- outcome{ref: ref, result: resultJournaled}
		}
	}
}

// holds reports whether the journal has events of an incident.
func (d *dispatcher) holds(id string) bool { return d.journal != nil && d.journal.Holds(id) }
