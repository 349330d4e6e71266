package starter

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"firebreak/internal/journal"
)

const (
	// How much of the journal is read at a time, and for how many incidents at a
	// time Temporal is told of it.
	drainMessages = 1000
	drainBytes    = 8 << 20
	drainParallel = 16
	// drainPause is the time between two attempts while Temporal is down, and
	// refusedPause while it takes nothing for incidents that are in the journal.
	drainPause   = 500 * time.Millisecond
	refusedPause = 5 * time.Second
	// drainBudget is how long one attempt may take: nobody waits for it.
	drainBudget = 10 * time.Second
)

// drain brings what is in the journal to Temporal, in the order in which it
// came for each incident, until ctx ends. An incident that cannot be told, for
// reasons of its own, does not hold up the others.
func (d *dispatcher) drain(ctx context.Context) {
	refused := map[string]bool{} // incidents, in this round through the journal
	for ctx.Err() == nil {
		arrived := d.journal.Arrived()
		most := drainMessages
		if d.down.Load() {
			most = 1 // it is enough to find out
		}
		head, err := d.journal.Head(most, drainBytes, func(id string) bool { return refused[id] })
		if err != nil {
			d.log.Error("the journal cannot be read", "error", err)
		}
		if len(head) > 0 && d.tellHead(ctx, head, refused) {
			continue
		}
		pause, next := drainPause, arrived
		switch {
		case err != nil, len(head) > 0:
			next = nil // what is there is tried again, whatever comes
		case len(refused) > 0:
			pause, next = refusedPause, nil
		default:
			select {
			case <-arrived: // something came since the journal was read
			default:
				d.down.Store(false) // nobody asks, so whoever comes next finds out
			}
		}
		clear(refused)
		select {
		case <-ctx.Done():
		case <-next:
		case <-time.After(pause):
		}
	}
}

// tellHead tells the incidents of messages what these hold, and reports whether
// there is more to do at once: what follows, or what is behind incidents that
// were refused.
func (d *dispatcher) tellHead(ctx context.Context, head []journal.Message, refused map[string]bool) bool {
	groups := byIncident(head)
	errs := make([]error, len(groups))
	var work errgroup.Group
	work.SetLimit(drainParallel)
	for i, group := range groups {
		work.Go(func() error {
			errs[i] = d.tellGroup(ctx, group)
			return nil
		})
	}
	_ = work.Wait()
	for i, err := range errs {
		switch id := groups[i][0].Key; {
		case err == nil:
			d.down.Store(false)
		case ctx.Err() != nil:
			return false
		case isUnavailable(err):
			d.down.Store(true)
			return false
		default:
			d.down.Store(false) // it answers
			refused[id] = true
			d.log.Warn("an incident does not take its events from the journal", "workflow_id", id, "events", len(groups[i]), "error", err)
		}
	}
	return true
}

// byIncident groups messages, in order, by the incidents they are for.
func byIncident(head []journal.Message) [][]journal.Message {
	var groups [][]journal.Message
	at := map[string]int{}
	for _, m := range head {
		i, there := at[m.Key]
		if !there {
			i = len(groups)
			at[m.Key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], m)
	}
	return groups
}

// tellGroup tells an incident what messages hold, in as few signals as they fit
// into, and removes them from the journal.
func (d *dispatcher) tellGroup(ctx context.Context, group []journal.Message) error {
	for len(group) > 0 {
		n, m, source, err := read(group)
		if err != nil {
			return err
		}
		attempt, cancel := context.WithTimeout(ctx, drainBudget)
		err = d.tell(attempt, m)
		cancel()
		if err != nil {
			return err
		}
		if err := d.journal.Remove(group[:n]); err != nil {
			d.log.Error("the journal keeps what was told", "workflow_id", m.incident, "event_id", m.events[0].ID, "error", err)
		}
		result := resultJoined
		if m.opened {
			result = resultOpened
		}
		d.log.Info("incident "+string(result), "workflow_id", m.ref.WorkflowID, "run_id", m.ref.RunID, "route", m.ref.Route,
			"source", source, "event_id", m.events[0].ID, "events", len(m.events), "from", "journal")
		group = group[n:]
	}
	return nil
}

// read makes one message of the first messages of the journal that fit into one
// signal, and says how many these are.
func read(group []journal.Message) (n int, m *message, source string, err error) {
	m = &message{incident: group[0].Key}
	for _, stored := range group {
		var k kept
		if err := json.Unmarshal(stored.Body, &k); err != nil {
			return 0, nil, "", fmt.Errorf("decode a message of the journal: %w", err)
		}
		if n > 0 && m.size+k.Size > maxSignal {
			break
		}
		if n == 0 {
			m.route, m.tenant, source = k.Route, k.Tenant, k.Source
		}
		n++
		m.size += k.Size
		m.from(spanOf(k.Trace))
		for i := range k.Events {
			m.add(&k.Events[i])
		}
	}
	return n, m, source, nil
}
