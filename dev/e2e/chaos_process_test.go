package e2e_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
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
	// up is how long it runs, and down how long it is gone at most.
	up   span
	down time.Duration
	// kills counts the kills.
	kills int
}

// span is a time between two.
type span struct{ least, most time.Duration }

func (s span) moment(r *rand.Rand) time.Duration { return s.least + moment(r, s.most-s.least) }

// processes starts two workers, and returns them with what runs already.
func (c *chaos) processes() []*doomed {
	c.t.Helper()
	dir := c.t.TempDir()
	listen, err := url.Parse(c.starterURL)
	require.NoError(c.t, err)
	_, port, err := net.SplitHostPort(c.temporal.address)
	require.NoError(c.t, err)
	starter := func() (*process, error) {
		env := slices.Concat(c.envOf("starter"), c.starterEnv)
		return launch(dir, "starter", env, firebreak(), c.starterCommand(listen.Host)...)
	}
	temporal := func() (*process, error) { return c.temporal.launch(port) }
	worker := func() (*process, error) {
		return launch(dir, "worker", c.envOf("worker"), firebreak(), c.workerArgs()...)
	}
	all := []*doomed{
		// A server is up long enough to get something done, and sometimes gone for
		// longer than a heartbeat may take: then an attempt goes on beside the next.
		{name: "temporal", process: c.temporal.process, launch: temporal, up: span{4 * time.Second, 10 * time.Second}, down: 12 * time.Second},
		{name: "starter", process: c.starterProc, launch: starter, up: span{time.Second, 7 * time.Second}, down: time.Second},
		{name: "worker 1", process: c.worker(), launch: worker, up: span{time.Second, 12 * time.Second}, down: 2 * time.Second},
		{name: "worker 2", process: c.worker(), launch: worker, up: span{time.Second, 12 * time.Second}, down: 2 * time.Second},
	}
	c.t.Cleanup(func() {
		for _, d := range all {
			d.process.kill()
			if c.t.Failed() {
				c.t.Logf("the end of the output of the last %s:\n%s", d.name, d.process.tail())
			}
		}
	})
	return all
}

// haunt kills a process again and again until the context ends, and leaves it
// running.
func (c *chaos) haunt(ctx context.Context, d *doomed) {
	random := c.random(d.name)
	for pause(ctx, d.up.moment(random)) == nil {
		if c.alive(d) {
			d.kills++
		}
		d.process.kill()
		_ = pause(ctx, moment(random, d.down)) // it is started again in any case
		next, err := d.launch()
		if err != nil {
			c.violated("%s cannot be started: %s", d.name, err)
			return
		}
		d.process = next
	}
}

// alive reports whether a process runs that nobody has killed. Somebody else may
// have taken its port meanwhile, which is nobody's fault.
func (c *chaos) alive(d *doomed) bool {
	select {
	case <-d.process.ended:
		if end := d.process.tail(); !strings.Contains(end, "address already in use") {
			c.violated("%s ended by itself: %s", d.name, end)
		}
		return false
	default:
		return true
	}
}
