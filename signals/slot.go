package signals

import (
	"slices"
	"time"

	"firebreak/internal/incident"
)

// UpdateHold is the update of the guard by which a worker takes, renews or gives
// back the turn of a host for a system capture: an agent takes one at a time, and
// is busy until the file is uploaded. Its argument is a Hold, and it returns the
// Slot that holds then. A sender that holds a turn for nothing only delays
// captures of that host, and for no longer than MaxHold.
const UpdateHold = "hold-capture-slot"

// ErrSlotHeld is the type of the error by which the guard refuses a Hold: another
// capture has the host's turn. Its detail is the Slot.
const ErrSlotHeld = "capture-slot-held"

// MaxHold is the longest time for which a turn is held without being renewed. A
// holder that died, or whose incident was cancelled or terminated, blocks its host
// for no longer.
const MaxHold = 10 * time.Minute

// Bounds of slots: the guard hands them from run to run.
const (
	MaxSlots     = 1000
	MaxSlotNames = 4
)

// Hold asks for the turn of a host.
type Hold struct {
	// Host are names of the host. Two holds are of one host if they have a name in
	// common: not every incident knows every identifier of its host.
	Host []string `json:"host"`
	// Holder is the name of the capture, which stays the same over retries.
	Holder string `json:"holder"`
	// For is how long the turn is held unless it is renewed, at most MaxHold; 0
	// gives it back.
	For incident.Duration `json:"for,omitzero"`
}

// Slot is the turn of a host that is held.
type Slot struct {
	Host   []string  `json:"host"`
	Holder string    `json:"holder"`
	Since  time.Time `json:"since"`
	// Until is when it is free again, unless it is renewed.
	Until time.Time `json:"until"`
}

// of reports whether the slot is of the host.
func (s *Slot) of(host []string) bool {
	return slices.ContainsFunc(host, func(name string) bool { return slices.Contains(s.Host, name) })
}

// HeldByOther returns the slot by which another holder has the turn of the host at
// that time, nil if the turn is free.
func (p *GuardPage) HeldByOther(in Hold, at time.Time) *Slot {
	i := slices.IndexFunc(p.Slots, func(s Slot) bool {
		return s.Holder != in.Holder && s.of(in.Host) && at.Before(s.Until)
	})
	if i < 0 {
		return nil
	}
	return &p.Slots[i]
}

// Hold takes, renews or gives back a turn that no other holder has, and forgets
// those that are over.
func (p *GuardPage) Hold(in Hold, at time.Time) Slot {
	at = at.UTC()
	slot := Slot{Host: in.Host, Holder: in.Holder, Since: at, Until: at.Add(min(time.Duration(in.For), MaxHold))}
	p.Slots = slices.DeleteFunc(p.Slots, func(s Slot) bool {
		mine := s.Holder == in.Holder && s.of(in.Host)
		if mine {
			slot.Since = s.Since
		}
		return mine || !at.Before(s.Until)
	})
	if in.For > 0 {
		p.Slots = append(p.Slots, slot)
	}
	return slot
}
