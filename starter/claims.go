package starter

import "sync"

// claims know to which incident an event goes that is under way, by tenant and event
// ID, before it is durable anywhere: memory knows the others. An event belongs to one
// incident, also if a second copy of it says less and would correlate elsewhere, as a
// copy of Sysdig's feed does that lacks the container ID. Such a copy is not
// delivered: it waits for the first, and is counted as its repetition. It is safe for
// concurrent use.
//
// Claims and memory are those of one process. After a restart the events in the
// journal are known again, but not those that Temporal has: a copy that correlates
// elsewhere then opens an incident of its own.
type claims struct {
	mu   sync.Mutex
	held map[eventKey]*claim
}

// claim is on an event that is under way, by all requests that hold it.
type claim struct {
	incident string // the workflow ID
	holders  int
	// settled is closed when the event is durable, or every holder failed: ref is nil
	// then.
	settled chan struct{}
	ref     *Reference
}

// take claims an event for an incident. mine is false if it is claimed for another
// one.
func (c *claims) take(key eventKey, incident string) (held *claim, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held = c.held[key]
	if held == nil {
		if c.held == nil {
			c.held = map[eventKey]*claim{}
		}
		held = &claim{incident: incident, settled: make(chan struct{})}
		c.held[key] = held
	}
	if held.incident != incident {
		return held, false
	}
	held.holders++
	return held, true
}

// release gives a claim up once its holder knows where the event is durable; ref is
// nil if it is not.
func (c *claims) release(key eventKey, ref *Reference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[key]
	if held == nil {
		return
	}
	held.holders--
	if held.ref == nil && (ref != nil || held.holders == 0) {
		held.ref = ref
		close(held.settled) // once: a claim that failed has no holder left
	}
	if held.holders == 0 {
		delete(c.held, key)
	}
}
