package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"firebreak/signals"
)

// ackBar is how late the slowest but one in a hundred may be acknowledged.
const ackBar = 50 * time.Millisecond

// ingestReport is what was measured of the webhook.
type ingestReport struct {
	ingestSizes
	// acknowledged is how long each copy took, and copiesTook all of them.
	acknowledged latencies
	copiesTook   time.Duration
	// copied and distinctOnes are the incidents of both parts, and incidents how
	// many there are.
	copied, distinctOnes []tally
	incidents            int64
	// refused is how many requests of both parts were told to come again later.
	refused int64
	// accepted is how many distinct events were taken per second.
	accepted pair[float64]
}

// print writes the report as a table, each row with the bar it is held to.
func (r *ingestReport) print(w io.Writer) error {
	var b strings.Builder
	row := func(cells ...string) { writeRow(&b, cells...) }
	fmt.Fprintf(&b, "Firebreak's webhook, in one process with worker, Temporal server, senders and a bare program of Temporal's SDK,\n")
	fmt.Fprintf(&b, "which starts a workflow for every event. Every request holds one event.\n\n")

	fmt.Fprintf(&b, "%d copies of each of %d events, %g/s, at most %d at a time; measured from the time at which each was due.\n\n",
		r.copies, r.events, r.rate, r.paced)
	row("", "firebreak", "", "", "bar", "")
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50", 0.50}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1}} {
		took := r.acknowledged.quantile(q.share)
		cells := []string{fmt.Sprintf("acknowledged, %s (ms)", q.name), ms(took)}
		if q.name == "p99" {
			cells = append(cells, "", "", "<= "+ms(ackBar), met(took <= ackBar))
		}
		row(cells...)
	}
	row("from the first due to the last answer (s)", fmt.Sprintf("%.2f", r.copiesTook.Seconds()))
	r.tallies(row, r.copied, signals.EventCount{Count: 1, Duplicates: r.copies - 1})

	fmt.Fprintf(&b, "\n%d distinct events of each of %d targets, %d at a time without a pause; %d bursts of each program, in turns.\n\n",
		r.perTarget, r.targets, r.unpaced, bursts)
	row("", "firebreak", "bare SDK", "ratio", "bar", "")
	row("events accepted (/s)", fmt.Sprintf("%.0f", r.accepted.ours), fmt.Sprintf("%.0f", r.accepted.floor),
		fmt.Sprintf("%.2f", r.accepted.ours/r.accepted.floor))
	r.tallies(row, r.distinctOnes, signals.EventCount{Count: r.perTarget})

	fmt.Fprintf(&b, "\n")
	row("answers other than 202", fmt.Sprint(r.refused), "", "", "= 0", met(r.refused == 0))
	row("incidents in all", fmt.Sprint(r.incidents), "", "", fmt.Sprintf("= %d", r.wanted()), met(r.incidents == r.wanted()))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// tallies writes what the incidents of a part counted.
func (r *ingestReport) tallies(row func(...string), all []tally, want signals.EventCount) {
	exact := func(name string, want int, of func(tally) int) {
		least, most := span(all, of)
		got := fmt.Sprint(least)
		if most != least {
			got += ".." + fmt.Sprint(most)
		}
		row(name, got, "", "", fmt.Sprintf("= %d", want), met(least == want && most == want))
	}
	exact("events counted by each incident", want.Count, func(t tally) int { return t.events.Count })
	exact("duplicates counted by each incident", want.Duplicates, func(t tally) int { return t.events.Duplicates })
	exact("event IDs sent that its histories lack", 0, func(t tally) int { return t.lacking })
	exact("event IDs in them that were not sent", 0, func(t tally) int { return t.foreign })
	least, most := span(all, func(t tally) int { return t.signals })
	row("signals that each incident took", fmt.Sprintf("%d..%d", least, most))
}

// wanted is how many incidents the events should have become.
func (r *ingestReport) wanted() int64 { return int64(r.events + bursts*r.targets) }

// wrong is every way in which events were not counted exactly once.
func (r *ingestReport) wrong() error {
	var failed error
	for _, t := range slices.Concat(r.copied, r.distinctOnes) {
		failed = errors.Join(failed, t.wrong(r.refused))
	}
	if r.incidents != r.wanted() {
		failed = errors.Join(failed, fmt.Errorf("there are %d incidents: want %d", r.incidents, r.wanted()))
	}
	return failed
}

// span is the least and the most of something of each incident.
func span(all []tally, of func(tally) int) (least, most int) {
	values := make([]int, len(all))
	for i, t := range all {
		values[i] = of(t)
	}
	return slices.Min(values), slices.Max(values)
}
