package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"firebreak/dev/internal/stack"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

const (
	// warmUp is how many latencies are measured for nothing, so that connections
	// and caches are there.
	warmUp = 20
	// block is how many latencies of one program are measured before it is the
	// other's turn.
	block = 10
	// bursts is how many bursts of incidents each program gets.
	bursts = 2
	// patience bounds every wait: what does not move for this long has failed.
	patience = time.Minute
)

// routes are told apart by the events' rules.
const routes = `
  - {name: automatic, when: incident.rule.name == "` + ruleAutomatic + `", playbook: crypto-miner, approval: {mode: none}, cool_down: 0s}
  - {name: approved, when: incident.rule.name == "` + ruleApproved + `", playbook: crypto-miner, approval: {mode: one, expire_after: 24h}, cool_down: 0s}
`

// production undoes what the embedded server has for convenience and what would
// hide the difference between the programs.
func production() map[string]any {
	return map[string]any{
		// No search attributes are registered while it runs.
		"system.forceSearchAttributesCacheRefreshOnRead": false,
	}
}

// bench is the benchmark under way.
type bench struct {
	sizes
	stack    *stack.Stack
	arrivals *arrivals
	// ours is Firebreak, floor the bare program beside it.
	ours, floor *program
	// refused is how many requests were told to come again later.
	refused atomic.Int64
}

// measure runs the benchmark and prints its report.
func (z *sizes) measure(ctx context.Context, stdout, stderr io.Writer) error {
	return setUp(ctx, "", z.containers(), z.containers(), stderr, func(b *bench) error {
		b.sizes = *z
		r, err := b.run(ctx)
		if err != nil {
			return err
		}
		return r.print(stdout)
	})
}

// setUp runs both programs on the Temporal at an address, or on an embedded one if
// there is none, each with as many containers of its own to kill, until f returns.
func setUp(ctx context.Context, temporal string, ours, floor int, stderr io.Writer, f func(*bench) error) (err error) {
	dir, err := os.MkdirTemp("", "firebreak-bench-")
	if err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	// The server's own workers complain of one another when it stops: warnings
	// are no news.
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	b := &bench{arrivals: newArrivals()}
	ourHosts, floorHosts := hosts("firebreak", ours), hosts("floor", floor)
	b.stack, err = stack.Start(ctx, stack.Options{
		Dir: dir, Address: temporal, Headless: true, DynamicConfig: production(), Routes: routes, Logger: logger, Wrap: b.arrivals.wrap,
		Sysdig: sysdigtest.Options{Hosts: append(ourHosts, floorHosts...), Step: time.Millisecond, RateLimit: sysdigtest.Unlimited},
	})
	if err != nil {
		return fmt.Errorf("start firebreak: %w", err)
	}
	defer func() { err = errors.Join(err, b.stack.Stop()) }()
	bare, err := startFloor(ctx, b.stack.Address, b.stack.Sysdig.Config(), logger)
	if err != nil {
		return fmt.Errorf("start the bare program: %w", err)
	}
	defer func() { err = errors.Join(err, bare.stop()) }()

	b.ours = newProgram(signals.TaskQueue, "crypto-miner", b.stack.StarterURL+"/v1/events/"+stack.Source, targets(ourHosts))
	b.floor = newProgram(floorQueue, floorQueue, bare.url, targets(floorHosts))
	return f(b)
}

// run measures everything, and checks what was done.
func (b *bench) run(ctx context.Context) (*report, error) {
	r := &report{sizes: b.sizes}
	var err error
	if r.event, err = b.latency(ctx, b.eventToAction); err != nil {
		return nil, fmt.Errorf("measure event-to-action: %w", err)
	}
	if r.signal, err = b.latency(ctx, b.signalToAction); err != nil {
		return nil, fmt.Errorf("measure signal-to-action: %w", err)
	}
	if r.throughput, err = b.throughput(ctx); err != nil {
		return nil, fmt.Errorf("measure throughput: %w", err)
	}
	if r.histories, err = b.check(ctx); err != nil {
		return nil, fmt.Errorf("check what was done: %w", err)
	}
	return r, nil
}

// pair is something of both programs.
type pair[T any] struct{ ours, floor T }

// turns calls f for each program in each round, and lets the one begin that was
// last before.
func (b *bench) turns(rounds int, f func(round int, p *program) error) error {
	order := [2]*program{b.ours, b.floor}
	for i := range rounds {
		for j := range order {
			if err := f(i, order[(i+j)%2]); err != nil {
				return err
			}
		}
	}
	return nil
}
