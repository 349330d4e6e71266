package signals

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// Fingerprint stands for an event ID, of whatever length: the beginning of its
// SHA-256. That two of as many as an incident keeps meet is less likely than
// one in a billion.
type Fingerprint [8]byte

// FingerprintOf is the fingerprint of an event ID.
func FingerprintOf(eventID string) Fingerprint {
	sum := sha256.Sum256([]byte(eventID))
	return Fingerprint(sum[:len(Fingerprint{})])
}

// Counted are the fingerprints of the events that earlier runs of the incident
// counted, as far as they were carried; none in the input of its first run.
func (in Input) Counted() (map[Fingerprint]bool, error) {
	if in.Carried == nil {
		return nil, nil
	}
	var carried struct {
		Seen []byte `json:"seen"`
	}
	if err := json.Unmarshal(in.Carried, &carried); err != nil {
		return nil, fmt.Errorf("decode what an earlier run carried: %w", err)
	}
	counted := map[Fingerprint]bool{}
	for len(carried.Seen) >= len(Fingerprint{}) {
		counted[Fingerprint(carried.Seen[:len(Fingerprint{})])] = true
		carried.Seen = carried.Seen[len(Fingerprint{}):]
	}
	return counted, nil
}
