// Package notify tells people of incidents, through the services of shoutrrr. A
// message says what has changed, what is asked and which command answers it; it
// decides nothing, and a link in it opens Temporal Web. What came from events
// and people is shown as the text it is: see clean.go. Storms are collapsed: see
// batch.go. It never shows the URLs, which hold secrets.
package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// URL is a URL of shoutrrr, and where it is configured.
type URL struct {
	Name  string // as "notify.urls[0]"; it names the channel
	Value string
}

// Config is who is told. Durations that are zero, and Attempts, have their
// defaults.
type Config struct {
	URLs   []URL            // of every incident that Routes says nothing else of
	Routes map[string][]URL // instead, of the incidents of a route
	Groups map[string][]URL // besides, of requests that were escalated to a group
	// WebURL is the base URL of Temporal Web; "" puts no link into messages.
	WebURL    string
	Namespace string
	// Timeout bounds an attempt. Default: DefaultTimeout.
	Timeout time.Duration
	// Backoff are the waits between attempts; there is one more attempt than
	// waits. nil means DefaultBackoff.
	Backoff []time.Duration

	// post is the function post, or stands in for it in tests.
	post func(*target, types.Service, message) (types.Service, error)
}

// DefaultTimeout is as long as most services of shoutrrr wait for an answer.
const DefaultTimeout = 10 * time.Second

// DefaultBackoff is over before somebody who waits for an approval looks for
// another way.
func DefaultBackoff() []time.Duration { return []time.Duration{time.Second, 4 * time.Second} }

// ErrStopped is that a message was given up because whoever sent it stops; it was
// not sent.
var ErrStopped = errors.New("the worker stops")

// Sender sends notifications.
type Sender struct {
	cfg      Config
	channels map[string]*channel // by URL
	urls     []*channel
	routes   map[string][]*channel
	groups   map[string][]*channel
}

// New returns a sender. It checks every URL, and connects to nothing.
func New(cfg Config) (*Sender, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	if cfg.Backoff == nil {
		cfg.Backoff = DefaultBackoff()
	}
	if cfg.post == nil {
		cfg.post = post
	}
	s := &Sender{cfg: cfg, channels: map[string]*channel{}, routes: map[string][]*channel{}, groups: map[string][]*channel{}}
	var problems []error
	open := func(urls []URL) []*channel {
		var channels []*channel
		for _, u := range urls {
			c, err := s.channel(u)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", u.Name, err))
				continue
			}
			channels = append(channels, c)
		}
		return channels
	}
	s.urls = open(cfg.URLs)
	for _, route := range slices.Sorted(maps.Keys(cfg.Routes)) {
		s.routes[route] = open(cfg.Routes[route])
	}
	for _, group := range slices.Sorted(maps.Keys(cfg.Groups)) {
		s.groups[group] = open(cfg.Groups[group])
	}
	return s, errors.Join(problems...)
}

// channel is the channel of a URL: the same one wherever the URL is written, for
// all of its messages share one limit.
func (s *Sender) channel(u URL) (*channel, error) {
	if c := s.channels[u.Value]; c != nil {
		return c, nil
	}
	t, err := parse(u.Value)
	if err != nil {
		return nil, err
	}
	c := newChannel(u.Name, t, &s.cfg)
	s.channels[u.Value] = c
	return c, nil
}

// Channels is how many channels there are.
func (s *Sender) Channels() int { return len(s.channels) }

// to are the channels of a notification, each once.
func (s *Sender) to(n *Notification) []*channel {
	channels, own := s.routes[n.Route]
	if !own {
		channels = s.urls
	}
	channels = slices.Clone(channels)
	for _, group := range n.Groups {
		channels = append(channels, s.groups[group]...)
	}
	slices.SortFunc(channels, func(a, b *channel) int { return cmp.Compare(a.name, b.name) })
	return slices.Compact(channels)
}

// Result is what became of a notification on one channel.
type Result struct {
	// Channel is its name, where it is configured.
	Channel string
	// Failure says which service failed and why; "" means it was sent.
	Failure string
}

// Send sends a notification to its channels, but for those that skip names, and
// calls done with each result, one at a time. A channel that fails or hangs
// delays no other. When stop is closed, what is under way is still waited for,
// and what is not is given up with [ErrStopped]; when the context is done, Send
// returns at once.
func (s *Sender) Send(ctx context.Context, stop <-chan struct{}, n *Notification, skip func(channel string) bool, done func(Result)) error {
	gentle, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-gentle.Done():
		}
	}()
	var mu sync.Mutex
	var group sync.WaitGroup
	var failed error
	for _, c := range s.to(n) {
		if skip(c.name) {
			continue
		}
		group.Go(func() {
			err := c.notify(ctx, gentle, n)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)), errors.Is(err, ErrStopped):
				failed = err
			case err != nil:
				done(Result{Channel: c.name, Failure: err.Error()})
			default:
				done(Result{Channel: c.name})
			}
		})
	}
	group.Wait()
	return failed
}
