package starter

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"firebreak/signals"
)

const (
	// tellRepeats is how often incidents are told of repeated deliveries.
	tellRepeats = 500 * time.Millisecond
	// maxRepeats is of how many events one signal tells.
	maxRepeats = 5000
)

// repeats counts further deliveries of events that are stored. Their senders
// need not wait: nothing of theirs can be lost. The incidents are told the
// numbers now and then, so that a flood of one event costs them next to
// nothing. A starter that is killed takes the numbers of the last half second
// with it, and no event. It is safe for concurrent use.
type repeats struct {
	mu     sync.Mutex
	counts map[string]map[string]int // times by event ID by incident
}

func (r *repeats) add(incident, eventID string, times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[string]map[string]int{}
	}
	if r.counts[incident] == nil {
		r.counts[incident] = map[string]int{}
	}
	r.counts[incident][eventID] += times
}

// take empties the counts.
func (r *repeats) take() map[string]map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.counts
	r.counts = nil
	return taken
}

// tellRepeats tells incidents of repeated deliveries, until ctx ends and once
// more then.
func (d *dispatcher) tellRepeats(ctx context.Context) {
	tick := time.NewTicker(tellRepeats)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			d.flushRepeats(context.WithoutCancel(ctx))
			return
		case <-tick.C:
			d.flushRepeats(ctx)
		}
	}
}

// flushRepeats tells every incident its counts. What cannot be told now is told
// the next time, unless the incident is closed.
func (d *dispatcher) flushRepeats(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	for incident, counts := range d.repeats.take() {
		for ids := range slices.Chunk(slices.Sorted(maps.Keys(counts)), maxRepeats) {
			batch := signals.EventBatch{}
			for _, id := range ids {
				batch.Repeated = append(batch.Repeated, signals.Repeat{ID: id, Times: counts[id]})
			}
			// While its events are in the journal the incident may not be open.
			err := errLater
			if !d.holds(incident) {
				err = d.temporal.Signal(ctx, incident, batch)
			}
			switch {
			case err == nil:
			case isNotFound(err):
				d.log.Debug("repeated deliveries of a closed incident", "workflow_id", incident, "event_id", ids[0], "events", len(ids))
			default:
				for _, repeat := range batch.Repeated {
					d.repeats.add(incident, repeat.ID, repeat.Times)
				}
			}
		}
	}
}
