package starter

import (
	"crypto/sha256"
	"sync"
)

// generation is how many events one generation of memory holds: the last one or
// two generations of events are remembered, some 10 MB. At 70 events a second that is
// a quarter of an hour and more, within which Sysdig's feed is read again.
const generation = 1 << 16

// memory remembers where events are stored, for as long as it has room. That an
// event is not remembered means nothing: the incident itself counts every event
// once. It is safe for concurrent use.
type memory struct {
	mu         sync.Mutex
	young, old map[eventKey]*Reference
}

// eventKey stands for an event of a tenant.
type eventKey [16]byte

func keyOf(tenant, eventID string) eventKey {
	sum := sha256.Sum256([]byte(tenant + "\n" + eventID))
	return eventKey(sum[:16])
}

// find returns where an event of a tenant is stored, nil when that is not known.
func (m *memory) find(tenant, eventID string) *Reference {
	key := keyOf(tenant, eventID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if ref := m.young[key]; ref != nil {
		return ref
	}
	return m.old[key]
}

// findIn returns where an event is stored if that is the given incident.
func (m *memory) findIn(incident, tenant, eventID string) *Reference {
	if ref := m.find(tenant, eventID); ref != nil && ref.WorkflowID == incident {
		return ref
	}
	return nil
}

// add remembers where an event of a tenant is stored.
func (m *memory) add(tenant, eventID string, ref *Reference) {
	key := keyOf(tenant, eventID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= generation {
		m.young, m.old = make(map[eventKey]*Reference), m.young
	}
	m.young[key] = ref
}
