package incident

import (
	"strings"
)

// Difference is an identifier of a host of which two accounts have different
// values.
type Difference struct {
	// Field is the path of the identifier, like "host.name".
	Field string
	// Ours and Theirs are the two values, as they were written.
	Ours, Theirs string
}

// Differences lists the identifiers (host ID, MAC address and name, in this order)
// that both hosts have and in which they differ. A bare name equals its full name.
// A MAC address equals every spelling of itself. The agent ID is no identifier of a
// host: an agent can come back with another one.
func (h Host) Differences(other Host) []Difference {
	var all []Difference
	for _, of := range []struct {
		field, ours, theirs string
		same                func(a, b string) bool
	}{
		{"host.id", h.ID, other.ID, strings.EqualFold},
		{"host.mac", h.MAC, other.MAC, compatibleMAC},
		{"host.name", h.Name, other.Name, SameHostName},
	} {
		if of.ours != "" && of.theirs != "" && !of.same(of.ours, of.theirs) {
			all = append(all, Difference{of.field, of.ours, of.theirs})
		}
	}
	return all
}

// SameHostName reports whether two names can be those of one host: a bare name
// fits every domain, and two domains must be equal. Case does not count.
func SameHostName(a, b string) bool {
	shortA, domainA, _ := strings.Cut(strings.TrimSuffix(a, "."), ".")
	shortB, domainB, _ := strings.Cut(strings.TrimSuffix(b, "."), ".")
	return shortA != "" && strings.EqualFold(shortA, shortB) &&
		(domainA == "" || domainB == "" || strings.EqualFold(domainA, domainB))
}

// SameMAC reports whether two machine IDs are equal: a MAC address in any
// spelling, with the same prefix before it if the agents have a machine ID prefix.
func SameMAC(a, b string) bool {
	prefixA, macA := splitMachineID(a)
	prefixB, macB := splitMachineID(b)
	return macA != "" && macA == macB && strings.EqualFold(prefixA, prefixB) || strings.EqualFold(a, b)
}

// compatibleMAC reports whether two machine IDs do not contradict each other. A MAC
// address without the prefix of the other one says less: machines that share it
// have the prefix to tell them apart.
func compatibleMAC(a, b string) bool {
	prefixA, macA := splitMachineID(a)
	prefixB, macB := splitMachineID(b)
	return SameMAC(a, b) || macA != "" && macA == macB && (prefixA == "" || prefixB == "")
}

// splitMachineID splits a machine ID into the agent's prefix and the normalised MAC
// address. The address is empty if the text does not end in one.
func splitMachineID(s string) (prefix, mac string) {
	s = strings.TrimSpace(s)
	if mac, ok := parseMAC(s); ok {
		return "", mac
	}
	// Six pairs with separators, three groups of four, or no separators.
	for _, length := range []int{17, 14, 12} {
		if len(s) <= length {
			continue
		}
		tail := s[len(s)-length:]
		if strings.ContainsAny(tail[:1]+tail[length-1:], ":-.") {
			continue
		}
		if mac, ok := parseMAC(tail); ok {
			return strings.TrimRight(s[:len(s)-length], "-:._"), mac
		}
	}
	return s, ""
}
