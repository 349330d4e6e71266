package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/sysdig/sysdigtest"
)

// The sizes of TestChaos. By default it is as short as a test should be; `make
// chaos` makes it long.
var (
	chaosIncidents = flag.Int("incidents", 25, "how many incidents TestChaos opens")
	chaosFor       = flag.Duration("for", 12*time.Second, "how long TestChaos opens them, kills processes and has Sysdig fail")
)

// calm is how long the incidents have to close once nothing fails any more: a
// few times the longest pause between two attempts.
const calm = 4 * time.Minute

// TestChaos opens incidents of every plot while every process is killed again
// and again, and Sysdig fails in every way it knows. Afterwards every incident
// must be closed, with every event that the starter has acknowledged, and what
// each says of itself must be what happened in the world, exactly once.
//
// What chance decides follows from the seed alone, for each process, endpoint and
// incident by itself. When it meets which request is up to the machine.
func TestChaos(t *testing.T) {
	t.Parallel()
	require.Positive(t, *chaosIncidents, "--incidents")
	require.Positive(t, *chaosFor, "--for")
	newChaos(t, *chaosIncidents, oneServer(t)).happen()
}

// happen is all of it.
func (c *chaos) happen() {
	c.t.Helper()
	begin := time.Now()
	c.run(*chaosFor)
	c.check()
	c.report(time.Since(begin))
	require.Empty(c.t, c.violations, "violations; repeat with --seed %d", c.seed)
}

// stage is where a chaos happens.
type stage struct {
	// temporal is the server as clients see it, and processes are those that it
	// consists of.
	temporal  *temporalServer
	processes []*doomed
	// starters and workers are how many there are of each. With several starters
	// each has a journal.
	starters, workers int
	// turns says that one process is killed after the other, where too few would be
	// up if each was killed in its own time.
	turns bool
}

// oneServer is a stage whose Temporal is one process.
func oneServer(t *testing.T) stage {
	t.Helper()
	temporal := ownTemporal(t)
	_, port, err := net.SplitHostPort(temporal.address)
	require.NoError(t, err)
	// A server is up long enough to get something done, and sometimes gone for
	// longer than a heartbeat may take: then an attempt goes on beside the next.
	return stage{temporal: temporal, starters: 1, workers: 2, processes: []*doomed{{
		name: "temporal", process: temporal.process, launch: func() (*process, error) { return temporal.launch(port) },
		up: span{4 * time.Second, 10 * time.Second}, down: 12 * time.Second,
	}}}
}

// chaos is a run of TestChaos.
type chaos struct {
	*installation
	stage   stage
	seed    uint64
	journal bool
	backend *backend
	victims []*victim
	// doomed are the processes.
	doomed []*doomed

	mu         sync.Mutex
	violations []string
	// refused counts the answers with which the starter did not take an event.
	refused int
	// settled is how long it took until all were closed, once nothing failed any
	// more and everybody had sent everything.
	settled time.Duration
}

func newChaos(t *testing.T, incidents int, on stage) *chaos {
	t.Helper()
	c := &chaos{seed: seed(t), stage: on, installation: prepare(t, on.temporal, chaosRoutes(), sysdigtest.Options{}, newHost())}
	c.setUp()
	var hosts []sysdigtest.Host
	c.victims, hosts = c.cast(incidents)
	c.allow(*chaosFor + calm + time.Minute)
	c.backend = newBackend(t, hosts, c.random)
	c.sysdig = c.backend.sysdig
	c.journal = on.starters > 1 || c.random("journal").IntN(2) == 0
	c.doomed = c.processes()
	return c
}

// random is a source of chance that does not depend on any other.
func (c *chaos) random(name string) *rand.Rand {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(c.seed, hash.Sum64()))
}

// violated notes something that must not happen.
func (c *chaos) violated(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.violations = append(c.violations, fmt.Sprintf(format, args...))
}

// run lets everything happen, and returns when all incidents are closed, or
// should have been.
func (c *chaos) run(long time.Duration) {
	havoc, end := context.WithTimeout(c.ctx, long)
	defer end()
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()

	var senders, killers, supervisors, analysts errgroup.Group
	for _, v := range c.victims {
		senders.Go(func() error { c.tell(ctx, v, long); return nil })
	}
	if c.stage.turns {
		killers.Go(func() error { c.turns(havoc, long); return nil })
	}
	for _, d := range c.doomed {
		if !c.stage.turns {
			killers.Go(func() error { c.haunt(havoc, d); return nil })
		}
		if d.supervised {
			supervisors.Go(func() error { c.supervise(ctx, d); return nil })
		}
	}
	analysts.Go(func() error { c.analyse(ctx); return nil })

	_ = killers.Wait()
	c.backend.relent()
	_ = senders.Wait()
	c.awaitClosed()
	stop()
	_, _ = analysts.Wait(), supervisors.Wait()
	for _, d := range c.doomed {
		c.alive(d)
	}
}

// tell sends the events of an incident, one delivery after the other, each until
// it is taken, and some once more.
func (c *chaos) tell(ctx context.Context, v *victim, long time.Duration) {
	random := c.random(fmt.Sprint("sender ", v.n))
	deliver := func(d []event) error {
		_, err := c.deliver(ctx, func(answer) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.refused++
		}, d...)
		return err
	}
	var repeats errgroup.Group
	err := pause(ctx, moment(random, long*8/10))
	for _, d := range v.deliveries {
		again, later := random.IntN(3) == 0, moment(random, 5*time.Second)
		if err == nil {
			err = deliver(d)
		}
		if again && err == nil {
			repeats.Go(func() error { return errors.Join(pause(ctx, later), deliver(d)) })
		}
		err = errors.Join(err, pause(ctx, moment(random, time.Second)))
	}
	v.told.Store(err == nil)
	if err = errors.Join(err, repeats.Wait()); err != nil {
		c.violated("%s: its events were not taken: %s", v.id, err)
	}
}
