package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// report is what was measured.
type report struct {
	sizes
	event, signal pair[latencies]
	throughput    pair[float64]
	histories     histories
}

// print writes the report as a table, each row with the bar it is held to.
func (r *report) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Firebreak beside a bare program of Temporal's SDK: webhook, one workflow, one activity of one HTTP request.\n")
	fmt.Fprintf(&b, "Same Temporal server, same simulated Sysdig, same process, in turns. %d samples of a latency, %s; %d bursts of %d incidents, %d at a time.\n\n",
		r.samples, r.pace(), bursts, r.incidents, r.senders)
	row := func(cells ...string) { writeRow(&b, cells...) }
	row("", "firebreak", "bare SDK", "ratio", "bar", "")
	for _, l := range []struct {
		name string
		of   pair[latencies]
	}{{"event to action", r.event}, {"signal to action", r.signal}} {
		for _, q := range []struct {
			name  string
			share float64
		}{{"p50", 0.50}, {"p95", 0.95}} {
			ours, floor := l.of.ours.quantile(q.share), l.of.floor.quantile(q.share)
			ratio, bar, verdict := float64(ours)/float64(floor), "", ""
			if q.name == "p95" {
				bar, verdict = "<= 1.25", met(ratio <= 1.25)
			}
			row(fmt.Sprintf("%s, %s (ms)", l.name, q.name), ms(ours), ms(floor), fmt.Sprintf("%.2f", ratio), bar, verdict)
		}
	}
	writeThroughput(&b, r.throughput)
	for _, h := range []struct {
		name        string
		of          pair[history]
		events, kib int64
	}{{"automatic", r.histories.automatic, 40, 64}, {"approved", r.histories.approved, 120, 256}} {
		row("history, "+h.name+" incident (events)", fmt.Sprint(h.of.ours.events), fmt.Sprint(h.of.floor.events),
			"", fmt.Sprintf("<= %d", h.events), met(h.of.ours.events <= h.events))
		row("history, "+h.name+" incident (KiB)", kib(h.of.ours.bytes), kib(h.of.floor.bytes),
			"", fmt.Sprintf("<= %d", h.kib), met(h.of.ours.bytes <= h.kib<<10))
	}
	fmt.Fprintf(&b, "\nEvery incident was completed, and every action was done exactly once.\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// writeThroughput writes the row of the incidents completed per second.
func writeThroughput(w io.Writer, done pair[float64]) {
	ratio := done.ours / done.floor
	writeRow(w, "automatic incidents completed (/s)", fmt.Sprintf("%.1f", done.ours), fmt.Sprintf("%.1f", done.floor),
		fmt.Sprintf("%.2f", ratio), ">= 0.80", met(ratio >= 0.80))
}

// writeRow writes a row of a report: name, ours, floor, ratio, bar and verdict,
// as many as there are.
func writeRow(w io.Writer, cells ...string) {
	widths := []string{"%-40s", " %10s", " %10s", " %7s", " %9s", "  %s"}
	var line strings.Builder
	for i, cell := range cells {
		fmt.Fprintf(&line, widths[i], cell)
	}
	fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
}

func (r *report) pace() string {
	if r.rate == 0 {
		return fmt.Sprintf("%d at a time without a pause", r.concurrency)
	}
	return fmt.Sprintf("%g/s, at most %d at a time", r.rate, r.concurrency)
}

func met(bar bool) string {
	if bar {
		return "met"
	}
	return "missed"
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

func kib(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/1024) }
