package report

import (
	"firebreak/signals"
)

// latestReservations is how many reservations are shown, and maxBudgets how much of
// the guard's page its budgets may take, in bytes.
const (
	latestReservations = 10
	maxBudgets         = MaxDetails / 2
)

// GuardDetails is the guard's page in Temporal Web: how the switch stands, the
// command that turns it, what is used of budgets, and as much of its war room as
// fits, newest first. What is used is rendered when somebody reserves, so it tells
// until when.
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
	budgets(&w, page)
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

// budgets shows what is used of them, and by what.
func budgets(w *writer, page *signals.GuardPage) {
	if len(page.Budgets) == 0 {
		return
	}
	w.raw("\n### Budgets of what nobody approves\n\n")
	for i := range page.Budgets {
		if !w.within(maxBudgets, func() { budget(w, &page.Budgets[i]) }) {
			break
		}
	}
	latest := page.Reservations[max(0, len(page.Reservations)-latestReservations):]
	if len(latest) == 0 {
		return
	}
	w.raw("\nTaken last (UTC, newest first):\n\n")
	for i := len(latest) - 1; i >= 0; i-- {
		if !w.within(maxBudgets, func() { reservation(w, &latest[i]) }) {
			break
		}
	}
}

func budget(w *writer, b *signals.BudgetUse) {
	w.raw("- ")
	w.bold(b.Action)
	w.raw(" · ")
	w.number(b.Used)
	w.raw(" of ")
	w.number(b.Limit)
	w.raw(" within ", b.Per.String())
	if b.Used > 0 {
		w.raw(" · one is free again at ")
		w.timeUTC(b.FreesAt)
	}
	w.end()
}

func reservation(w *writer, r *signals.Reservation) {
	w.raw("- ")
	w.time(r.Time)
	w.raw(" · ")
	w.bold(r.Action)
	w.raw(" · ")
	w.text(r.Target, maxName)
	w.raw(" · caller ID ")
	w.text(r.CallerID, maxName)
	w.end()
}
