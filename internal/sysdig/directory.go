package sysdig

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// agentsAge is how old the list of agents may be. Sysdig is asked for it at most
	// once in this time, however many incidents need it.
	agentsAge = 30 * time.Second
	// ownerAge is how old the owner of the token may be: it does not change.
	ownerAge = time.Hour
	// renewal is how long an old value is the answer while a new one is loaded.
	renewal = 10 * time.Second
	// failureAge is how long a failure is the answer: many incidents that retry
	// together make one request.
	failureAge = time.Second
)

// Directory answers from memory which agents of an account are connected, and which
// user owns its token. All incidents of a process share it.
//
// The list of agents is at most 30 seconds old, and while it is read again a little
// older. If it was not used in this time, the next call reads it again, and all
// others wait for the same request. An agent that the list does not
// have is not looked for before the list may be read again: an incident does not
// wait for that, an analyst can be asked at once.
type Directory struct {
	agents recent[*Agents]
	owner  recent[*User]
}

func newDirectory(c *Client) *Directory {
	d := &Directory{}
	d.agents.age, d.owner.age = agentsAge, ownerAge
	d.agents.load = func(ctx context.Context) (*Agents, error) {
		var p agentPacker
		if err := c.eachAgent(ctx, p.add); err != nil {
			return nil, err
		}
		return p.pack(), nil
	}
	d.owner.load = c.Me
	return d
}

// Directory returns the account's directory.
func (c *Client) Directory() *Directory { return c.directory }

// Agents returns the connected agents.
func (d *Directory) Agents(ctx context.Context) (*Agents, error) { return d.agents.get(ctx) }

// Owner returns the owner of the token.
func (d *Directory) Owner(ctx context.Context) (*User, error) { return d.owner.get(ctx) }

// recent is a value that is loaded when it is needed and the last one is too old,
// by one request at a time. While it is in use it is loaded again as soon as it is
// too old, and the old one is the answer meanwhile: no caller waits but the first.
type recent[T any] struct {
	age  time.Duration
	load func(context.Context) (T, error)

	flight singleflight.Group
	mu     sync.Mutex
	value  T
	err    error
	// begun is when the last request was made, and until when its value or error is
	// no answer any more; zero before the first.
	begun, until time.Time
	// used says that the value was the answer since it was loaded.
	used bool
}

// get returns the value. A caller whose context ends does not wait any longer; the
// request goes on for the others.
func (r *recent[T]) get(ctx context.Context) (T, error) {
	if value, err, held := r.held(); held {
		return value, err
	}
	select {
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	case result := <-r.request(ctx):
		value, _ := result.Val.(T)
		return value, result.Err
	}
}

// request loads the value, unless that is under way or has just been done.
func (r *recent[T]) request(ctx context.Context) <-chan singleflight.Result {
	return r.flight.DoChan("", func() (any, error) {
		r.mu.Lock()
		begun := r.begun
		r.mu.Unlock()
		if value, err, held := r.held(); held && (err != nil || time.Since(begun) < r.age) {
			return value, err
		}
		begun = time.Now()
		value, err := r.load(context.WithoutCancel(ctx))
		r.keep(value, err, begun)
		return value, err
	})
}

// held is the answer from memory, if there is one.
func (r *recent[T]) held() (value T, err error, held bool) { //nolint:revive // the error is a part of what is held
	r.mu.Lock()
	defer r.mu.Unlock()
	held = time.Now().Before(r.until)
	r.used = r.used || held
	return r.value, r.err, held
}

func (r *recent[T]) keep(value T, err error, begun time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value, r.err, r.begun, r.used = value, err, begun, false
	if err != nil {
		r.until = time.Now().Add(failureAge)
		return
	}
	r.until = begun.Add(r.age + renewal)
	time.AfterFunc(time.Until(begun.Add(r.age)), r.renew)
}

// renew loads a value again that is too old, or lets go of it if it was not used.
func (r *recent[T]) renew() {
	r.mu.Lock()
	used := r.used
	if !used {
		var none T
		r.value, r.until = none, time.Time{}
	}
	r.mu.Unlock()
	if used {
		r.request(context.Background())
	}
}
