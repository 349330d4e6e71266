package starter_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/starter"
)

// target is the incident of most tests' events.
const target = "crypto-miner:node-1:6949e5f10829"

func miner(id string) string { return event(id, "Miner", "6949e5f10829", 2) }

// gate holds back what Temporal is told until it is opened.
func (f *temporal) gate() (open func()) {
	closed := make(chan struct{})
	f.Fn = func(_ context.Context, c call) (string, bool, error) {
		<-closed
		return f.take(c)
	}
	return sync.OnceFunc(func() { close(closed) })
}

// posting posts bodies at the same time; the answers come through the channel.
func (w *webhook) posting(t *testing.T, bodies ...string) <-chan *httptest.ResponseRecorder {
	t.Helper()
	answers := make(chan *httptest.ResponseRecorder, len(bodies))
	for _, body := range bodies {
		go func() { answers <- w.post(t, body) }()
	}
	return answers
}

func TestEventsThatComeWhileASignalIsUnderWayTravelTogetherInTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		open := w.temporal.gate()
		first := w.posting(t, miner("first"))
		synctest.Wait()
		var bodies []string
		for i := range 50 {
			bodies = append(bodies, miner(fmt.Sprint(i)))
		}
		others := w.posting(t, bodies...)
		synctest.Wait()
		require.Empty(t, first, "nothing is acknowledged before it is durable")
		require.Empty(t, others)
		open()
		require.Len(t, accepted(t, <-first).Opened, 1)
		for range bodies {
			require.Len(t, accepted(t, <-others).Joined, 1)
		}
		require.Len(t, w.temporal.calls, 2)
		require.Len(t, w.temporal.calls[1].batch.Events, 50)
		require.Len(t, w.temporal.toldTo(target), 51)
	})
}

func TestOneOfSeveralRequestsOpensTheIncidentAndTheOthersJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		open := w.temporal.gate()
		blocking := w.posting(t, event("x", "Miner", "bbbbbbbbbbbb", 2))
		synctest.Wait()
		answers := w.posting(t, miner("1"), miner("2"), miner("3"))
		open()
		<-blocking
		opened, joined := 0, 0
		for range 3 {
			answer := accepted(t, <-answers)
			opened += len(answer.Opened)
			joined += len(answer.Joined)
		}
		require.Equal(t, []int{1, 2}, []int{opened, joined})
	})
}

func TestARepeatedEventIsAnsweredAtOnceAndCountedExactly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		ref := accepted(t, w.post(t, miner("1"))).Opened[0]
		begin := time.Now()
		for range 1000 {
			answer := accepted(t, w.post(t, miner("1")))
			require.Equal(t, 1, answer.Duplicate)
			require.Equal(t, []starter.Reference{ref}, answer.Joined)
		}
		require.Zero(t, time.Since(begin), "what is durable waits for nothing")
		require.Len(t, w.temporal.calls, 1)
		accepted(t, w.post(t, array(miner("1"), miner("2"), miner("2"))))
		w.Stop()
		require.Equal(t, map[string]int{target + " 1": 1001}, w.temporal.repeated, "told at the latest when the starter stops")
		require.Equal(t, []string{"1", "2"}, w.temporal.toldTo(target))
		require.Equal(t, 1, w.temporal.calls[1].batch.Duplicates)
		w.counted(t, "duplicate", 1002)
	})
}

func TestARepeatedEventWhoseFirstIsUnderWayWaitsForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		open := w.temporal.gate()
		answers := w.posting(t, miner("1"), miner("1"), miner("1"))
		synctest.Wait()
		require.Empty(t, answers)
		open()
		duplicates := 0
		for range 3 {
			duplicates += accepted(t, <-answers).Duplicate
		}
		require.Equal(t, 2, duplicates)
		require.Equal(t, []string{"1"}, w.temporal.toldTo(target))
		w.Stop()
		counted := w.temporal.repeated[target+" 1"]
		for _, c := range w.temporal.calls {
			counted += c.batch.Duplicates
		}
		require.Equal(t, 2, counted)
	})
}

func TestRepeatedDeliveriesAreToldAgainWhenTemporalDidNotTakeThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		accepted(t, w.post(t, miner("1")))
		w.temporal.failing(true)
		accepted(t, w.post(t, miner("1")))
		time.Sleep(time.Minute)
		require.Empty(t, w.temporal.repeated)
		w.temporal.failing(false)
		w.Stop()
		require.Equal(t, map[string]int{target + " 1": 1}, w.temporal.repeated)
	})
}

func TestAnEventOfAClosedIncidentOpensTheNextUnlessItWasToldBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		ref := accepted(t, w.post(t, array(miner("1"), miner("2")))).Opened[0]
		w.temporal.close(target)
		answer := accepted(t, w.post(t, miner("1")))
		require.Equal(t, []any{0, 1, []starter.Reference{ref}}, []any{len(answer.Opened), answer.Duplicate, answer.Joined})

		// A starter that was killed knows nothing of the events.
		after := newWebhook(t, func(c *starter.Config) { c.Temporal = w.temporal })
		answer = accepted(t, after.post(t, array(miner("2"), miner("1"))))
		require.Equal(t, []any{0, 2, []starter.Reference{ref}}, []any{len(answer.Opened), answer.Duplicate, answer.Joined})
		require.Empty(t, w.temporal.toldTo(target), "nothing was opened")

		another := newWebhook(t, func(c *starter.Config) { c.Temporal = w.temporal })
		answer = accepted(t, another.post(t, array(miner("2"), miner("2"), miner("3"), miner("3"))))
		require.Len(t, answer.Opened, 1)
		require.NotEqual(t, ref.RunID, answer.Opened[0].RunID)
		require.Equal(t, 3, answer.Duplicate)
		require.Equal(t, []string{"3"}, w.temporal.toldTo(target))
		last := w.temporal.calls[len(w.temporal.calls)-1]
		require.Equal(t, 1, last.batch.Duplicates, "of event 3 alone")
		require.Equal(t, "3", last.input.First.ID)
	})
}

func TestTheEventThatOpensAnIncidentTravelsWholeAndOthersSlim(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	accepted(t, w.post(t, array(miner("1"), miner("2"))))
	c := w.temporal.calls[0]
	require.Equal(t, "1", c.input.First.ID)
	require.Equal(t, "CANARY [x](y)", c.input.First.Output)
	require.Equal(t, "xmrig", c.input.First.Fields["proc.name"])
	for i := range c.batch.Events {
		require.Empty(t, c.batch.Events[i].Fields)
		require.Equal(t, "xmrig", c.batch.Events[i].Process.Name)
	}
}

func TestAnIncidentWhoseHistoryIsFullIsNotToldMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		w.temporal.history = 33 << 20
		// Temporal is asked for the size only when much was told.
		status := http.StatusAccepted
		for i := 0; status == http.StatusAccepted && i < 20_000; i++ {
			status = w.post(t, miner(fmt.Sprint(i))).Code
		}
		require.Equal(t, http.StatusServiceUnavailable, status)
		told := len(w.temporal.toldTo(target))
		require.Greater(t, told, 1000)
		accepted(t, w.post(t, event("other", "Miner", "bbbbbbbbbbbb", 2)))
		require.Len(t, w.temporal.toldTo(target), told)
		w.temporal.history = 1 << 20
		accepted(t, w.post(t, miner("after")))
	})
}

func TestRequestsBeyondThoseThatMayBeUnderWayAreToldToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		open := w.temporal.gate()
		var bodies []string
		for i := range 512 {
			bodies = append(bodies, miner(fmt.Sprint(i)))
		}
		answers := w.posting(t, bodies...)
		synctest.Wait()
		recorder := w.post(t, miner("one too many"))
		refused(t, recorder, http.StatusTooManyRequests)
		require.Equal(t, "1", recorder.Header().Get("Retry-After"))
		refused(t, w.post(t, "{}", func(r *http.Request) { r.Header.Del("Authorization") }), http.StatusUnauthorized)
		open()
		for range bodies {
			accepted(t, <-answers)
		}
		accepted(t, w.post(t, miner("one too many")))
		require.Len(t, w.temporal.toldTo(target), 513)
	})
}
