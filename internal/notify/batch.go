package notify

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// An attack opens hundreds of incidents in a minute, and nobody reads hundreds of
// messages. A channel gets this many at once, and then one in each interval; what
// has come meanwhile goes out together, in one message.
const (
	burst    = 10
	interval = time.Minute / burst
)

// batch is what waits to be sent on a channel. A goroutine sends it, which is
// there only while something waits.
type batch struct {
	limit *rate.Limiter

	mu      sync.Mutex
	waiting []*item // oldest first
	running bool
	failing bool // the last message could not be sent
}

func newBatch() batch { return batch{limit: rate.NewLimiter(rate.Every(interval), burst)} }

// item is a notification that waits.
type item struct {
	// ctx is done when nobody waits for another attempt to send it.
	ctx    context.Context
	n      *Notification
	since  time.Time
	result chan error
}

// notify sends a notification, alone or with others, and returns when that was
// sent or failed. Gentle is done when no further attempt is to begin.
func (c *channel) notify(ctx, gentle context.Context, n *Notification) error {
	it := &item{ctx: gentle, n: n, since: time.Now(), result: make(chan error, 1)}
	c.submit(it)
	select {
	case err := <-it.result:
		return err
	case <-gentle.Done():
	}
	if c.withdraw(it) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return ErrStopped
	}
	// It is being sent: what becomes of it decides whether it is sent again.
	select {
	case err := <-it.result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *channel) submit(it *item) {
	b := &c.batch
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, it)
	if !b.running {
		b.running = true
		go c.run()
	}
}

// withdraw takes a notification back, and reports whether it still waited.
func (c *channel) withdraw(it *item) bool {
	b := &c.batch
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, it)
	if i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
	return i >= 0
}

// run sends what waits, until nothing does.
func (c *channel) run() {
	for c.batch.more() {
		alone := c.batch.limit.Allow()
		if !alone {
			// It is a token of the limiter's that is waited for: that cannot fail.
			_ = c.batch.limit.Wait(context.Background())
		}
		items := c.batch.take(alone)
		if len(items) == 0 {
			continue // they were withdrawn
		}
		ctx, cancel := whileWanted(items)
		err := c.deliver(ctx, render(items, c.cfg))
		cancel()
		c.batch.sent(err)
		for _, it := range items {
			it.result <- err
		}
	}
}

// more reports whether something waits; if not, the next who comes starts run
// anew.
func (b *batch) more() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = len(b.waiting) > 0
	return b.running
}

func (b *batch) sent(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = err != nil
}

// take takes what goes into the next message: all that waits, or if it may the
// most urgent incident alone. A channel that fails, or is slower than messages
// come, gets them all.
func (b *batch) take(alone bool) []*item {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return nil
	}
	if !alone || b.failing || time.Since(b.waiting[0].since) >= interval {
		items := b.waiting
		b.waiting = nil
		return items
	}
	first := b.waiting[0]
	for _, it := range b.waiting[1:] {
		if urgency(it.n) < urgency(first.n) {
			first = it
		}
	}
	// All of the incident: an earlier message would tell of a state that is past.
	var items, left []*item
	for _, it := range b.waiting {
		if it.n.WorkflowID == first.n.WorkflowID {
			items = append(items, it)
		} else {
			left = append(left, it)
		}
	}
	b.waiting = left
	return items
}

// whileWanted is a context that is done when those of all items are.
func whileWanted(items []*item) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	var left atomic.Int64
	left.Store(int64(len(items)))
	stops := make([]func() bool, 0, len(items))
	for _, it := range items {
		stops = append(stops, context.AfterFunc(it.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
