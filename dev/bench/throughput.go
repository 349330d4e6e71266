package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// throughput is the incidents per second that both programs complete when events
// come as fast as the webhook takes them.
func (b *bench) throughput(ctx context.Context) (pair[float64], error) {
	var took pair[time.Duration]
	err := b.turns(bursts, func(_ int, p *program) error {
		begin := time.Now()
		if err := b.burst(ctx, p, b.incidents); err != nil {
			return err
		}
		if p == b.ours {
			took.ours += time.Since(begin)
		} else {
			took.floor += time.Since(begin)
		}
		return nil
	})
	all := float64(bursts * b.incidents)
	return pair[float64]{all / took.ours.Seconds(), all / took.floor.Seconds()}, err
}

// burst sends the events of many incidents, and returns when all are completed.
func (b *bench) burst(ctx context.Context, p *program, incidents int) error {
	work, sending := errgroup.WithContext(ctx)
	work.SetLimit(b.senders)
	for range incidents {
		work.Go(func() error {
			event, err := p.take().event(ruleAutomatic, 0)
			if err != nil {
				return err
			}
			return p.deliver(sending, event, &b.refused)
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return b.completed(ctx, p)
}
