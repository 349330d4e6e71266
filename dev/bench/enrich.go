package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"firebreak/dev/internal/resident"
	"firebreak/dev/internal/stack"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// What the list of connected agents may cost.
const (
	agentsBar  = 16 << 20
	latencyBar = 1.25
	// listEvery is the shortest time between two requests for the list.
	listEvery = 30 * time.Second
	// fewAgents is the account that the large one is compared with.
	fewAgents = 20
)

// enrichSizes are how many incidents lack their host's ID, and among how many agents
// it is found.
type enrichSizes struct {
	binary                 string
	incidents, concurrency int
	agents                 int
	rate                   float64
	rest                   time.Duration
}

func (z *enrichSizes) register(flags *pflag.FlagSet) {
	flags.StringVar(&z.binary, "firebreak", "", "the program that is measured: a `FILE`")
	flags.IntVar(&z.incidents, "incidents", 500, "how many incidents lack their host's ID")
	flags.IntVar(&z.concurrency, "concurrency", 8, "how many incidents are measured at a time")
	flags.Float64Var(&z.rate, "rate", 10, "incidents opened per `second` at most; 0 is as many as possible")
	flags.IntVar(&z.agents, "agents", 20_000, fmt.Sprintf("how many agents are connected, beside an account with %d", fewAgents))
	flags.DurationVar(&z.rest, "rest", 5*time.Second, "how long the worker is left alone before a look at its memory")
}

func (z *enrichSizes) validate() error {
	failed := positive(map[string]int{"incidents": z.incidents, "concurrency": z.concurrency})
	if z.rate < 0 {
		failed = errors.Join(failed, fmt.Errorf("--rate %g: must be 0 or more", z.rate))
	}
	if z.agents < fewAgents {
		failed = errors.Join(failed, fmt.Errorf("--agents %d: must be %d or more", z.agents, fewAgents))
	}
	if _, err := os.Stat(z.binary); err != nil {
		failed = errors.Join(failed, fmt.Errorf("--firebreak %q: %w", z.binary, err))
	}
	return failed
}

// enrichment is what was measured with one account.
type enrichment struct {
	latencies      latencies
	lists          int
	took           time.Duration
	resident, peak int64
}

// enrichReport compares a small account with a large one.
type enrichReport struct {
	enrichSizes
	few, many enrichment
}

// measure handles the same incidents with a small and with a large account.
func (z *enrichSizes) measure(ctx context.Context, stdout, stderr io.Writer) error {
	r := enrichReport{enrichSizes: *z}
	for _, of := range []struct {
		agents int
		into   *enrichment
	}{{fewAgents, &r.few}, {z.agents, &r.many}} {
		var err error
		if *of.into, err = z.with(ctx, of.agents, stderr); err != nil {
			return fmt.Errorf("with %d agents: %w", of.agents, err)
		}
	}
	return r.print(stdout)
}

// with handles the incidents with a number of connected agents.
func (z *enrichSizes) with(ctx context.Context, agents int, stderr io.Writer) (_ enrichment, err error) {
	dir, err := os.MkdirTemp("", "firebreak-bench-")
	if err != nil {
		return enrichment{}, fmt.Errorf("create folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	hosts := connected(agents, z.incidents)
	b := &bench{sizes: sizes{concurrency: z.concurrency, rate: z.rate}, arrivals: newArrivals()}
	b.stack, err = stack.Start(ctx, stack.Options{
		Dir: dir, Headless: true, WorkerApart: true, DynamicConfig: production(), Routes: routes, Logger: logger, Wrap: b.arrivals.wrap,
		Sysdig: sysdigtest.Options{Hosts: hosts, Step: time.Millisecond, RateLimit: sysdigtest.Unlimited},
	})
	if err != nil {
		return enrichment{}, fmt.Errorf("start firebreak: %w", err)
	}
	defer func() { err = errors.Join(err, b.stack.Stop()) }()
	b.ours = newProgram(signals.TaskQueue, "crypto-miner", b.stack.StarterURL+"/v1/events/"+stack.Source, withoutHostID(targets(hosts)))
	m := &memory{memorySizes: memorySizes{binary: z.binary, rest: z.rest}, stack: b.stack, stderr: stderr}
	w, err := m.startWorker(ctx)
	if err != nil {
		return enrichment{}, err
	}
	defer func() { err = errors.Join(err, w.kill()) }()
	return z.handle(ctx, b, m, w)
}

// handle opens the incidents and measures.
func (z *enrichSizes) handle(ctx context.Context, b *bench, m *memory, w *workerProcess) (e enrichment, err error) {
	begun := time.Now()
	if e.latencies, err = b.eventToAction(ctx, b.ours, z.incidents); err != nil {
		return e, err
	}
	e.took = time.Since(begun)
	if err := b.completed(ctx, b.ours); err != nil {
		return e, err
	}
	e.lists = b.stack.Sysdig.Requests(http.MethodGet, "/api/agents/connected")
	if err := once(b.ours.told(), b.arrivals.counts(), b.stack.Sysdig.Ledger()); err != nil {
		return e, err
	}
	if e.resident, err = m.resident(ctx, w); err == nil {
		e.peak, err = resident.Peak(w.cmd.Process.Pid)
	}
	return e, err
}

// connected are simulated hosts, the first of which run the containers of the
// incidents. Each entry of Sysdig's list has about 1 KiB.
func connected(agents, incidents int) []sysdigtest.Host {
	all := make([]sysdigtest.Host, agents)
	attributes := map[string]string{"note": strings.Repeat("attributes of the real list ", 25)}
	for n := range all {
		name := fmt.Sprintf("ip-10-%d-%d-%d.us-west-2.compute.internal", n>>16, n>>8&255, n&255)
		all[n] = sysdigtest.Host{
			Name: name, ID: digest(name), MAC: fmt.Sprintf("42:01:0a:%02x:%02x:%02x", n>>16, n>>8&255, n&255), AgentID: int64(1000 + n),
			Cluster: fmt.Sprintf("cluster-%d", n%20), Attributes: attributes,
		}
	}
	for n := range incidents {
		host := &all[n%fewAgents]
		host.Containers = append(host.Containers, digest(fmt.Sprint(host.Name, "/", n))[:12])
	}
	return all
}

// withoutHostID are targets whose events lack the host's ID, as those of Sysdig's
// event forwarder do: only the list of agents has it.
func withoutHostID(all []target) []target {
	for i := range all {
		all[i].hostID = ""
	}
	return all
}

// mostLists is how often the list may be asked for in a time.
func mostLists(took time.Duration) int { return int(math.Ceil(float64(took) / float64(listEvery))) }

// print writes the report as a table, each row with the bar it is held to.
func (r *enrichReport) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d incidents that lack host.id, %d at a time, with %d and with %d connected agents.\n\n", r.incidents, r.concurrency, fewAgents, r.agents)
	fmt.Fprintf(&b, "%-46s %10s %10s %10s %9s\n", "", fmt.Sprintf("%d", fewAgents), fmt.Sprintf("%d", r.agents), "", "bar")
	row := func(name, few, many, compared, bar string, verdict string) {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%-46s %10s %10s %10s %9s  %s", name, few, many, compared, bar, verdict), " "))
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
	p95 := func(e enrichment) time.Duration { return e.latencies.quantile(0.95) }
	row("event to action, p50 (ms)", ms(r.few.latencies.quantile(0.5)), ms(r.many.latencies.quantile(0.5)), "", "", "")
	ratio := float64(p95(r.many)) / float64(p95(r.few))
	row("event to action, p95 (ms), ratio", ms(p95(r.few)), ms(p95(r.many)), fmt.Sprintf("%.2f", ratio), fmt.Sprintf("<= %.2f", latencyBar), met(ratio <= latencyBar))
	row("took (s)", fmt.Sprintf("%.0f", r.few.took.Seconds()), fmt.Sprintf("%.0f", r.many.took.Seconds()), "", "", "")
	row("requests for the list of agents", fmt.Sprint(r.few.lists), fmt.Sprint(r.many.lists), "", fmt.Sprintf("<= %d", mostLists(r.many.took)), met(r.many.lists <= mostLists(r.many.took)))
	growth := r.many.resident - r.few.resident
	row("worker, resident at rest (MiB), difference", fmt.Sprintf("%.1f", mib(r.few.resident)), fmt.Sprintf("%.1f", mib(r.many.resident)),
		fmt.Sprintf("%.1f", mib(growth)), fmt.Sprintf("<= %.0f", mib(agentsBar)), met(growth <= agentsBar))
	row("  the most until then (MiB)", fmt.Sprintf("%.1f", mib(r.few.peak)), fmt.Sprintf("%.1f", mib(r.many.peak)), fmt.Sprintf("%.1f", mib(r.many.peak-r.few.peak)), "", "")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}
