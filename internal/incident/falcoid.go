package incident

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// stableText is how much of a field falcosidekick surely leaves alone: of a
// large alert it cuts every longer one after 507 bytes, be it in the middle of
// a character.
const stableText = 504

// falcoID identifies an alert, for Falco gives it no ID, by what stays the same
// when it is sent again and differs between two alerts: the instant, to the
// nanosecond, the host, the rule, and the values of the event's fields. Two
// events of a plugin can have the same second, which is all the time that
// CloudTrail knows; their values tell them apart.
//
// Left out is what one and the same alert can have two of. falcosidekick draws
// its uuid anew whenever it receives the alert, may rewrite output, fills an
// empty source, renames fields with brackets, and adds custom fields, which
// unlike Falco's own rarely have a dot. evt.time is the instant again, as a
// number that a SIEM may round. So an alert keeps its ID whether it comes from
// Falco, through falcosidekick or out of a SIEM. Only where no field is left,
// because they are switched off, the output counts.
func falcoID(o object, at time.Time, fields map[string]string) string {
	var values []string
	for name, value := range fields {
		if strings.Contains(name, ".") && name != "evt.time" {
			values = append(values, value[:min(len(value), stableText)])
		}
	}
	if len(values) == 0 {
		values = []string{o.text("output")}
	}
	slices.Sort(values)
	instant := ""
	if !at.IsZero() {
		instant = at.Format(time.RFC3339Nano)
	}
	canonical, err := json.Marshal(append([]string{"falco", o.text("rule"), o.text("hostname"), instant}, values...))
	if err != nil {
		return "" // texts always encode
	}
	return digest(canonical)
}
