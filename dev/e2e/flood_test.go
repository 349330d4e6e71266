package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	domain "firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// A container floods its incident while the incident waits for approval: as many
// events as would fill several histories, each also delivered again, from several
// senders at once, over the end of the worker.
func TestAFloodedIncidentCountsExactlyAndIsThenContained(t *testing.T) {
	t.Parallel()
	const senders, batches, perBatch = 2, 200, 50 // 20,000 events
	starting, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	own, err := startTemporal(starting, t.TempDir(), "0")
	require.NoError(t, err)
	t.Cleanup(own.stop)
	f := install(t, own, routes, sysdigtest.Options{})
	worker := f.worker()
	first := newEvent(t, f.host, minerRule)
	route := domain.Route{Name: "crypto-miner", Playbook: signals.PlaybookCryptoMiner, CoolDown: new(domain.Duration)}
	i := f.openWhole(route, first)
	i.awaitRequest("KILL_CONTAINER")
	asked := i.latest().show().Pending

	whole := parse(t, first)
	send := func(ctx context.Context, batch signals.EventBatch) error {
		options := client.StartWorkflowOptions{ID: i.WorkflowID, TaskQueue: f.host.Name}
		input := signals.Input{Route: route, First: &whole}
		_, err := own.SignalWithStartWorkflow(ctx, i.WorkflowID, signals.Events, batch, options, signals.WorkflowCryptoMiner, input)
		return err
	}
	// A starter leaves as much time between two signals.
	const spacing = 20 * time.Millisecond
	flood, ctx := errgroup.WithContext(f.ctx)
	for sender := range senders {
		flood.Go(func() error {
			tick := time.NewTicker(spacing)
			defer tick.Stop()
			for n := range batches {
				<-tick.C
				if err := send(ctx, flooding(whole, sender, n, perBatch)); err != nil {
					return fmt.Errorf("sender %d, batch %d: %w", sender, n, err)
				}
			}
			return nil
		})
	}
	f.await("the incident has moved on", func() bool { return i.current() != i.RunID })
	worker.kill()
	f.worker()
	require.NoError(t, flood.Wait())

	const count = 1 + senders*batches*perBatch
	const duplicates = senders * ((batches-1)*perBatch + batches*2)
	latest := i.latest()
	f.await("all events are counted", func() bool { return latest.show().Events.Count >= count })
	page := latest.show()
	require.Equal(t, signals.EventCount{Count: count, Duplicates: duplicates}, page.Events)
	require.Equal(t, i.RunID, page.RunID)
	require.Equal(t, asked, page.Pending, "the request is the one that was asked at the beginning")
	require.NotEmpty(t, page.Incident.Labels, "the first event is shown whole")

	listed := f.run(firebreak(), "incidents", "--output", "json")
	require.Zero(t, listed.code, listed.stderr)
	var rows []struct {
		WorkflowID string `json:"workflow_id"`
		RunID      string `json:"run_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(listed.stdout), &rows))
	require.Len(t, rows, 1, "an incident is listed once, however many runs it took")
	require.Equal(t, i.RunID, rows[0].RunID)
	approved := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed", "--request", asked.ID)
	require.Zero(t, approved.code, approved.stdout+approved.stderr)

	end := latest.page()
	require.Equal(t, signals.Contained, end.Outcome)
	require.Equal(t, page.Events, end.Events)
	require.Equal(t, 1, f.killed())
	require.Equal(t, 1, f.sysdig.Requests(http.MethodPost, executions))
	i.verify(end)
	runs := i.chain()
	require.Greater(t, len(runs), 2, "as many events do not fit into one history")
	t.Logf("%d events and %d duplicates over %d runs", end.Events.Count, end.Events.Duplicates, len(runs))
}

// flooding is a sender's batch: new events, all those of the batch before once
// more, and word of two that were delivered yet again.
func flooding(like domain.Incident, sender, n, events int) signals.EventBatch {
	numbered := func(n, e int) domain.Incident {
		event := signals.Slim(like)
		event.ID = fmt.Sprintf("%s-%d-%d-%d", like.ID, sender, n, e)
		return event
	}
	batch := signals.EventBatch{Repeated: []signals.Repeat{{ID: like.ID, Times: 2}, {ID: "of-another-incident", Times: 9}}}
	for e := range events {
		batch.Events = append(batch.Events, numbered(n, e))
		if n > 0 {
			batch.Events = append(batch.Events, numbered(n-1, e))
		}
	}
	return batch
}
