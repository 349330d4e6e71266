package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
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
	c := newChaos(t, *chaosIncidents)
	begin := time.Now()
	c.run(*chaosFor)
	c.check()
	c.report(time.Since(begin))
	require.Empty(t, c.violations, "violations; repeat with --seed %d", c.seed)
}

// chaos is a run of TestChaos.
type chaos struct {
	*installation
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
}

func newChaos(t *testing.T, incidents int) *chaos {
	t.Helper()
	c := &chaos{seed: seed(t), installation: prepare(t, ownTemporal(t), chaosRoutes(), sysdigtest.Options{}, newHost())}
	var hosts []sysdigtest.Host
	c.victims, hosts = c.cast(incidents)
	c.allow(*chaosFor + calm + time.Minute)
	c.backend = newBackend(t, hosts, c.random)
	c.sysdig = c.backend.sysdig
	if c.journal = c.random("journal").IntN(2) == 0; c.journal {
		c.installation.journal()
	}
	c.starter()
	c.awaitReady()
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

	var senders, killers, analysts errgroup.Group
	for _, v := range c.victims {
		senders.Go(func() error { c.tell(ctx, v, long); return nil })
	}
	for _, d := range c.doomed {
		killers.Go(func() error { c.haunt(havoc, d); return nil })
	}
	analysts.Go(func() error { c.analyse(ctx); return nil })

	_ = killers.Wait()
	c.backend.relent()
	_ = senders.Wait()
	c.awaitClosed()
	stop()
	_ = analysts.Wait()
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
