package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// maxHanging is how many attempts of one channel may hang at a time: services of
// shoutrrr cannot be interrupted, and some wait for ever. As many goroutines and
// connections are left behind at most; nothing is sent until one ends.
const maxHanging = 8

// Errors of attempts.
var (
	errTimeout = errors.New("no answer")
	errHanging = fmt.Errorf("%d earlier attempts still hang", maxHanging)
)

// message is what is sent. Link opens Temporal Web, or is empty. The text
// has it as well.
type message struct{ title, text, link string }

// channel is one URL that is told of incidents.
type channel struct {
	name   string
	target *target
	cfg    *Config
	// service is the one of shoutrrr, nil before it is needed and after it failed:
	// what it logged in with may not be good any more. Only the goroutine that
	// runs the channel touches it.
	service types.Service
	hanging chan struct{}
	batch   batch
}

func newChannel(name string, t *target, cfg *Config) *channel {
	return &channel{name: name, target: t, cfg: cfg, hanging: make(chan struct{}, maxHanging), batch: newBatch()}
}

// deliver sends a message, with as many attempts as are allowed. An error is
// fit to be shown. When the context is done, no further attempt begins.
func (c *channel) deliver(ctx context.Context, m message) error {
	for n := 0; ; n++ {
		err := c.attempt(m)
		if err == nil {
			return nil
		}
		if n >= len(c.cfg.Backoff) || errors.Is(err, errHanging) || permanent(err) {
			return fmt.Errorf("%s (%s): %s", c.target.label(), c.name, c.target.redact.clean(err.Error()))
		}
		select {
		case <-ctx.Done():
			return ErrStopped
		case <-time.After(max(c.cfg.Backoff[n], asksToWait(err))):
		}
	}
}

// asksToWait returns how long a service asks to be left alone; zero if it does not
// say.
func asksToWait(err error) time.Duration {
	var busy interface{ RetryAfter() time.Duration }
	if errors.As(err, &busy) {
		return busy.RetryAfter()
	}
	return 0
}

// attempt sends a message once, and stops to wait after the timeout: the message
// may still arrive.
func (c *channel) attempt(m message) error {
	select {
	case c.hanging <- struct{}{}:
	default:
		return errHanging
	}
	type outcome struct {
		service types.Service
		err     error
	}
	service := c.service
	answers := make(chan outcome, 1)
	go func() {
		defer func() { <-c.hanging }()
		err := safely(func() (err error) {
			service, err = c.cfg.post(c.target, service, m)
			return err
		})
		answers <- outcome{service, err}
	}()
	timer := time.NewTimer(c.cfg.Timeout)
	defer timer.Stop()
	select {
	case answer := <-answers:
		if c.service = answer.service; answer.err != nil {
			c.service = nil
		}
		return answer.err
	case <-timer.C:
		c.service = nil // that one is still in use
		return fmt.Errorf("%w within %s", errTimeout, c.cfg.Timeout)
	}
}
