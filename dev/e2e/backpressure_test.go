package e2e_test

import (
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/sysdig/sysdigtest"
)

// More requests are under way than the starter permits, because Temporal stands
// still.
func TestTooManyRequestsAreToldToComeAgain(t *testing.T) {
	t.Parallel()
	const senders = 600
	targets := newTargets(4)
	f := prepare(t, ownTemporal(t), routes, sysdigtest.Options{}, targets...)
	f.allow(4 * time.Minute)
	f.starter()
	f.worker()
	f.awaitReady()

	f.temporal.pause()
	var mu sync.Mutex
	var busy []answer
	var work errgroup.Group
	want := map[string][]string{}
	for n := range senders {
		target := targets[n%len(targets)]
		e := newEvent(t, target, minerRule).small()
		id := minerID(target)
		want[id] = append(want[id], e["id"].(string))
		work.Go(func() error {
			_, err := f.deliver(f.ctx, func(a answer) {
				mu.Lock()
				defer mu.Unlock()
				if a.Status == http.StatusTooManyRequests {
					busy = append(busy, a)
				}
			}, e)
			return err
		})
	}
	refused := func() []answer {
		mu.Lock()
		defer mu.Unlock()
		return busy
	}
	f.await("requests are refused", func() bool { return len(refused()) > 0 })
	f.temporal.resume()
	require.NoError(t, work.Wait())

	for _, a := range refused() {
		require.Regexp(t, `^[1-9][0-9]*$`, a.header.Get("Retry-After"))
		require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	}
	t.Logf("%d requests were told to come again", len(refused()))
	for id, sent := range want {
		i := &incident{installation: f, reference: reference{WorkflowID: id}}
		f.await(id+" has counted its events", func() bool { return i.counted().Count >= len(sent) })
		require.Equal(t, len(sent), i.counted().Count)
		require.Subset(t, i.signalled(), sent)
	}
}

// pause stops the process where it is, until resume.
func (p *process) pause() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGSTOP) }

func (p *process) resume() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGCONT) }
