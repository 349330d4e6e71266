package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// load is a number of senders. Each sends events of one target, one after the
// other, and every one until it is taken.
type load struct {
	*installation
	streams []*stream

	stop chan struct{}
	work *errgroup.Group
	// answered is how many events were taken so far, and journaled how many of
	// them by the journal.
	answered, journaled atomic.Int64
	// others are the answers that were not 2xx, by their status.
	mu     sync.Mutex
	others map[int]int
}

// stream is what one sender sends.
type stream struct {
	workflowID, prefix string
	template           event
	sent               int
}

// id is the ID of the n-th event of a stream, from 1 on.
func (s *stream) id(n int) string { return s.prefix + strconv.Itoa(n) }

// event is the n-th of a stream.
func (s *stream) event(n int) event {
	e := maps.Clone(s.template)
	e["id"], e["timestamp"] = s.id(n), time.Now().UnixNano()
	return e
}

// load starts two senders for each target, which send an event each time so
// much time has passed since their last.
func (f *installation) load(targets []sysdigtest.Host, every time.Duration) *load {
	f.t.Helper()
	work, ctx := errgroup.WithContext(f.ctx)
	l := &load{installation: f, stop: make(chan struct{}), work: work, others: map[int]int{}}
	for _, target := range targets {
		for sender := range 2 {
			s := &stream{
				workflowID: minerID(target), prefix: fmt.Sprintf("%s-%d-", target.Containers[0], sender),
				template: newEvent(f.t, target, minerRule).small(),
			}
			l.streams = append(l.streams, s)
			work.Go(func() error { return l.run(ctx, s, every) })
		}
	}
	return l
}

// minerID is the ID of the incident of a crypto-miner in the host's container.
func minerID(host sysdigtest.Host) string {
	return "crypto-miner:" + host.Name + ":" + host.Containers[0]
}

func (l *load) run(ctx context.Context, s *stream, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-l.stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		a, err := l.deliver(ctx, l.other, s.event(n))
		if err != nil {
			return fmt.Errorf("send event %s: %w", s.id(n), err)
		}
		s.sent = n
		l.answered.Add(1)
		l.journaled.Add(int64(len(a.Journaled)))
	}
}

func (l *load) other(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others[a.Status]++
}

// more waits until so many more events were taken.
func (l *load) more(events int64) {
	l.t.Helper()
	want := l.answered.Load() + events
	l.await(fmt.Sprintf("%d more events are taken", events), func() bool { return l.answered.Load() >= want })
}

// end has the senders stop once their last events are taken.
func (l *load) end() {
	l.t.Helper()
	close(l.stop)
	require.NoError(l.t, l.work.Wait())
	for _, s := range l.streams {
		require.Positive(l.t, s.sent, "nothing was sent")
	}
}

// verify checks, after the end, that every incident was told every event of its
// senders, nothing else, in the order in which each of them sent, and counted
// each event once. That needs a worker.
func (l *load) verify() {
	l.t.Helper()
	want := map[string]int{}
	for _, s := range l.streams {
		want[s.workflowID] += s.sent
	}
	for id, n := range want {
		i := &incident{installation: l.installation, reference: reference{WorkflowID: id}}
		l.await(fmt.Sprintf("%s has counted %d events", id, n), func() bool { return i.counted().Count >= n })
		require.Equal(l.t, n, i.counted().Count, "%s counted an event twice", id)
		l.verifyOrder(id, i.signalled(), n)
	}
	l.t.Logf("%d events in %d incidents, %d of them by way of the journal; answers that were not 2xx: %v",
		l.answered.Load(), len(want), l.journaled.Load(), l.others)
}

// verifyOrder checks that the events of an incident are those of its senders,
// each sender's in the order in which they were sent. An event that was told
// twice has its place where it was told first.
func (l *load) verifyOrder(workflowID string, ids []string, want int) {
	l.t.Helper()
	seen, last := map[string]bool{}, map[string]int{}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		cut := strings.LastIndex(id, "-") + 1
		n, err := strconv.Atoi(id[cut:])
		require.NoError(l.t, err)
		require.Equal(l.t, last[id[:cut]]+1, n, "event %s is not in its sender's order", id)
		last[id[:cut]] = n
	}
	for _, s := range l.streams {
		if s.workflowID == workflowID {
			require.Equal(l.t, s.sent, last[s.prefix], "events of sender %s", s.prefix)
		}
	}
	require.Len(l.t, seen, want, "events that nobody sent to %s", workflowID)
}

// counted is what the incident has counted so far; nothing, while it is not
// there or no worker answers.
func (i *incident) counted() signals.EventCount {
	page, _ := i.look()
	return page.Events
}

// signalled are the IDs of the events that the incident was told, in the order
// of the histories of its runs.
func (i *incident) signalled() []string {
	i.t.Helper()
	var ids []string
	for run, more := i.RunID, true; more; more = run != "" {
		var told []string
		events := i.temporal.GetWorkflowHistory(i.ctx, i.WorkflowID, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		run = ""
		for events.HasNext() {
			e, err := events.Next()
			require.NoError(i.t, err)
			if started := e.GetWorkflowExecutionStartedEventAttributes(); started != nil {
				run = started.GetContinuedExecutionRunId()
			}
			signal := e.GetWorkflowExecutionSignaledEventAttributes()
			if signal.GetSignalName() != signals.Events {
				continue
			}
			for _, payload := range signal.GetInput().GetPayloads() {
				batch, err := signals.DecodeEvents(converter.NewRawValue(payload))
				require.NoError(i.t, err)
				for _, event := range batch.Events {
					told = append(told, event.ID)
				}
			}
		}
		ids = append(told, ids...) // an earlier run
	}
	return ids
}
