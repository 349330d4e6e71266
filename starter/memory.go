package starter

import (
	"crypto/sha256"
	"sync"
)

// generation is how many events one generation of memory holds: the last one or
// two generations of events are remembered, some 10 MB.
const generation = 1 << 16

// memory remembers where events are stored, for as long as it has room. That an
// event is not remembered means nothing: the incident itself counts every event
// once. It is safe for concurrent use.
type memory struct {
	mu         sync.Mutex
	young, old map[eventKey]*Reference
}

// eventKey stands for an event of an incident.
type eventKey [16]byte

func keyOf(incident, eventID string) eventKey {
	sum := sha256.Sum256([]byte(incident + "\n" + eventID))
	return eventKey(sum[:16])
}

// find is where an event of an incident is stored, nil when that is not known.
func (m *memory) find(incident, eventID string) *Reference {
	key := keyOf(incident, eventID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if ref := m.young[key]; ref != nil {
		return ref
	}
	return m.old[key]
}

// add remembers where an event is stored.
func (m *memory) add(eventID string, ref *Reference) {
	key := keyOf(ref.WorkflowID, eventID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= generation {
		m.young, m.old = make(map[eventKey]*Reference), m.young
	}
	m.young[key] = ref
}
