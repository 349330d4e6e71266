package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"firebreak/signals"
)

// settle is how long the server is left alone between the opening of incidents
// and their approval.
const settle = 250 * time.Millisecond

// latencies are measured times, in no order.
type latencies []time.Duration

// quantile is the smallest latency that a share of all is not above.
func (l latencies) quantile(share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(l))
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

// latency measures something of both programs, in turns.
func (b *bench) latency(ctx context.Context, sample func(context.Context, *program, int) (latencies, error)) (pair[latencies], error) {
	var all pair[latencies]
	blocks := (b.samples + block - 1) / block
	err := b.turns(1+blocks, func(round int, p *program) error {
		n := warmUp
		if round > 0 {
			n = min(block, b.samples-(round-1)*block)
		}
		measured, err := sample(ctx, p, n)
		switch {
		case err != nil:
			return err
		case round == 0:
			// That was the warm-up.
		case p == b.ours:
			all.ours = append(all.ours, measured...)
		default:
			all.floor = append(all.floor, measured...)
		}
		// What is left to do must not hold up the other.
		return b.completed(ctx, p)
	})
	return all, err
}

// eventToAction measures from the moment at which an event is sent to the
// webhook to that at which the request for its action reaches Sysdig.
func (b *bench) eventToAction(ctx context.Context, p *program, n int) (latencies, error) {
	return b.each(ctx, n, func(ctx context.Context) (time.Duration, error) {
		t := p.take()
		event, err := t.event(ruleAutomatic, 0)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		if err := p.send(ctx, event); err != nil {
			return 0, err
		}
		at, err := b.arrivals.wait(ctx, t.container)
		return at.Sub(begin), err
	})
}

// signalToAction opens incidents that wait for an approval, and measures from
// the moment at which the approval is sent to that at which the request for the
// action reaches Sysdig.
func (b *bench) signalToAction(ctx context.Context, p *program, n int) (latencies, error) {
	waiting := make([]target, n)
	for i := range waiting {
		waiting[i] = p.take()
		event, err := waiting[i].event(ruleApproved, 0)
		if err != nil {
			return nil, err
		}
		if err := p.send(ctx, event); err != nil {
			return nil, err
		}
	}
	for _, t := range waiting {
		if err := b.idle(ctx, p.workflowID(t)); err != nil {
			return nil, err
		}
	}
	// An approval comes minutes later: by then the server has done, too, what it
	// does for an opened workflow in the background.
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	next := make(chan target, n)
	for _, t := range waiting {
		next <- t
	}
	return b.each(ctx, n, func(ctx context.Context) (time.Duration, error) {
		t := <-next
		begin := time.Now()
		if err := b.stack.Client.SignalWorkflow(ctx, p.workflowID(t), "", signals.Approve, signals.Decision{Analyst: "bench", Reason: "measured"}); err != nil {
			return 0, fmt.Errorf("approve %s: %w", p.workflowID(t), err)
		}
		at, err := b.arrivals.wait(ctx, t.container)
		return at.Sub(begin), err
	})
}

// each takes n samples, some at a time, at the rate that both programs get: one
// that is done sooner must not get more work for it.
func (b *bench) each(ctx context.Context, n int, sample func(context.Context) (time.Duration, error)) (latencies, error) {
	var interval time.Duration
	if b.rate > 0 {
		interval = time.Duration(float64(time.Second) / b.rate)
	}
	var mu sync.Mutex
	var all latencies
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(b.concurrency)
	begin := time.Now()
	for i := range n {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(begin.Add(time.Duration(i) * interval))):
		}
		work.Go(func() error {
			took, err := sample(ctx)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took)
			return err
		})
	}
	return all, work.Wait()
}
