package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/guard"
	domain "firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// incidents is how many incidents there are at once. FIREBREAK_INCIDENTS makes them
// more.
func incidents(t *testing.T) int {
	t.Helper()
	text := os.Getenv("FIREBREAK_INCIDENTS")
	if text == "" {
		return 60
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "FIREBREAK_INCIDENTS")
	return n
}

// guarded is an installation on a Temporal server of its own, of which there is one
// guard, with so many containers and what the guard section has.
func guarded(t *testing.T, temporal *temporalServer, yaml string, containers int) (*installation, []sysdigtest.Host) {
	t.Helper()
	targets := newTargets(containers)
	f := prepare(t, temporal, unasked, sysdigtest.Options{}, targets...)
	f.allow(time.Duration(120+containers/2) * time.Second)
	f.configure("guard: " + yaml)
	f.starter()
	return f, targets
}

// sendAll sends an event of each target, many at a time.
func (f *installation) sendAll(targets []sysdigtest.Host) {
	f.t.Helper()
	for batch := range slices.Chunk(targets, 50) {
		var events []event
		for _, target := range batch {
			events = append(events, newEvent(f.t, target, minerRule).small())
		}
		_, err := f.deliver(f.ctx, nil, events...)
		require.NoError(f.t, err)
	}
}

// in is how many incidents are in a state, as lists show it.
func (f *installation) in(state signals.State) int {
	f.t.Helper()
	return f.count(fmt.Sprintf("TaskQueue = '%s' AND IncidentState = '%s'", f.host.Name, state))
}

// kills is how many containers were killed; none of them twice.
func (f *installation) kills() int {
	f.t.Helper()
	ledger, killed := f.sysdig.Ledger(), 0
	for _, container := range f.host.Containers {
		times := ledger.Killed(container)
		require.LessOrEqual(f.t, times, 1, "container %s was killed twice", container)
		killed += times
	}
	return killed
}

// guardPage is the guard as it shows itself.
func (f *installation) guardPage() (page signals.GuardPage) {
	f.t.Helper()
	answer, err := f.temporal.QueryWorkflow(f.ctx, signals.GuardID, "", signals.QueryIncident)
	require.NoError(f.t, err)
	require.NoError(f.t, answer.Get(&page))
	return page
}

// happened counts the events of the guard's last run.
func (f *installation) happened() map[enums.EventType]int {
	f.t.Helper()
	events := f.temporal.GetWorkflowHistory(f.ctx, signals.GuardID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	counts := map[enums.EventType]int{}
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(f.t, err)
		counts[e.GetEventType()]++
	}
	return counts
}

// Many targets are attacked at once, and each of the workers is killed while it
// handles them. What the budget allows happens, exactly; the rest asks a human.
func TestABudgetHoldsAcrossWorkersAndTheirDeaths(t *testing.T) {
	t.Parallel()
	const limit = 5
	n := incidents(t)
	f, targets := guarded(t, ownTemporal(t), `{budgets: [{action: KILL_CONTAINER, limit: 5, per: 1h}]}`, n)
	workers := []*process{f.worker(), f.worker(), f.worker()}
	replace := func(i int) {
		workers[i].kill()
		workers[i] = f.worker()
	}
	began := time.Now()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		f.sendAll(targets)
	}()
	require.NoError(t, f.sysdig.WaitFor(f.ctx, func(l sysdigtest.Ledger) bool { return len(l) > 0 }))
	replace(0)
	f.await("some incidents ask", func() bool { return f.in(signals.AwaitingApproval) >= n/4 })
	replace(1)
	f.await("more incidents ask", func() bool { return f.in(signals.AwaitingApproval) >= n/2 })
	replace(2)
	<-sent
	f.await("every incident is contained or asks", func() bool {
		require.LessOrEqual(t, f.kills(), limit)
		return f.in(signals.Contained) == limit && f.in(signals.AwaitingApproval) == n-limit
	})
	require.Equal(t, limit, f.kills())
	require.Equal(t, limit, f.sysdig.Ledger().Count(func(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Action }))
	happened := f.happened()
	require.Equal(t, limit, happened[enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED], "refusals write no history")
	t.Logf("%d incidents in %s: %d killed, %d ask; the guard's history: %v", n, time.Since(began).Round(time.Second), f.kills(), f.in(signals.AwaitingApproval), happened)

	page := f.guardPage()
	require.Len(t, page.Reservations, limit)
	require.Equal(t, limit, page.Budgets[0].Used)
	require.Contains(t, page.WarRoom[0].Text, "the budget of KILL_CONTAINER is spent until ")
	for _, target := range targets {
		i := &incident{installation: f, reference: reference{WorkflowID: minerID(target)}}
		if _, pending := i.state(); pending != "KILL_CONTAINER" {
			continue
		}
		require.True(t, told(i.show(), signals.KindAction,
			"KILL_CONTAINER was not carried out: the budget of KILL_CONTAINER is spent: 5 within 1h0m0s without approval (guard.budgets[0])"))
		// What a human approves counts against no budget.
		i.approve()
		f.await("the approved one is contained", func() bool { return f.in(signals.Contained) == limit+1 })
		require.Equal(t, limit+1, f.kills())
		require.Len(t, f.guardPage().Reservations, limit)
		break
	}
	shown := f.run(firebreak(), "show", signals.GuardID)
	require.Zero(t, shown.code, shown.stderr)
	require.Contains(t, shown.stdout, "KILL_CONTAINER  5 of 5 within 1h0m0s  one is free again at ")
}

// The guard moves on to another run again and again while it is asked.
func TestTheLedgerIsHandedFromRunToRun(t *testing.T) {
	t.Parallel()
	starting, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := startTemporal(starting, t.TempDir(), "0", "history.maxTotalUpdates=20")
	require.NoError(t, err)
	t.Cleanup(server.stop)
	const containers, late, limit = 60, 5, 50
	f, targets := guarded(t, server, `{budgets: [{action: "*", limit: 50, per: 1h}]}`, containers+late)
	f.worker()
	f.await("the guard runs", func() bool { return f.guard() == signals.GuardOpen })
	guardOf := &incident{installation: f, reference: reference{WorkflowID: signals.GuardID}}
	first := guardOf.current()
	f.worker()
	f.sendAll(targets[:containers])
	f.await("every incident is contained or asks", func() bool {
		return f.in(signals.Contained) == limit && f.in(signals.AwaitingApproval) == containers-limit
	})
	require.Equal(t, limit, f.kills())
	require.Len(t, f.guardPage().Reservations, limit)
	guardOf.RunID = first
	require.Greater(t, len(guardOf.chain()), 2)

	// So it is after a run that was ended from outside.
	require.NoError(t, f.temporal.TerminateWorkflow(f.ctx, signals.GuardID, "", "an accident"))
	f.worker()
	f.await("the next guard knows what the last one gave", func() bool {
		return f.guard() == signals.GuardOpen && len(f.guardPage().Reservations) == limit
	})
	f.sendAll(targets[containers:])
	f.await("the late ones ask, too", func() bool { return f.in(signals.AwaitingApproval) == containers+late-limit })
	require.Equal(t, limit, f.kills())
}

// Here a worker asks one after the other; of so many workers some have to wait for
// the Temporal server to take the question.
func TestAThousandRefusalsAtOnceCostTheGuardNothing(t *testing.T) {
	t.Parallel()
	f := prepare(t, ownTemporal(t), unasked, sysdigtest.Options{}, newHost())
	f.allow(4 * time.Minute)
	f.worker()
	f.await("the guard runs", func() bool { return f.guard() == signals.GuardOpen })
	watches := make([]*guard.Watch, 20)
	for i := range watches {
		watches[i] = guard.NewWatch(f.temporal, "default", f.host.Name, slog.New(slog.DiscardHandler))
	}
	reserve := func(w *guard.Watch, caller string, again bool) error {
		return w.Reserve(f.ctx, signals.Reserve{
			Action: "KILL_CONTAINER", CallerID: caller, Limits: []signals.Budget{{Action: "*", Limit: 1, Per: domain.Duration(time.Hour)}},
		}, again)
	}
	require.NoError(t, reserve(watches[0], "first", false))
	before := f.happened()
	for _, again := range []bool{false, true} {
		began := time.Now()
		var work errgroup.Group
		for n := range 1000 {
			work.Go(func() error {
				for {
					err := reserve(watches[n%len(watches)], fmt.Sprint("caller-", n), again)
					var spent *guard.SpentError
					switch {
					case errors.As(err, &spent):
						return nil
					case err == nil:
						return fmt.Errorf("caller %d has a unit", n)
					case f.ctx.Err() != nil:
						return err
					}
					// Who got no answer asks again, as an activity does.
				}
			})
		}
		require.NoError(t, work.Wait())
		t.Logf("1000 refusals by %d workers, each asked of the guard %t: %s", len(watches), again, time.Since(began).Round(time.Millisecond))
	}
	require.NoError(t, reserve(watches[0], "first", true), "who has a unit keeps it")
	after := f.happened()
	require.Equal(t, before[enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED], after[enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED])
	require.Equal(t, 1, after[enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED])
}
