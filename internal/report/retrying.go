package report

import "firebreak/signals"

// retrying lists the steps that failed and are tried again: what failed last, and
// when the next attempt is.
func retrying(w *writer, steps []signals.Retry) {
	if len(steps) == 0 {
		return
	}
	w.raw("\n### Failed, and tried again (UTC)\n\n")
	for i := range steps {
		if !w.within(endOfRetrying, func() { retry(w, &steps[i]) }) {
			w.raw("- and ")
			w.number(len(steps) - i)
			w.raw(" more: `firebreak show`\n")
			return
		}
	}
}

func retry(w *writer, s *signals.Retry) {
	w.raw("- ")
	w.bold(s.Step)
	w.raw(" failed at ")
	w.time(s.FailedAt)
	w.raw(" (")
	w.count(s.Failures, "attempt")
	w.raw("): ")
	w.text(s.Failure, maxEntry)
	w.raw(" · next attempt at ")
	w.time(s.NextAttempt)
	if !s.GivesUpAt.IsZero() {
		w.raw(", the last before ")
		w.time(s.GivesUpAt)
	}
	if s.Failures >= signals.RetriesReported {
		w.raw(" (the latest: `firebreak show`)")
	}
	w.end()
}
