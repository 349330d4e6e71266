package starter

import (
	"context"
	"errors"
)

// Temporal terminates a workflow whose history grows over 50 MB or 51,200
// events. One whose worker runs moves on to a new history long before that; one
// without a worker, in a flood, must not be told more than it can hold.
const (
	maxHistoryBytes  = 32 << 20
	maxHistoryEvents = 40_000
	// lookEvery is how much an incident is told between two looks at its history,
	// in bytes, and overhead what a signal takes besides its events.
	lookEvery = 4 << 20
	overhead  = 500
	// maxTold bounds the memory of what was told: it starts afresh beyond.
	maxTold = 10_000
)

// errNoRoom is an incident that can take no events for the time being.
var errNoRoom = errors.New("its history is full until a worker handles it")

// note remembers what an incident was told.
func (d *dispatcher) note(m *message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.told) > maxTold {
		clear(d.told)
	}
	d.told[m.incident] += m.size + overhead
}

// checkRoom looks at an incident's history when much was told since the last
// time.
func (d *dispatcher) checkRoom(ctx context.Context, id string) error {
	d.mu.Lock()
	much := d.told[id] >= lookEvery
	d.mu.Unlock()
	if !much {
		return nil
	}
	events, bytes, err := d.temporal.History(ctx, id)
	if err != nil {
		return err
	}
	if events > maxHistoryEvents || bytes > maxHistoryBytes {
		return errNoRoom
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.told, id)
	return nil
}
