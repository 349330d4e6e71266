package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// report prints what happened.
func (c *chaos) report(took time.Duration) {
	w := c.t.Output()
	journal := "without a journal"
	if c.journal {
		journal = "with a journal"
	}
	fmt.Fprintf(w, "\nChaos of %d incidents, --seed %d, %s: all over after %s, %s after the last failure.\n\n",
		len(c.victims), c.seed, journal, took.Round(100*time.Millisecond), c.settled.Round(100*time.Millisecond))

	table(w, func(row func(...any)) {
		row("killed", "times", "ended by itself")
		for _, d := range c.doomed {
			row(d.name, d.kills, d.falls)
		}
	})
	c.backend.mu.Lock()
	defer c.backend.mu.Unlock()
	table(w, func(row func(...any)) {
		names := []any{"request to Sysdig", "asked"}
		for _, m := range mishaps() {
			names = append(names, m.name)
		}
		row(names...)
		for _, endpoint := range slices.Sorted(maps.Keys(c.backend.asked)) {
			cells := []any{endpoint, c.backend.asked[endpoint]}
			for _, m := range mishaps() {
				cells = append(cells, c.backend.failed[endpoint][m.name])
			}
			row(cells...)
		}
	})
	outcomes := []signals.State{signals.Contained, signals.Captured, signals.Rejected, signals.Failed, signals.Ambiguous, signals.Expired, ""}
	ended := map[string]map[signals.State]int{}
	adopted, again, amended, repeats, events := 0, 0, 0, 0, 0
	for _, v := range c.victims {
		events += v.events
		var outcome signals.State
		if v.page != nil {
			outcome = v.page.Outcome
			repeats += v.page.Events.Duplicates
			for _, e := range v.page.WarRoom {
				if e.Kind == signals.KindAction && strings.HasSuffix(e.Text, "adopted") {
					adopted++
				}
				if e.Kind == signals.KindRequest && strings.HasPrefix(e.Text, "try again") {
					again++
				}
				if e.Kind == signals.KindRequest && strings.HasPrefix(e.Text, "fields are missing") {
					amended++
				}
			}
		}
		if ended[v.name] == nil {
			ended[v.name] = map[signals.State]int{}
		}
		ended[v.name][outcome]++
	}
	table(w, func(row func(...any)) {
		names := []any{"incident"}
		for _, outcome := range outcomes[:len(outcomes)-1] {
			names = append(names, outcome)
		}
		row(append(names, "open")...)
		for _, p := range plots() {
			cells := []any{p.name}
			for _, outcome := range outcomes {
				cells = append(cells, ended[p.name][outcome])
			}
			row(cells...)
		}
	})
	actions := c.sysdig.Ledger().Count(func(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Action })
	fmt.Fprintf(w, "%d actions took %d submissions; %d were adopted by a later attempt.\nAnalysts were asked %d times to try again after a failure, and %d times for missing fields.\n",
		actions, c.backend.asked["submit"], adopted, again, amended)
	fmt.Fprintf(w, "%d events; the starter did not take %d deliveries, and the incidents counted %d repeated events.\n", events, c.refused, repeats)
	fmt.Fprintf(w, "%d violations.\n", len(c.violations))
	for _, v := range c.violations {
		fmt.Fprintln(w, "--seed", c.seed, v)
	}
}

// table writes aligned columns.
func table(w io.Writer, write func(row func(cells ...any))) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	write(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	})
	_ = t.Flush() // what is printed is all there is
	fmt.Fprintln(w)
}
