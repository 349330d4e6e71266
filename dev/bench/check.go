package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// history is how long a workflow's history is.
type history struct{ events, bytes int64 }

// histories are the longest of each kind.
type histories struct {
	automatic, approved pair[history]
}

// check makes sure that every incident ended well and every action was done
// once, and returns how long the histories are.
func (b *bench) check(ctx context.Context) (histories, error) {
	var h histories
	requests, ledger := b.arrivals.counts(), b.stack.Sysdig.Ledger()
	for _, p := range []*program{b.ours, b.floor} {
		if err := once(p.told(), requests, ledger); err != nil {
			return h, fmt.Errorf("%s: %w", p.taskQueue, err)
		}
	}
	for _, one := range []struct {
		program             *program
		automatic, approved *history
	}{
		{b.ours, &h.automatic.ours, &h.approved.ours},
		{b.floor, &h.automatic.floor, &h.approved.floor},
	} {
		var mu sync.Mutex
		work, ctx := errgroup.WithContext(ctx)
		work.SetLimit(b.senders)
		for i, t := range one.program.told() {
			work.Go(func() error {
				found, err := b.closed(ctx, one.program, t)
				mu.Lock()
				defer mu.Unlock()
				longest := one.automatic
				if b.wasApproved(i) {
					longest = one.approved
				}
				longest.events, longest.bytes = max(longest.events, found.events), max(longest.bytes, found.bytes)
				return err
			})
		}
		if err := work.Wait(); err != nil {
			return h, err
		}
	}
	return h, nil
}

// wasApproved reports whether the incident of a program's i-th target waited for
// an approval: those come second.
func (b *bench) wasApproved(i int) bool {
	each := warmUp + b.samples
	return i >= each && i < 2*each
}

// closed is the history of an incident that ended as it should.
func (b *bench) closed(ctx context.Context, p *program, t target) (history, error) {
	id := p.workflowID(t)
	described, err := b.stack.Client.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return history{}, fmt.Errorf("describe %s: %w", id, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if status := info.GetStatus(); status != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		return history{}, fmt.Errorf("%s is %s: want it completed", id, status)
	}
	if p == b.ours {
		var state string
		payload := info.GetSearchAttributes().GetIndexedFields()[signals.IncidentState.GetName()]
		if err := converter.GetDefaultDataConverter().FromPayload(payload, &state); err != nil {
			return history{}, fmt.Errorf("%s: read its state: %w", id, err)
		}
		if state != string(signals.Contained) {
			return history{}, fmt.Errorf("%s is %s: want it contained", id, state)
		}
	}
	return history{info.GetHistoryLength(), info.GetHistorySizeBytes()}, nil
}

// once checks that the action on each target was asked for once, and done.
func once(targets []target, requests map[string]int, ledger sysdigtest.Ledger) error {
	killed := map[string]int{}
	for _, effect := range ledger {
		if effect.Action == "KILL_CONTAINER" && effect.Failure == "" {
			killed[effect.ContainerID]++
		}
	}
	var failed error
	for _, t := range targets {
		if requests[t.container] != 1 || killed[t.container] != 1 {
			failed = errors.Join(failed, fmt.Errorf("container %s: the action was asked for %d times and done %d times: want once",
				t.container, requests[t.container], killed[t.container]))
		}
	}
	return failed
}
