package workflows_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// opened is the input of a starter that sends the first event whole.
func opened(in signals.Input, first incident.Incident) signals.Input {
	in.First = &first
	return in
}

// numbered is an event of the same detection with an ID of its own.
func numbered(n int) incident.Incident {
	event := signals.Slim(miner())
	event.ID = fmt.Sprintf("event-%d", n)
	return event
}

// suggest has the server suggest after a time that the incident moves on, with
// the task that brings a signal.
func (b *bench) suggest(after time.Duration) {
	b.suggestWith(after, signals.Note, signals.NoteText{Analyst: "eve", Text: "moving"})
}

func (b *bench) suggestWith(after time.Duration, name string, payload any) {
	b.RegisterDelayedCallback(func() { b.SignalWorkflowSkippingWorkflowTask(name, payload) }, after)
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, after+time.Millisecond)
}

// moves runs a playbook until it moves on, and returns the next run's input and
// the page it carries.
func (b *bench) moves(playbook any, in signals.Input, events ...incident.Incident) (signals.Input, signals.Page) {
	b.t.Helper()
	if len(events) > 0 {
		b.at(0, signals.Events, signals.EventBatch{Events: events})
	}
	next, page := b.goesOn(playbook, in)
	require.Empty(b.t, b.reported, "an incident that moves on is not closed")
	return next, page
}

// goesOn is moves for an incident that was closed before, and reopened.
func (b *bench) goesOn(playbook any, in signals.Input) (signals.Input, signals.Page) {
	b.t.Helper()
	b.ExecuteWorkflow(playbook, in)
	require.True(b.t, b.IsWorkflowCompleted(), "the playbook is stuck")
	var moved *workflow.ContinueAsNewError
	require.ErrorAs(b.t, b.GetWorkflowError(), &moved)
	var next signals.Input
	require.NoError(b.t, converter.GetDefaultDataConverter().FromPayloads(moved.Input, &next))
	var carried struct{ Page signals.Page }
	require.NoError(b.t, json.Unmarshal(next.Carried, &carried))
	require.Equal(b.t, carried.Page.WarRoom, b.query().WarRoom, "the run that ended shows what it handed over")
	return next, carried.Page
}

// after is the bench of the run that comes after another one's.
func (b *bench) after() *bench {
	next := newBench(b.t)
	next.SetStartTime(b.Now())
	next.SetContinuedExecutionRunID("an-earlier-run")
	next.enrich, next.execute, next.capture, next.await, next.save, next.report = b.enrich, b.execute, b.capture, b.await, b.save, b.report
	return next
}

func TestAnIncidentGoesOnWaitingWhereItWasWhenItMovedOn(t *testing.T) {
	t.Parallel()
	hour := incident.Duration(time.Hour)
	watched := minerInput()
	watched.Route.CoolDown = &hour
	first := minerInput()
	first.Route.CaptureFirst = true
	bare := miner()
	bare.Host.ID = ""
	for name, test := range map[string]struct {
		playbook any
		in       signals.Input
		event    incident.Incident
		// before brings the incident to the step, after from there to its end.
		before, after func(*bench)
		state         signals.State
		outcome       signals.State
		executed      [2]int
	}{
		"fields": {
			workflows.CryptoMiner, minerInput(), bare,
			func(b *bench) {
				b.enrich = func() (activities.Enrichment, error) { return activities.Enrichment{}, nil }
			},
			func(b *bench) {
				b.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": "host-9"}})
				b.at(2*time.Minute, signals.Approve, decision("ann"))
			},
			signals.NeedsFields, signals.Contained,
			[2]int{0, 1},
		},
		"approval": {
			workflows.CryptoMiner, minerInput(), miner(), func(*bench) {},
			func(b *bench) { b.at(time.Minute, signals.Approve, decision("ann")) },
			signals.AwaitingApproval, signals.Contained,
			[2]int{0, 1},
		},
		"approval, after a capture": {
			workflows.CryptoMiner, first, miner(), func(*bench) {},
			func(b *bench) { b.at(time.Minute, signals.Reject, decision("ann")) },
			signals.AwaitingApproval, signals.Rejected,
			[2]int{0, 0},
		},
		"watch": {
			workflows.CryptoMiner, watched, miner(),
			func(b *bench) { b.at(time.Minute, signals.Approve, decision("ann")) },
			func(*bench) {},
			signals.Watching, signals.Contained,
			[2]int{1, 0},
		},
		"approval of a capture": {
			workflows.Capture, captureInput(), miner(), func(*bench) {},
			func(b *bench) {
				b.at(time.Minute, signals.Approve, decision("ann"))
				b.at(2*time.Minute, signals.Approve, decision("ann"))
			},
			signals.AwaitingApproval, signals.Captured,
			[2]int{0, 0},
		},
		"approval to save": {
			workflows.Capture, captureInput(), miner(),
			func(b *bench) { b.at(time.Minute, signals.Approve, decision("ann")) },
			func(b *bench) { b.at(time.Minute, signals.Approve, decision("bob")) },
			signals.AwaitingSave, signals.Captured,
			[2]int{0, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := newBench(t)
			test.before(one)
			one.suggest(5 * time.Minute)
			in, page := one.moves(test.playbook, opened(test.in, test.event), test.event)
			require.Equal(t, test.state, page.State)
			require.Len(t, one.executed, test.executed[0])

			two := one.after()
			var went signals.Page
			two.RegisterDelayedCallback(func() { went = two.query() }, time.Second)
			test.after(two)
			end := two.run(test.playbook, in)
			require.Equal(t, page, went, "nothing is told again, and the request is the same")
			require.Equal(t, test.outcome, end.Outcome)
			require.Equal(t, page.WarRoom, end.WarRoom[:len(page.WarRoom)])
			require.Equal(t, page.RunID, end.RunID)
			require.Len(t, two.executed, test.executed[1])
			require.Len(t, two.reported, 1)
			require.Equal(t, signals.EventCount{Count: 1}, end.Events)
		})
	}
}

func TestAnIncidentThatMovesOnAsksTheSameOfSysdigAsOneThatStays(t *testing.T) {
	t.Parallel()
	process := miner()
	process.Container, process.HostLevel = incident.Container{}, true
	process.Process.PID = 9007199254740993
	stays := newBench(t)
	process.OccurredAt = stays.Now()
	stays.at(time.Minute, signals.Approve, decision("ann"))
	stays.run(workflows.CryptoMiner, minerInput(), process)

	one := newBench(t)
	one.suggest(time.Minute)
	in, _ := one.moves(workflows.CryptoMiner, opened(minerInput(), process), process)
	two := one.after()
	two.at(time.Minute, signals.Approve, decision("ann"))
	end := two.run(workflows.CryptoMiner, in)
	require.Equal(t, stays.executed[0].CallerID, two.executed[0].CallerID)
	require.Equal(t, stays.executed[0].Parameters, two.executed[0].Parameters)
	require.Contains(t, strings.Join(texts(end, signals.KindAction), "\n"), "process.id=9007199254740993")
}

func TestWhatCanHappenBeforeAWaitIsRememberedAfterAMove(t *testing.T) {
	t.Parallel()
	t.Run("a failure", func(t *testing.T) {
		t.Parallel()
		one := newBench(t)
		one.execute = func(activities.ActionInput) (activities.Execution, error) {
			return activities.Execution{}, temporal.NewNonRetryableApplicationError("agent busy", activities.ErrFailed, nil)
		}
		one.at(time.Minute, signals.Approve, decision("ann"))
		one.suggest(5 * time.Minute)
		in, page := one.moves(workflows.CryptoMiner, opened(minerInput(), miner()), miner())
		two := one.after()
		two.at(time.Minute, signals.Reject, decision("ann"))
		end := two.run(workflows.CryptoMiner, in)
		require.Equal(t, signals.Failed, end.Outcome)
		require.ErrorContains(t, two.GetWorkflowError(), "incident failed: agent busy")
		require.Empty(t, two.executed)
		require.Contains(t, page.WarRoom[len(page.WarRoom)-2].Text, "try again after the failure?")
	})
	t.Run("an action nobody can account for", func(t *testing.T) {
		t.Parallel()
		one := newBench(t)
		one.execute = func(activities.ActionInput) (activities.Execution, error) {
			return activities.Execution{}, temporal.NewNonRetryableApplicationError("no answer", activities.ErrAmbiguous, nil)
		}
		one.at(time.Minute, signals.Approve, decision("ann"))
		one.suggest(5 * time.Minute)
		in, _ := one.moves(workflows.CryptoMiner, opened(minerInput(), miner()), miner())
		two := one.after()
		two.at(time.Minute, signals.Reject, decision("ann"))
		require.Equal(t, signals.Ambiguous, two.run(workflows.CryptoMiner, in).Outcome)
	})
	t.Run("a failure that is tried again", func(t *testing.T) {
		t.Parallel()
		one := newBench(t)
		in := minerInput()
		in.Route.Approval.Mode = incident.ModeNone
		one.execute = func(activities.ActionInput) (activities.Execution, error) {
			return activities.Execution{}, temporal.NewNonRetryableApplicationError("agent busy", activities.ErrFailed, nil)
		}
		one.suggest(5 * time.Minute)
		next, _ := one.moves(workflows.CryptoMiner, opened(in, miner()), miner())
		two := one.after()
		two.execute = func(activities.ActionInput) (activities.Execution, error) {
			return activities.Execution{ID: "x-2"}, nil
		}
		two.at(time.Minute, signals.Approve, decision("ann"))
		require.Equal(t, signals.Contained, two.run(workflows.CryptoMiner, next).Outcome)
		require.Len(t, two.executed, 1)
		require.NotEqual(t, one.executed[0].CallerID, two.executed[0].CallerID, "a new intention needs a new caller ID")
	})
	t.Run("a return", func(t *testing.T) {
		t.Parallel()
		one := newBench(t)
		hour := incident.Duration(time.Hour)
		in := minerInput()
		in.Route.CoolDown, in.Route.Approval.Mode = &hour, incident.ModeNone
		one.RegisterDelayedCallback(func() {
			again := numbered(2)
			again.OccurredAt = one.Now()
			one.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{again}})
		}, 5*time.Minute)
		one.suggest(10 * time.Minute)
		next, page := one.moves(workflows.CryptoMiner, opened(in, miner()), miner())
		require.Equal(t, signals.AwaitingApproval, page.State)
		two := one.after()
		two.at(time.Minute, signals.Approve, decision("ann"))
		end := two.run(workflows.CryptoMiner, next)
		require.Equal(t, signals.Contained, end.Outcome)
		require.Len(t, two.executed, 1)
		require.Equal(t, signals.EventCount{Count: 2}, end.Events)
	})
	t.Run("a return during a watch that moved on", func(t *testing.T) {
		t.Parallel()
		one := newBench(t)
		hour := incident.Duration(time.Hour)
		in := minerInput()
		in.Route.CoolDown, in.Route.Approval.Mode = &hour, incident.ModeNone
		one.suggest(30 * time.Minute)
		next, _ := one.moves(workflows.CryptoMiner, opened(in, miner()), miner())
		two := one.after()
		two.RegisterDelayedCallback(func() {
			late, again := numbered(2), numbered(3)
			late.OccurredAt, again.OccurredAt = two.Now().Add(-time.Hour), two.Now().Add(-time.Second)
			two.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{late}})
			require.Equal(t, signals.Watching, two.query().State)
			two.SignalWorkflow(signals.Events, signals.EventBatch{Events: []incident.Incident{again}})
		}, 29*time.Minute)
		two.at(time.Hour, signals.Reject, decision("ann"))
		end := two.run(workflows.CryptoMiner, next)
		require.Equal(t, signals.Rejected, end.Outcome)
		require.Empty(t, two.executed, "nothing loops by itself")
	})
}

// The expressions of a route were to tell every field: what an analyst is asked
// for is only known once they were evaluated.
func TestAnIncidentThatMovedOnWaitsForTheFieldsThatItAskedFor(t *testing.T) {
	t.Parallel()
	one := newBench(t)
	one.enrich = func() (activities.Enrichment, error) { return activities.Enrichment{}, nil }
	in := respondInput("FILE_QUARANTINE")
	in.Route.Parameters = map[string]string{"path.absolute": `incident.fields["no.such.field"]`, "host.id": `"host-1"`}
	event := everything()
	event.File.Path = ""
	one.suggest(5 * time.Minute)
	next, page := one.moves(workflows.Respond, opened(in, event), event)
	require.Equal(t, signals.NeedsFields, page.State)
	two := one.after()
	two.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"file.path": "/tmp/amended"}})
	require.Equal(t, signals.Contained, two.run(workflows.Respond, next).Outcome)
	require.Equal(t, "/tmp/amended", two.executed[0].Parameters["path.absolute"])
}

// The container becomes known while an analyst is asked for the host: the
// question that follows is about what the incident was opened for all the same.
func TestAFieldThatComesLaterDoesNotChangeTheActionOfAnIncidentThatMovedOn(t *testing.T) {
	t.Parallel()
	event := miner()
	one := newBench(t)
	event.Host.ID, event.Container, event.HostLevel, event.OccurredAt = "", incident.Container{}, true, one.Now()
	one.enrich = func() (activities.Enrichment, error) { return activities.Enrichment{}, nil }
	one.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"container.id": "6949e5f10829"}})
	one.suggest(2 * time.Minute)
	in, _ := one.moves(workflows.CryptoMiner, opened(minerInput(), event), event)
	two := one.after()
	two.at(time.Minute, signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": "host-9"}})
	two.at(2*time.Minute, signals.Approve, decision("ann"))
	two.run(workflows.CryptoMiner, in)
	require.Equal(t, "KILL_PROCESS", two.executed[0].Action)
}

func TestRemindersAndExpiryAreThoseOfAnIncidentThatStays(t *testing.T) {
	t.Parallel()
	in := minerInput()
	in.Route.Approval = incident.Approval{
		Mode: incident.ModeOne, RemindEvery: incident.Duration(15 * time.Minute),
		EscalateAfter: incident.Duration(35 * time.Minute), ExpireAfter: incident.Duration(time.Hour),
	}
	told := func(page signals.Page) []signals.Entry {
		var entries []signals.Entry
		for _, e := range page.WarRoom {
			if e.Kind == signals.KindReminder || e.Kind == signals.KindDecision {
				entries = append(entries, e)
			}
		}
		return entries
	}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	stays := newBench(t)
	stays.SetStartTime(start)
	want := told(stays.run(workflows.CryptoMiner, in, miner()))
	require.Len(t, want, 5, "three reminders, an escalation, the expiry")

	// The server suggests it all the time, and something happens every 7 minutes.
	b, next, runs := newBench(t), opened(in, miner()), 1
	b.SetStartTime(start)
	b.at(0, signals.Events, signals.EventBatch{Events: []incident.Incident{miner()}})
	for ; ; runs++ {
		b.SetContinueAsNewSuggested(true)
		b.at(7*time.Minute, signals.Note, signals.NoteText{Analyst: "eve", Text: "hm"})
		b.ExecuteWorkflow(workflows.CryptoMiner, next)
		var moved *workflow.ContinueAsNewError
		if err := b.GetWorkflowError(); err == nil {
			break
		} else {
			require.ErrorAs(t, err, &moved)
		}
		next = signals.Input{}
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(moved.Input, &next))
		b = b.after()
	}
	require.Greater(t, runs, 8)
	var end signals.Page
	require.NoError(t, b.GetWorkflowResult(&end))
	require.Equal(t, want, told(end))
	require.Equal(t, signals.Expired, end.Outcome)
}

func TestADecisionThatComesWithTheSuggestionCountsInTheRunItWasSentTo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.suggestWith(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, opened(minerInput(), miner()), miner())
	require.Equal(t, signals.Contained, page.Outcome)
}

func TestADecisionOnAnEarlierRequestIsTooLateInEveryRun(t *testing.T) {
	t.Parallel()
	one := newBench(t)
	var first string
	one.RegisterDelayedCallback(func() {
		first = one.query().Pending.ID
		one.SignalWorkflow(signals.Approve, decision("ann"))
	}, time.Minute)
	one.suggest(5 * time.Minute)
	in, page := one.moves(workflows.Capture, opened(captureInput(), miner()), miner())
	two := one.after()
	two.at(time.Minute, signals.Approve, signals.Decision{Analyst: "ann", Request: first})
	two.at(2*time.Minute, signals.Approve, signals.Decision{Analyst: "bob", Request: page.Pending.ID})
	end := two.run(workflows.Capture, in)
	require.Equal(t, signals.Captured, end.Outcome)
	require.Equal(t, []string{"approve did not count: too late: request " + first + " (CAPTURE) was already approved by ann; pending is " + page.Pending.ID},
		texts(end, signals.KindRefused))
}

// An incident that was opened by an older starter stays in its run, whatever the
// server suggests: so do all whose histories are stored.
func TestAnIncidentOfAnOlderStarterDoesNotMoveOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.suggest(time.Minute)
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	require.Equal(t, signals.Contained, b.run(workflows.CryptoMiner, minerInput(), miner()).Outcome)
}

func TestARunInWhichNothingHappenedDoesNotMoveOn(t *testing.T) {
	t.Parallel()
	one := newBench(t)
	one.suggest(time.Minute)
	in, _ := one.moves(workflows.CryptoMiner, opened(minerInput(), miner()), miner())
	two := one.after()
	two.SetContinueAsNewSuggested(true)
	two.RegisterDelayedCallback(func() { require.Equal(t, signals.AwaitingApproval, two.query().State) }, time.Minute)
	two.at(2*time.Minute, signals.Approve, decision("ann"))
	require.Equal(t, signals.Contained, two.run(workflows.CryptoMiner, in).Outcome)
}

func TestAnIncidentWhoseStepIsGoneFromThePlaybookFailsAloud(t *testing.T) {
	t.Parallel()
	one := newBench(t)
	one.suggest(time.Minute)
	in, _ := one.moves(workflows.CryptoMiner, opened(minerInput(), miner()), miner())
	in.Carried = json.RawMessage(strings.ReplaceAll(string(in.Carried), "KILL_CONTAINER", "KILL_EVERYTHING"))
	in.Route.CoolDown = noCoolDown()
	two := one.after()
	end := two.run(workflows.CryptoMiner, in)
	require.Equal(t, signals.Failed, end.Outcome)
	require.Empty(t, two.executed)
	require.ErrorContains(t, two.GetWorkflowError(), "cannot go on where an earlier one waited")
}

func TestAWatchThatMovedOnEndsWhenItWouldHave(t *testing.T) {
	t.Parallel()
	hour := incident.Duration(time.Hour)
	in := opened(minerInput(), miner())
	in.Route.CoolDown, in.Route.Approval.Mode = &hour, incident.ModeNone
	one := newBench(t)
	one.suggest(20 * time.Minute)
	next, _ := one.moves(workflows.CryptoMiner, in, miner())
	two := one.after()
	end := two.run(workflows.CryptoMiner, next)
	require.Equal(t, signals.Contained, end.Outcome)
	var watched []time.Time
	for _, e := range end.WarRoom {
		if strings.HasPrefix(e.Text, "watching ") || e.Text == "the detection did not return" {
			watched = append(watched, e.Time)
		}
	}
	require.Len(t, watched, 2)
	require.Equal(t, time.Hour, watched[1].Sub(watched[0]))
}

func TestTheEvidenceOfAllRunsLiesWithTheOneThatOpenedTheIncident(t *testing.T) {
	t.Parallel()
	one := newBench(t)
	one.at(time.Minute, signals.Approve, decision("ann"))
	one.suggest(5 * time.Minute)
	in, page := one.moves(workflows.Capture, opened(captureInput(), miner()), miner())
	// In the test environment all runs have one ID.
	in.Carried = json.RawMessage(strings.ReplaceAll(string(in.Carried), page.RunID, "the-opening-run"))
	two := one.after()
	var saved []activities.SaveInput
	two.save = func(in activities.SaveInput) (activities.StoredFile, error) {
		saved = append(saved, in)
		return one.save(in)
	}
	two.at(time.Minute, signals.Approve, decision("bob"))
	two.run(workflows.Capture, in)
	require.Len(t, saved, 1)
	require.Equal(t, "the-opening-run", saved[0].RunID)
	require.Equal(t, "the-opening-run", two.reported[0].RunID)
}

// What a run that repeats another one submits may have been submitted before,
// and so may what the runs after it do.
func TestWhatFollowsAResetLooksForWhatWasSubmittedBefore(t *testing.T) {
	t.Parallel()
	for name, reset := range map[string]bool{"reset": true, "not reset": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.suggest(time.Minute)
			next, _ := b.moves(workflows.CryptoMiner, opened(minerInput(), miner()), miner())
			var carried map[string]any
			require.NoError(t, json.Unmarshal(next.Carried, &carried))
			carried["reset"] = reset
			var err error
			next.Carried, err = json.Marshal(carried)
			require.NoError(t, err)
			b = b.after()
			b.at(time.Minute, signals.Approve, decision("ann"))
			require.Equal(t, signals.Contained, b.run(workflows.CryptoMiner, next).Outcome)
			require.Equal(t, reset, b.executed[0].Resumed)
		})
	}
}

// An incident that moves on with a signal whose sender is still to be looked up
// would take it to nobody.
func TestASignalIsVettedBeforeTheIncidentMovesOn(t *testing.T) {
	t.Parallel()
	hour := incident.Duration(time.Hour)
	for name, approves := range map[string]bool{"waiting": false, "watching": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := opened(minerInput(), miner())
			in.Route.CoolDown = &hour
			in.Approvers = signals.Approvers{Trust: signals.TrustVerified, Analysts: []string{"ann"}}
			b.vet = func(activities.VetInput) (activities.Vetting, error) {
				return activities.Vetting{Principal: "ann"}, nil
			}
			if approves {
				b.at(time.Minute, signals.Approve, decision("ann"))
			}
			b.suggestWith(10*time.Minute, signals.Note, signals.NoteText{Analyst: "ann", Text: "do not lose this"})
			_, page := b.moves(workflows.CryptoMiner, in, miner())
			require.Equal(t, approves, page.State == signals.Watching)
			require.Equal(t, []string{"do not lose this"}, texts(page, signals.KindNote))
		})
	}
}

func TestPeopleAreNotifiedBeforeTheIncidentMovesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := opened(minerInput(), miner())
	in.Notify, in.Route.Approval.Mode = true, incident.ModeTwo
	b.suggestWith(10*time.Minute, signals.Approve, decision("ann"))
	next, _ := b.moves(workflows.CryptoMiner, in, miner())
	require.Equal(t, []activities.ChangeKind{activities.ChangeOpened, activities.ChangeRequest, activities.ChangeDecision}, changes(b.notified))
	b = b.after()
	b.at(time.Minute, signals.Approve, decision("bob"))
	require.Equal(t, signals.Contained, b.run(workflows.CryptoMiner, next).Outcome)
	require.Equal(t, []activities.ChangeKind{activities.ChangeDecision, activities.ChangeResult, activities.ChangeClosed}, changes(b.notified),
		"the next run goes on notifying, and tells nothing twice")
}

// chained has a playbook take itself for a run of a chain, which the test
// environment does not know of.
type chained struct {
	interceptor.WorkerInterceptorBase

	first, run string
}

func (c *chained) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &chainedIn{interceptor.WorkflowInboundInterceptorBase{Next: next}, c}
}

type chainedIn struct {
	interceptor.WorkflowInboundInterceptorBase

	of *chained
}

func (c *chainedIn) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return c.Next.Init(&chainedOut{interceptor.WorkflowOutboundInterceptorBase{Next: next}, c.of})
}

type chainedOut struct {
	interceptor.WorkflowOutboundInterceptorBase

	of *chained
}

func (c *chainedOut) GetInfo(ctx workflow.Context) *workflow.Info {
	info := *c.Next.GetInfo(ctx)
	info.FirstRunID, info.WorkflowExecution.RunID = c.of.first, c.of.run
	return &info
}

// A run that goes on where another one ended, or repeats it, finds what was done
// there by its name.
func TestWhatIsDoneHasTheSameNameInEveryRunOfAChain(t *testing.T) {
	t.Parallel()
	names := func(first, run string) []string {
		b := newBench(t)
		b.SetWorkerOptions(worker.Options{
			DeadlockDetectionTimeout: patience, Interceptors: []interceptor.WorkerInterceptor{&chained{first: first, run: run}},
		})
		var all []string
		b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
			all = append(all, in.Name)
			return activities.Capture{ID: 7, Name: in.Name, Size: 100}, nil
		}
		in := respondInput("PAUSE_CONTAINER")
		in.Route.CaptureFirst, in.Route.AutoUndoAfter = true, incident.Duration(time.Hour)
		page := b.run(workflows.Respond, in, everything())
		require.Equal(t, run, page.RunID)
		for i := range b.executed {
			all = append(all, b.executed[i].CallerID)
		}
		return all
	}
	one := names("run-1", "run-1")
	require.Len(t, one, 3)
	require.Equal(t, one, names("run-1", "run-2"))
	for i, name := range names("run-2", "run-2") {
		require.NotEqual(t, one[i], name, "another chain does something else")
	}
}
