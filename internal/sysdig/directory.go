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
	// failureAge is how long a failure is the answer: many incidents that retry
	// together make one request.
	failureAge = time.Second
)

// Directory answers from memory which agents of an account are connected, and to
// whom its token belongs. All incidents of a process share it.
//
// The list of agents is at most 30 seconds old. The first call after that reads it
// again, and all others wait for the same request. An agent that the list does not
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

// Agents returns the connected agents, at most 30 seconds old.
func (d *Directory) Agents(ctx context.Context) (*Agents, error) { return d.agents.get(ctx) }

// Owner returns the owner of the token, at most an hour old.
func (d *Directory) Owner(ctx context.Context) (*User, error) { return d.owner.get(ctx) }

// recent is a value that is loaded when it is needed and the last one is too old,
// by one request at a time.
type recent[T any] struct {
	age  time.Duration
	load func(context.Context) (T, error)

	flight singleflight.Group
	mu     sync.Mutex
	value  T
	err    error
	// until is when the value or the error is too old; zero before the first.
	until time.Time
}

// get returns the value. A caller whose context ends does not wait any longer; the
// request goes on for the others.
func (r *recent[T]) get(ctx context.Context) (T, error) {
	if value, err, fresh := r.held(); fresh {
		return value, err
	}
	done := r.flight.DoChan("", func() (any, error) {
		// The flight before this one may have landed meanwhile.
		if value, err, fresh := r.held(); fresh {
			return value, err
		}
		r.drop()
		begun := time.Now()
		value, err := r.load(context.WithoutCancel(ctx))
		r.keep(value, err, begun)
		return value, err
	})
	select {
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	case result := <-done:
		value, _ := result.Val.(T)
		return value, result.Err
	}
}

func (r *recent[T]) held() (value T, err error, fresh bool) { //nolint:revive // the error is a part of what is held
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value, r.err, time.Now().Before(r.until)
}

// drop lets go of a value that is too old, so that there are never two in memory.
func (r *recent[T]) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var none T
	r.value = none
}

func (r *recent[T]) keep(value T, err error, begun time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value, r.err, r.until = value, err, begun.Add(r.age)
	if err != nil {
		r.until = time.Now().Add(failureAge)
	}
}
