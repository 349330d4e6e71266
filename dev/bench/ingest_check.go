package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"firebreak/signals"
)

// tally is what one incident was told, and what it counted of that.
type tally struct {
	id string
	// events is what the incident counted, want what was sent.
	events, want signals.EventCount
	// lacking are the IDs of events that were sent but are not in the signals of
	// its histories, foreign those that are there although they were not sent.
	lacking, foreign int
	// signals is how many it took.
	signals int
	outcome signals.State
}

// wrong says in which way the incident is not as it should be, nil if it is. An
// event that was refused may have been stored all the same, and is sent again:
// there may be as many more duplicates.
func (t tally) wrong(refused int64) error {
	more := t.events.Duplicates - t.want.Duplicates
	switch {
	case t.events.Count != t.want.Count, more < 0, int64(more) > refused:
		return fmt.Errorf("%s counted %d events and %d duplicates: want %d and %d",
			t.id, t.events.Count, t.events.Duplicates, t.want.Count, t.want.Duplicates)
	case t.lacking > 0 || t.foreign > 0:
		return fmt.Errorf("%s: its histories lack the IDs of %d events that were sent, and have %d others: want none", t.id, t.lacking, t.foreign)
	case t.outcome != signals.Contained:
		return fmt.Errorf("%s was %s: want it contained", t.id, t.outcome)
	}
	return nil
}

// tallyAll waits until the incident of each target has counted what was sent,
// the target's first n events, and closes it.
func (g *ingest) tallyAll(ctx context.Context, of []target, n int, want signals.EventCount) ([]tally, error) {
	tallies := make([]tally, len(of))
	err := g.spread(ctx, g.unpaced, len(of), func(ctx context.Context, i int) (err error) {
		tallies[i], err = g.tally(ctx, of[i], n, want)
		return err
	})
	return tallies, err
}

func (g *ingest) tally(ctx context.Context, of target, n int, want signals.EventCount) (tally, error) {
	t := tally{id: g.ours.workflowID(of), want: want}
	if err := g.counted(ctx, t.id, want); err != nil {
		return t, err
	}
	err := g.stack.Client.SignalWorkflow(ctx, t.id, "", signals.Approve, signals.Decision{Analyst: "bench", Reason: "counted"})
	if err != nil {
		return t, fmt.Errorf("approve %s: %w", t.id, err)
	}
	var page signals.Page
	if err := g.stack.Client.GetWorkflow(ctx, t.id, "").Get(ctx, &page); err != nil {
		return t, fmt.Errorf("%s: %w", t.id, err)
	}
	// The result counts what came after the last look, too.
	t.events, t.outcome = page.Events, page.Outcome
	told := map[string]bool{}
	if err := g.told(ctx, &t, told); err != nil {
		return t, err
	}
	for i := range n {
		if id := of.eventID(i); told[id] {
			delete(told, id)
		} else {
			t.lacking++
		}
	}
	t.foreign = len(told)
	return t, nil
}

// counted returns once an incident has counted as many events as were sent, or
// counts no more.
func (g *ingest) counted(ctx context.Context, id string, want signals.EventCount) error {
	var seen signals.EventCount
	for moved := time.Now(); time.Since(moved) < patience; {
		answer, err := g.stack.Client.QueryWorkflow(ctx, id, "", signals.QueryIncident)
		if err != nil {
			return fmt.Errorf("ask %s what it counted: %w", id, err)
		}
		var page signals.Page
		if err := answer.Get(&page); err != nil {
			return fmt.Errorf("ask %s what it counted: %w", id, err)
		}
		if page.Events.Count >= want.Count && page.Events.Duplicates >= want.Duplicates {
			return nil
		}
		if page.Events != seen {
			seen, moved = page.Events, time.Now()
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
	return nil
}

// told collects the event IDs from the signals in the histories of an incident,
// from its last run back to its first.
func (g *ingest) told(ctx context.Context, t *tally, ids map[string]bool) error {
	for run, more := "", true; more; more = run != "" {
		events := g.stack.Client.GetWorkflowHistory(ctx, t.id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		run = ""
		for events.HasNext() {
			event, err := events.Next()
			if err != nil {
				return fmt.Errorf("read the history of %s: %w", t.id, err)
			}
			if started := event.GetWorkflowExecutionStartedEventAttributes(); started != nil {
				run = started.GetContinuedExecutionRunId()
			}
			signal := event.GetWorkflowExecutionSignaledEventAttributes()
			if signal.GetSignalName() != signals.Events {
				continue
			}
			t.signals++
			for _, payload := range signal.GetInput().GetPayloads() {
				batch, err := signals.DecodeEvents(converter.NewRawValue(payload))
				if err != nil {
					return fmt.Errorf("read the history of %s: %w", t.id, err)
				}
				for _, e := range batch.Events {
					ids[e.ID] = true
				}
			}
		}
	}
	return nil
}

// count is how many incidents there are, whatever has become of them, once all
// that are closed are listed as such.
func (g *ingest) count(ctx context.Context) (int64, error) {
	if err := g.completed(ctx, g.ours); err != nil {
		return 0, err
	}
	answer, err := g.stack.Client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: fmt.Sprintf("TaskQueue = '%s' AND ExecutionStatus != 'ContinuedAsNew' AND WorkflowId != '%s'", g.ours.taskQueue, signals.GuardID),
	})
	if err != nil {
		return 0, fmt.Errorf("count incidents: %w", err)
	}
	return answer.GetCount(), nil
}
