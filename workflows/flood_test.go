package workflows_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// batch are the events with the numbers from, from+1, … below to.
func batch(from, to int) signals.EventBatch {
	var b signals.EventBatch
	for n := from; n < to; n++ {
		b.Events = append(b.Events, numbered(n))
	}
	return b
}

func TestTheEventThatOpensAnIncidentIsShownWhole(t *testing.T) {
	t.Parallel()
	whole := miner()
	whole.Output, whole.Labels = "miner found", map[string]string{"team": "shop"}
	in := opened(minerInput(), whole)
	for name, test := range map[string]struct {
		events []incident.Incident
		output string
	}{
		"the first of its batch":            {[]incident.Incident{signals.Slim(whole), numbered(2)}, "miner found"},
		"another event opened the incident": {[]incident.Incident{numbered(2), signals.Slim(whole)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.at(time.Minute, signals.Reject, decision("ann"))
			page := b.run(workflows.CryptoMiner, in, test.events...)
			require.Equal(t, test.events[0].ID, page.Incident.ID)
			require.Equal(t, test.output, page.Incident.Output)
			require.Equal(t, 2, page.Events.Count)
		})
	}
}

func TestARepeatedEventConcernsTheIncidentThatCountedIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Events, signals.EventBatch{Repeated: []signals.Repeat{{ID: "event-1", Times: 3}, {ID: "of-the-last-incident", Times: 5}}})
	b.at(2*time.Minute, signals.Events, signals.EventBatch{
		Events: []incident.Incident{numbered(2)}, Repeated: []signals.Repeat{{ID: "event-2", Times: 1}},
	})
	b.at(3*time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.EventCount{Count: 2, Duplicates: 4}, page.Events)
	require.Empty(t, texts(page, signals.KindRefused))
}

// Each run is told a tenth of the events, some of the run before, and repeats.
func TestAHundredThousandEventsAreCountedExactlyOverManyRuns(t *testing.T) {
	t.Parallel()
	const runs, perRun, perBatch, again = 10, 10_000, 500, 1000
	b, in := newBench(t), opened(minerInput(), numbered(0))
	duplicates := 0
	for run := range runs {
		from := run * perRun
		for n := from; n < from+perRun; n += perBatch {
			b.at(time.Duration(n-from)*time.Millisecond, signals.Events, batch(n, n+perBatch))
		}
		if run > 0 {
			b.at(20*time.Second, signals.Events, batch(from-again, from))
			b.at(30*time.Second, signals.Events, signals.EventBatch{Repeated: []signals.Repeat{{ID: "event-0", Times: 7}}})
			duplicates += again + 7
		}
		b.suggest(time.Minute)
		var page signals.Page
		in, page = b.moves(workflows.CryptoMiner, in)
		require.Equal(t, signals.EventCount{Count: from + perRun, Duplicates: duplicates}, page.Events)
		b = b.after()
	}
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in)
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, signals.EventCount{Count: runs * perRun, Duplicates: duplicates}, page.Events)
	require.Len(t, b.executed, 1)
	require.Less(t, len(page.WarRoom), 60, "a flood does not flood the war room")
}

// The SDK fails a task in which a workflow computes for a second without a
// pause.
func TestAFloodThatCameWhileNoWorkerRanIsReadInOneTask(t *testing.T) {
	t.Parallel()
	const events, perBatch = 100_000, 500
	b := newBench(t)
	wide := numbered(0)
	wide.Process.Cmdline = strings.Repeat("x", 400)
	b.RegisterDelayedCallback(func() {
		for n := 0; n < events; n += perBatch {
			all := batch(n, n+perBatch)
			for i := range all.Events {
				all.Events[i].Process = wide.Process
			}
			b.SignalWorkflowSkippingWorkflowTask(signals.Events, all)
		}
		b.SignalWorkflow(signals.Reject, decision("ann"))
	}, 0)
	b.at(time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, opened(minerInput(), wide))
	require.Equal(t, signals.EventCount{Count: events}, page.Events)
}

func TestAFloodOfReturnsIsToldOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hour := incident.Duration(time.Hour)
	in := minerInput()
	in.Route.CoolDown, in.Route.Approval.Mode = &hour, incident.ModeNone
	b.RegisterDelayedCallback(func() {
		returned := batch(2, 500)
		for i := range returned.Events {
			returned.Events[i].OccurredAt = b.Now()
		}
		b.SignalWorkflow(signals.Events, returned)
	}, time.Minute)
	b.at(2*time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, 499, page.Events.Count)
	require.Equal(t, 1, strings.Count(strings.Join(texts(page, signals.KindEvent), "\n"), "the detection returned"))
}

// What is written here is as large as anybody can make it: the server would
// terminate a workflow whose payload is over its limit.
func TestWhatIsCarriedStaysBelowTheServersLimit(t *testing.T) {
	t.Parallel()
	const limit, remembered = 1_800_000, 1 << 17
	// JSON takes six characters for each of these.
	worst := func(n int) string { return strings.Repeat("\x01", n) }
	large := miner()
	large.Labels = map[string]string{}
	for i := range 60 {
		large.Labels[fmt.Sprint("label-", i)] = worst(4096)
	}
	huge := large
	huge.Fields = large.Labels
	for name, test := range map[string]struct {
		first  incident.Incident
		labels int
		known  bool
	}{
		"a small event":       {miner(), 0, true},
		"a large event":       {large, 60, true},
		"an event beyond all": {huge, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := newBench(t)
			one.suggest(time.Minute)
			in, _ := one.moves(workflows.CryptoMiner, opened(minerInput(), test.first), signals.Slim(test.first))
			in.Carried = remembering(t, in.Carried, remembered)

			two := one.after()
			two.RegisterDelayedCallback(func() {
				for range 400 {
					two.SignalWorkflowSkippingWorkflowTask(signals.Note, signals.NoteText{Analyst: worst(100), Text: worst(2500)})
				}
			}, 0)
			two.at(0, signals.Events, batch(2, 1000))
			two.suggest(time.Minute)
			in, page := two.moves(workflows.CryptoMiner, in)
			encoded, err := json.Marshal(in)
			require.NoError(t, err)
			require.LessOrEqual(t, len(encoded), limit)
			require.Len(t, page.Incident.Labels, test.labels)
			require.Equal(t, 999, page.Events.Count)

			three := two.after()
			three.at(time.Minute, signals.Events, signals.EventBatch{Events: []incident.Incident{numbered(999)}})
			three.at(2*time.Minute, signals.Reject, decision("ann"))
			end := three.run(workflows.CryptoMiner, in)
			if test.known {
				require.Equal(t, signals.EventCount{Count: 999, Duplicates: 1}, end.Events, "the newest are remembered longest")
			}
			result, err := json.Marshal(end)
			require.NoError(t, err)
			require.Less(t, len(result), limit)
		})
	}
}

// remembering is what is carried, with the fingerprints of as many events.
func remembering(t *testing.T, carried json.RawMessage, events int) json.RawMessage {
	t.Helper()
	var state map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(carried, &state))
	var fingerprints []byte
	for n := range events {
		fingerprints = binary.BigEndian.AppendUint64(fingerprints, uint64(n))
	}
	var err error
	state["seen"], err = json.Marshal(fingerprints)
	require.NoError(t, err)
	carried, err = json.Marshal(state)
	require.NoError(t, err)
	return carried
}

// An incident that cannot be carried is better off in a long history than
// terminated.
func TestAnIncidentThatIsTooLargeToBeCarriedStays(t *testing.T) {
	t.Parallel()
	in := opened(minerInput(), miner())
	for i := range 200_000 {
		in.Approvers.Analysts = append(in.Approvers.Analysts, fmt.Sprint("analyst-", i))
	}
	b := newBench(t)
	b.suggest(time.Minute)
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
}

// returnsWhileClosing has the detection arrive while the report is stored, as of
// a time after that.
func (b *bench) returnsWhileClosing(after time.Duration) {
	attempts := 0
	b.report = func(signals.Page) error {
		// The store is slow for the first report: it becomes an activity, which
		// gives the event time to arrive.
		switch attempts++; attempts {
		case 1:
			return fmt.Errorf("slow")
		case 2:
			again := numbered(2)
			again.OccurredAt = b.Now().Add(after)
			b.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{again}})
		}
		return nil
	}
}

func TestADetectionThatReturnsWhileTheIncidentClosesReopensIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after   time.Duration // of the event, since the containment
		reopens bool
	}{
		"after the containment":  {time.Minute, true},
		"before the containment": {-time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := opened(minerInput(), miner())
			in.Route.Approval.Mode = incident.ModeNone
			b.returnsWhileClosing(test.after)
			b.at(time.Hour, signals.Approve, decision("ann"))
			page := b.run(workflows.CryptoMiner, in, miner())
			require.Equal(t, signals.Contained, page.Outcome)
			require.Equal(t, 2, page.Events.Count)
			require.Equal(t, []string{"manifest.json"}, page.Evidence)
			if !test.reopens {
				require.Len(t, b.executed, 1)
				return
			}
			require.Len(t, b.executed, 2)
			require.Len(t, b.reported, 3, "the report is stored again")
			require.Equal(t, signals.Contained, b.reported[2].Outcome)
			require.Contains(t, strings.Join(texts(page, signals.KindOutcome), "\n"), "reopened")
			require.Contains(t, strings.Join(texts(page, signals.KindRequest), "\n"), "the detection returned after it was contained. KILL_CONTAINER")
		})
	}
}

// The incident that was reopened while it closed moves on before it is answered.
func TestAReopenedIncidentMovesOnToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := opened(minerInput(), miner())
	in.Route.Approval.Mode = incident.ModeNone
	b.returnsWhileClosing(time.Minute)
	b.suggest(time.Hour)
	b.at(0, signals.Events, signals.EventBatch{Events: []incident.Incident{miner()}})
	next, page := b.goesOn(workflows.CryptoMiner, in)
	require.Equal(t, signals.AwaitingApproval, page.State)
	require.Empty(t, page.Outcome)
	require.Empty(t, page.Evidence)
	two := b.after()
	two.report = func(signals.Page) error { return nil }
	two.at(time.Minute, signals.Approve, decision("ann"))
	end := two.run(workflows.CryptoMiner, next)
	require.Equal(t, signals.Contained, end.Outcome)
	require.Len(t, two.executed, 1)
	require.Equal(t, []string{"manifest.json"}, end.Evidence)
}

// A second detection that arrives with a cancellation reopens nothing.
func TestACancelledWatchIsNotReopened(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hour := incident.Duration(time.Hour)
	in := opened(minerInput(), miner())
	in.Route.CoolDown, in.Route.Approval.Mode = &hour, incident.ModeNone
	attempts := 0
	b.report = func(signals.Page) error {
		switch attempts++; attempts {
		case 1:
			return fmt.Errorf("slow")
		case 2:
			again := numbered(2)
			again.OccurredAt = b.Now()
			b.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{again}})
		}
		return nil
	}
	b.RegisterDelayedCallback(b.CancelWorkflow, time.Minute)
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
}
