package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// doomed is a process that is killed again and again, and started again after a
// pause, where it was.
type doomed struct {
	name string
	// process is the one that runs, or the last one that did.
	process *process
	launch  func() (*process, error)
	// up is how long it runs, if it is not killed in turn with others, and down how
	// long it is gone at most.
	up   span
	down time.Duration
	// supervised says that it may end by itself, and is started again then: falls
	// counts how often.
	supervised bool
	falls      int
	// kills counts the kills.
	kills int
	mu    sync.Mutex
}

// span is a time between two.
type span struct{ least, most time.Duration }

func (s span) moment(r *rand.Rand) time.Duration { return s.least + moment(r, s.most-s.least) }

// processes starts the starters and workers, and returns them with Temporal's.
func (c *chaos) processes() []*doomed {
	c.t.Helper()
	dir := c.t.TempDir()
	all := c.stage.processes
	for n := range c.stage.starters {
		all = append(all, c.doomedStarter(dir, numbered("starter", n, c.stage.starters)))
	}
	for n := range c.stage.workers {
		worker := func() (*process, error) {
			return launch(dir, "worker", c.envOf("worker"), firebreak(), c.workerArgs()...)
		}
		all = append(all, &doomed{
			name: numbered("worker", n, c.stage.workers), process: c.worker(), launch: worker,
			up: span{time.Second, 12 * time.Second}, down: 2 * time.Second,
		})
	}
	c.t.Cleanup(func() {
		for _, d := range all {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.process.kill()
			if c.t.Failed() {
				c.t.Logf("the end of the output of the last %s:\n%s", d.name, d.process.tail())
			}
		}
	})
	return all
}

// numbered is the name of the n-th of several.
func numbered(name string, n, of int) string {
	if of == 1 {
		return name
	}
	return fmt.Sprint(name, " ", n+1)
}

// doomedStarter starts a starter, to which senders send from now on, beside those
// there are.
func (c *chaos) doomedStarter(dir, name string) *doomed {
	c.t.Helper()
	if c.journal {
		c.installation.journal() // of its own
	}
	if c.starterURL != "" {
		c.otherStarters = append(c.otherStarters, c.starterURL)
	}
	c.starter()
	c.awaitReady()
	listen, err := url.Parse(c.starterURL)
	require.NoError(c.t, err)
	command := c.starterCommand(listen.Host)
	return &doomed{name: name, process: c.starterProc, up: span{time.Second, 7 * time.Second}, down: time.Second, launch: func() (*process, error) {
		return launch(dir, "starter", slices.Concat(c.envOf("starter"), c.starterEnv), firebreak(), command...)
	}}
}

// haunt kills a process again and again until the context ends, and leaves it
// running.
func (c *chaos) haunt(ctx context.Context, d *doomed) {
	random := c.random(d.name)
	for pause(ctx, d.up.moment(random)) == nil && c.replace(ctx, d, moment(random, d.down)) {
	}
}

// turns kills one process after the other, in another order each round, until the
// context, which is to last that long, has ended and each was killed. There is no
// haste where there is time: what is back is to get something done.
func (c *chaos) turns(ctx context.Context, long time.Duration) {
	random := c.random("turns")
	between := min(long/time.Duration(len(c.doomed)), 5*time.Second)
	for first := true; first || ctx.Err() == nil; first = false {
		for _, i := range random.Perm(len(c.doomed)) {
			d := c.doomed[i]
			_ = pause(c.ctx, moment(random, between)) // the test ends anyway then
			c.replace(c.ctx, d, moment(random, d.down))
		}
	}
}

// replace kills a process and starts it again after a pause. It reports whether
// that was possible.
func (c *chaos) replace(ctx context.Context, d *doomed, down time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.alive(d) {
		d.kills++
	}
	d.process.kill()
	_ = pause(ctx, down) // it is started again in any case
	return c.renew(d)
}

// renew starts a process that has ended.
func (c *chaos) renew(d *doomed) bool {
	next, err := d.launch()
	if err != nil {
		c.violated("%s cannot be started: %s", d.name, err)
		return false
	}
	d.process = next
	return true
}

// supervise starts a process again whenever it has ended by itself, as whatever
// runs servers does, until the context ends.
func (c *chaos) supervise(ctx context.Context, d *doomed) {
	for pause(ctx, time.Second) == nil {
		d.mu.Lock()
		select {
		case <-d.process.ended:
			d.falls++
			c.renew(d)
		default:
		}
		d.mu.Unlock()
	}
}

// alive reports whether a process runs that nobody has killed. Somebody else may
// have taken its port meanwhile, which is nobody's fault.
func (c *chaos) alive(d *doomed) bool {
	select {
	case <-d.process.ended:
		if end := d.process.tail(); !d.supervised && !strings.Contains(end, "address already in use") {
			c.violated("%s ended by itself: %s", d.name, end)
		}
		return false
	default:
		return true
	}
}
