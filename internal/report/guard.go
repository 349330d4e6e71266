package report

import (
	"firebreak/signals"
)

// GuardDetails is the guard's page in Temporal Web: how the switch stands, the
// command that turns it, and as much of its war room as fits, newest first.
func GuardDetails(page *signals.GuardPage, namespace string) string {
	w := writer{b: make([]byte, 0, MaxDetails/4)}
	turn, then := signals.Freeze, "Stop every containment action"
	if f := page.Frozen; f != nil {
		turn, then = signals.Unfreeze, "Allow containment again"
		w.raw("## Containment is frozen\n\n")
		w.line("Since")
		w.timeUTC(f.Since)
		w.end()
		w.line("By")
		w.text(f.By, maxName)
		w.end()
		w.line("Why")
		w.text(f.Reason, maxEntry)
		w.end()
	} else {
		w.raw("## Containment is allowed\n")
	}
	w.raw("\n", then, " with one of these, YOU and WHY filled in:\n\n```\ntemporal workflow signal")
	if other(namespace) {
		w.raw(" --namespace ")
		w.word(namespace)
	}
	w.raw(" \\\n  -w ", signals.GuardID, " \\\n  --name ", turn, " \\\n  --input '{\"analyst\":\"YOU\",\"reason\":\"WHY\"}'\n```\n\n```\n")
	if other(namespace) {
		w.raw("TEMPORAL_NAMESPACE=")
		w.word(namespace)
		w.raw(" ")
	}
	w.raw("firebreak ", turn, " --reason WHY\n```\n")
	if len(page.WarRoom) == 0 {
		return string(w.b)
	}
	w.raw("\n### War room (UTC, newest first)\n\n")
	for i := len(page.WarRoom) - 1; i >= 0; i-- {
		if !w.within(MaxDetails, func() { entry(&w, &page.WarRoom[i]) }) {
			break
		}
	}
	return string(w.b)
}
