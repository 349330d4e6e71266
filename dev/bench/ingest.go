package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"firebreak/signals"
)

// ingestSizes are how much the webhook is sent.
type ingestSizes struct {
	events, copies     int
	rate               float64
	targets, perTarget int
	// paced and unpaced are how many copies and how many distinct events are on
	// their way at a time, at most.
	paced, unpaced int
}

func (z *ingestSizes) register(flags *pflag.FlagSet) {
	flags.IntVar(&z.events, "events", 10, "how many events copies are sent of, each of a target of its own")
	flags.IntVar(&z.copies, "copies", 1000, "how often each of these events is sent")
	flags.Float64Var(&z.rate, "rate", 1000, "copies sent per `second`")
	flags.IntVar(&z.paced, "concurrency", 64, "how many copies may be on their way at a time")
	flags.IntVar(&z.targets, "targets", 20, "how many targets the distinct events are of, two bursts of each program")
	flags.IntVar(&z.perTarget, "each", 100, "how many distinct events each of these targets has")
	flags.IntVar(&z.unpaced, "senders", 64, "how many distinct events are sent at a time")
}

func (z *ingestSizes) validate() error {
	failed := positive(map[string]int{
		"events": z.events, "copies": z.copies, "concurrency": z.paced, "targets": z.targets, "each": z.perTarget, "senders": z.unpaced,
	})
	if z.rate <= 0 {
		failed = errors.Join(failed, fmt.Errorf("--rate %g: want more than 0", z.rate))
	}
	return failed
}

// requests is how many copies are sent.
func (z *ingestSizes) requests() int { return z.events * z.copies }

// distinct is how many events a burst is.
func (z *ingestSizes) distinct() int { return z.targets * z.perTarget }

// ingest is the benchmark of the webhook under way.
type ingest struct {
	*bench
	ingestSizes
}

// measure runs the benchmark and prints its report, also when the events were
// not counted as they should be: the report shows by how much.
func (z *ingestSizes) measure(ctx context.Context, stdout, stderr io.Writer) error {
	return setUp(ctx, "", z.events+bursts*z.targets, bursts*z.distinct(), stderr, func(b *bench) error {
		b.senders = z.unpaced
		g := &ingest{bench: b, ingestSizes: *z}
		r := &ingestReport{ingestSizes: *z}
		if err := g.run(ctx, r); err != nil {
			return err
		}
		return errors.Join(r.print(stdout), r.wrong())
	})
}

func (g *ingest) run(ctx context.Context, r *ingestReport) (err error) {
	if err := g.sendCopies(ctx, r); err != nil {
		return fmt.Errorf("send copies: %w", err)
	}
	if r.copied, err = g.tallyAll(ctx, g.ours.told(), 1, signals.EventCount{Count: 1, Duplicates: g.copies - 1}); err != nil {
		return fmt.Errorf("count copies: %w", err)
	}
	if err := g.sendDistinct(ctx, r); err != nil {
		return fmt.Errorf("send distinct events: %w", err)
	}
	r.refused = g.refused.Load()
	r.incidents, err = g.count(ctx)
	return err
}

// sendCopies sends the copies of all events in turns, at a steady rate. A
// request that is sent late, because those before it are not answered, is
// measured from the time at which it was due: to stand in line is to wait, too.
func (g *ingest) sendCopies(ctx context.Context, r *ingestReport) error {
	bodies := make([][]byte, g.events)
	for i := range bodies {
		var err error
		if bodies[i], err = g.ours.take().event(ruleApproved, 0); err != nil {
			return err
		}
	}
	r.acknowledged = make(latencies, g.requests())
	interval := time.Duration(float64(time.Second) / g.rate)
	begin := time.Now()
	err := g.spread(ctx, g.paced, g.requests(), func(ctx context.Context, i int) error {
		due := begin.Add(time.Duration(i) * interval)
		if wait := time.Until(due); wait > 0 {
			if err := pause(ctx, wait); err != nil {
				return err
			}
		}
		err := g.ours.deliver(ctx, bodies[i%g.events], &g.refused)
		r.acknowledged[i] = time.Since(due)
		return err
	})
	r.copiesTook = time.Since(begin)
	return err
}

// sendDistinct sends bursts of distinct events to both programs, as fast as they
// are answered: to Firebreak the events of a few targets, to the bare program
// each of a target of its own, for it starts a workflow for every event.
func (g *ingest) sendDistinct(ctx context.Context, r *ingestReport) error {
	var took pair[time.Duration]
	err := g.turns(bursts, func(_ int, p *program) error {
		told := make([]target, g.targets)
		if p == g.floor {
			told = make([]target, g.distinct())
		}
		for i := range told {
			told[i] = p.take()
		}
		bodies := make([][]byte, g.distinct())
		for i := range bodies {
			var err error
			if bodies[i], err = told[i%len(told)].event(ruleApproved, i/len(told)); err != nil {
				return err
			}
		}
		begin := time.Now()
		if err := g.spread(ctx, g.unpaced, len(bodies), func(ctx context.Context, i int) error {
			return p.deliver(ctx, bodies[i], &g.refused)
		}); err != nil {
			return err
		}
		if p == g.floor {
			took.floor += time.Since(begin)
			// One after the other: to ask for all at once would keep the server busy.
			for _, t := range told {
				if err := g.idle(ctx, p.workflowID(t)); err != nil {
					return err
				}
			}
			return nil
		}
		took.ours += time.Since(begin)
		tallies, err := g.tallyAll(ctx, told, g.perTarget, signals.EventCount{Count: g.perTarget})
		r.distinctOnes = append(r.distinctOnes, tallies...)
		return err
	})
	all := float64(bursts * g.distinct())
	r.accepted = pair[float64]{all / took.ours.Seconds(), all / took.floor.Seconds()}
	return err
}

// spread calls f for 0 to n-1, in this order, some at a time.
func (g *ingest) spread(ctx context.Context, atATime, n int, f func(context.Context, int) error) error {
	var next atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	for range atATime {
		work.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}
