package incident

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// What an incident may carry at most. An event is written by whoever shaped
// the command line it tells of, so its size is not the sender's alone to choose.
const (
	maxText    = 4096 // bytes of one value, the mark of a cut included
	maxKey     = 256  // bytes of the key of a label or field
	maxEntries = 256  // labels, fields, tags or actions
	cutMark    = "…[cut]"
)

// clockSkew is how much the clocks of two machines may differ.
const clockSkew = 5 * time.Minute

// Values that Falco writes for "no value" and for the host itself.
const (
	notAvailable  = "<NA>"
	hostContainer = "host" // Falco's container ID for the host itself
)

// present returns s as free text, and "" when s is blank or Falco's word for "no
// value". Identifiers have more such words: see identifier.
func present(s string) string {
	if strings.TrimSpace(s) == "" || s == notAvailable {
		return ""
	}
	return s
}

// bounded cuts s to maxText bytes, at a character, and marks the cut.
func bounded(s string) string { return cut(s, maxText) }

// cut cuts s to so many bytes, at a character, and marks the cut.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most - len(cutMark)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cutMark
}

// boundedMap keeps the first maxEntries of m by key, and no key over maxKey.
// Adapters read what they map before they bound it: many labels are the
// workload's own, and must not crowd out the host's name.
func boundedMap(m map[string]string) map[string]string {
	kept := make(map[string]string, min(len(m), maxEntries))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if len(k) <= maxKey && len(kept) < maxEntries {
			kept[k] = m[k]
		}
	}
	return kept
}

// parseMAC normalises a MAC address, and reports whether it is one.
func parseMAC(s string) (string, bool) {
	digits := strings.ToLower(without(strings.TrimSpace(s), ":-."))
	if len(digits) != 12 || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", false
	}
	pairs := make([]string, 0, 6)
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":"), true
}

// without is s without the given characters.
func without(s, characters string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(characters, r) {
			return -1
		}
		return r
	}, s)
}

// NormaliseMAC writes a MAC address in lower case with colons, behind the machine
// ID prefix of an agent if there is one. What is no MAC address is returned as it
// is.
func NormaliseMAC(s string) string {
	if mac, err := macAddress(s); err == nil {
		return mac
	}
	return s
}

// unixTime reads a Unix timestamp in seconds, milliseconds, microseconds or
// nanoseconds, told apart by magnitude: each bound is beyond the year 5000 in
// its own unit and before 1974 in the next. Zero and negative are absence.
func unixTime(n int64) time.Time {
	switch {
	case n <= 0:
		return time.Time{}
	case n < 1e11:
		return time.Unix(n, 0).UTC()
	case n < 1e14:
		return time.UnixMilli(n).UTC()
	case n < 1e17:
		return time.UnixMicro(n).UTC()
	default:
		return time.Unix(0, n).UTC()
	}
}

// occurredAt is when o says it happened: its numeric timestamp, whatever the
// unit, or else its textual one. Nanoseconds do not fit a float64, and whoever
// passes them through one (Elasticsearch's ingest pipelines do) rounds them by
// up to 128 ns; the textual timestamp next to them then still has them all.
func occurredAt(o object) time.Time {
	textual := parseTime(cmp.Or(o.text("timestampRFC3339Nano"), o.text("timestamp")))
	n, ok := o.integer("timestamp")
	if !ok || n <= 0 || !textual.IsZero() && float64(n) == float64(textual.UnixNano()) {
		return textual
	}
	return unixTime(n)
}

// parseTime reads a textual timestamp; one that is none is absence.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// severityOf reads a severity; one that is absent or out of range is the
// mildest, for a route must not contain anything on a guess.
func severityOf(o object) (Severity, bool) {
	n, ok := o.integer("severity")
	if !ok || !(n >= int64(WorstSeverity) && n <= int64(MildestSeverity)) {
		return MildestSeverity, false
	}
	return Severity(n), true
}
