package sysdig

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// counted is a value that says how often it was loaded.
func counted(age time.Duration, loads *atomic.Int32, err func(n int) error) *recent[int] {
	return &recent[int]{age: age, load: func(context.Context) (int, error) {
		time.Sleep(time.Second) // as long as an answer takes, in the bubble's time
		n := int(loads.Add(1))
		return n, err(n)
	}}
}

func never(int) error { return nil }

func TestRecentValueIsLoadedOncePerAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int32
		r := counted(30*time.Second, &loads, never)
		for begun := time.Now(); time.Since(begun) < 5*time.Minute; {
			var all sync.WaitGroup
			asked := time.Now()
			for range 20 {
				all.Go(func() {
					n, err := r.get(t.Context())
					require.NoError(t, err)
					require.GreaterOrEqual(t, n, int(loads.Load())-1)
				})
			}
			all.Wait()
			if asked != begun {
				require.Zero(t, time.Since(asked), "only the first callers wait")
			}
			require.NoError(t, sleep(t.Context(), 500*time.Millisecond))
		}
		require.NoError(t, sleep(t.Context(), 2*time.Second)) // the last request ends
		require.InDelta(t, 10, loads.Load(), 1)
	})
}

// What is not used is let go, and the next caller does not get an old value.
func TestUnusedValueIsNotLoadedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int32
		r := counted(30*time.Second, &loads, never)
		for want := 1; want <= 2; want++ {
			n, err := r.get(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, n)
			require.NoError(t, sleep(t.Context(), 31*time.Second))
			require.EqualValues(t, want, loads.Load())
			synctest.Wait()
			r.mu.Lock()
			require.Zero(t, r.value)
			r.mu.Unlock()
		}
	})
}

func TestCallerThatGivesUpDoesNotEndTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int32
		r := counted(30*time.Second, &loads, never)
		ctx, cancel := context.WithCancel(t.Context())
		gave := make(chan error, 1)
		go func() {
			_, err := r.get(ctx)
			gave <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-gave, context.Canceled)
		n, err := r.get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.EqualValues(t, 1, loads.Load())
	})
}

func TestFailureIsTheAnswerForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int32
		r := counted(30*time.Second, &loads, func(n int) error {
			if n == 1 {
				return errors.New("down")
			}
			return nil
		})
		for range 100 {
			_, err := r.get(t.Context())
			require.EqualError(t, err, "down")
		}
		require.EqualValues(t, 1, loads.Load())
		require.NoError(t, sleep(t.Context(), failureAge))
		n, err := r.get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, n)
	})
}

func packed(agents ...Agent) *Agents {
	var p agentPacker
	for _, a := range agents {
		p.add(a)
	}
	return p.pack()
}

func TestAgentsAreFoundByEachIdentifier(t *testing.T) {
	t.Parallel()
	one := Agent{ID: "101", Customer: "55001", HostName: "Web-1.example.com", MachineID: "K8S-1-52-54-00-12-34-56", HostID: "AAAA", ClusterName: "prod"}
	two := Agent{ID: "102", Customer: "55001", HostName: "web-1", MachineID: "52:54:00:12:34:56", HostID: "bbbb"}
	a := packed(one, two, Agent{})
	require.Equal(t, 3, a.Len())
	require.Equal(t, []Agent{one}, a.ByID("101"))
	require.Equal(t, []Agent{one}, a.ByHostID("aaaa"))
	require.Equal(t, []Agent{two}, a.ByHostID("BBBB"))
	require.Equal(t, []Agent{one}, a.ByMachineID("k8s-1-52:54:00:12:34:56"))
	require.Equal(t, []Agent{two}, a.ByMachineID("5254.0012.3456"))
	require.ElementsMatch(t, []Agent{one, two}, a.ByHostName("WEB-1.example.org"))
	for _, none := range [][]Agent{a.ByID(""), a.ByHostID(""), a.ByMachineID(""), a.ByHostName(""), a.ByHostName("web"), a.ByID("1")} {
		require.Empty(t, none)
	}
}

func TestTextTooLongForAnIdentifierIsAbsent(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxAgentText+1)
	a := packed(Agent{ID: "1", HostName: long, ClusterName: long}, Agent{ID: "2", HostName: "web-2"})
	require.Equal(t, []Agent{{ID: "1"}}, a.ByID("1"))
	require.Equal(t, []Agent{{ID: "2", HostName: "web-2"}}, a.ByHostName("web-2"))
}

func TestTwentyThousandAgentsArePacked(t *testing.T) { // not parallel: it measures the heap
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var p agentPacker
	before := heap()
	for n := range 20_000 {
		p.add(Agent{
			ID: fmt.Sprint(58_000_000 + n), Customer: "55001", HostName: fmt.Sprintf("ip-10-%d-%d-%d.us-west-2.compute.internal", n>>16, n>>8&255, n&255),
			MachineID: fmt.Sprintf("42:01:0a:%02x:%02x:%02x", n>>16, n>>8&255, n&255), HostID: fmt.Sprintf("%064x", n), ClusterName: "prod",
		})
	}
	a := p.pack()
	grown := heap() - before
	require.Len(t, a.ByHostID(fmt.Sprintf("%064x", 19_999)), 1)
	require.Less(t, grown, int64(8<<20))
	t.Logf("%d KiB", grown>>10)
}
