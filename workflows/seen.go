package workflows

import "firebreak/signals"

// maxSeen bounds how many events an incident tells apart: a repeated delivery
// of one that came before them counts as a new event. Senders repeat within
// minutes; this many arrive in a flood of hours.
const maxSeen = 1 << 17

// seen remembers which events were counted, in the order in which they came.
type seen struct {
	known map[signals.Fingerprint]struct{}
	order []signals.Fingerprint
}

// has reports whether an event was counted.
func (s *seen) has(id string) bool {
	_, known := s.known[signals.FingerprintOf(id)]
	return known
}

// add remembers an event, and forgets the oldest where they are too many. It
// reports whether the event is new.
func (s *seen) add(id string) bool {
	f := signals.FingerprintOf(id)
	if _, known := s.known[f]; known {
		return false
	}
	if s.known == nil {
		s.known = map[signals.Fingerprint]struct{}{}
	}
	s.known[f] = struct{}{}
	s.order = append(s.order, f)
	s.forget(len(s.order) - maxSeen)
	return true
}

// forget drops the oldest n.
func (s *seen) forget(n int) {
	for range min(n, len(s.order)) {
		delete(s.known, s.order[0])
		s.order = s.order[1:]
	}
}

// bytes are the fingerprints one after the other, oldest first.
func (s *seen) bytes() []byte {
	all := make([]byte, 0, len(s.order)*len(signals.Fingerprint{}))
	for _, f := range s.order {
		all = append(all, f[:]...)
	}
	return all
}

// seenIn reads what bytes wrote.
func seenIn(all []byte) seen {
	n := len(all) / len(signals.Fingerprint{})
	s := seen{known: make(map[signals.Fingerprint]struct{}, n), order: make([]signals.Fingerprint, n)}
	for i := range s.order {
		copy(s.order[i][:], all[i*len(signals.Fingerprint{}):])
		s.known[s.order[i]] = struct{}{}
	}
	return s
}
