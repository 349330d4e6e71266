package workflows_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/signals"
	"firebreak/workflows"
)

// guardOf plays the guard until it moves on, and returns what it hands over.
func guardOf(t *testing.T, b *bench, in signals.GuardInput) signals.GuardPage {
	t.Helper()
	b.ExecuteWorkflow(workflows.Guard, in)
	require.True(t, b.IsWorkflowCompleted())
	var moved *workflow.ContinueAsNewError
	require.ErrorAs(t, b.GetWorkflowError(), &moved)
	var next signals.GuardInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(moved.Input, &next))
	return *next.Carried
}

func order(analyst, receipt string) signals.Instruction {
	return signals.Instruction{Analyst: analyst, Reason: "maintenance", Receipt: receipt}
}

func TestASignalOfAReservedNameDoesNotWedgeTheGuard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: in.Member}, nil
	}
	b.at(time.Minute, "__temporal_x", nil)
	b.at(2*time.Minute, signals.Freeze, signals.Instruction{Analyst: "ann", Reason: "maintenance"})
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, 3*time.Minute)
	b.at(4*time.Minute, signals.Freeze, nil)
	page := guardOf(t, b, signals.GuardInput{})
	require.Equal(t, signals.GuardFrozen, page.State)
	require.Equal(t, `signal "__temporal_x" is unknown: want freeze or unfreeze`, page.WarRoom[0].Text)
}

func TestTheGuardKeepsWhoFrozeWhenAndWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		if in.Member == "mallory" {
			return activities.Vetting{Principal: "mallory", Refused: "not entitled"}, nil
		}
		return activities.Vetting{Principal: in.Member}, nil
	}
	b.at(time.Minute, signals.Unfreeze, order("ann", "r-0"))
	b.at(2*time.Minute, signals.Freeze, order("mallory", "r-1"))
	b.at(3*time.Minute, signals.Freeze, order("ann", "r-2"))
	b.at(4*time.Minute, signals.Freeze, order("bob", "r-3"))
	b.at(5*time.Minute, signals.Freeze, "now")
	b.at(6*time.Minute, "fteeze", order("ann", ""))
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, 7*time.Minute)
	b.at(6*time.Minute+time.Second, signals.Unfreeze, map[string]any{"analyst": "bob"})
	page := guardOf(t, b, signals.GuardInput{})
	require.Equal(t, signals.GuardFrozen, page.State)
	require.Equal(t, "ann", page.Frozen.By)
	require.Equal(t, "maintenance", page.Frozen.Reason)
	var told []string
	for _, entry := range page.WarRoom {
		told = append(told, entry.Actor+" "+string(entry.Kind)+" "+entry.Text)
	}
	since := page.Frozen.Since.Format(time.RFC3339)
	require.Equal(t, []string{
		"ann refused unfreeze did not count: containment is not frozen",
		"mallory refused freeze did not count: not entitled",
		"ann decision froze every containment action: maintenance",
		"bob refused freeze did not count: containment is frozen by ann since " + since + ": maintenance",
		`firebreak refused freeze did not count: data is a string, "now": want {"analyst":"ann","reason":"a false alarm"}`,
		`firebreak refused signal "fteeze" is unknown: want freeze or unfreeze`,
		`firebreak refused unfreeze did not count: field "reason" is missing or empty: want why, for the war room`,
	}, told)
	require.Equal(t, signals.Receipt{Answered: true, Analyst: "mallory", Text: "not entitled"}, b.receipt("r-1"))
	require.Equal(t, signals.Receipt{Answered: true, Counted: true, Analyst: "ann", Text: "freeze: maintenance"}, b.receipt("r-2"))

	// The next run goes on from there.
	next := b.after()
	next.vet = b.vet
	next.at(time.Minute, signals.Unfreeze, order("bob", ""))
	next.RegisterDelayedCallback(func() { next.SetContinueAsNewSuggested(true) }, 2*time.Minute)
	next.at(3*time.Minute, "again", nil)
	page = guardOf(t, next, signals.GuardInput{Carried: &page})
	require.Equal(t, signals.GuardOpen, page.State)
	require.Nil(t, page.Frozen)
	require.Equal(t, "unfroze containment: maintenance", page.WarRoom[7].Text)
}

func TestTheGuardDoesNotThawWhenItIsCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: in.Member}, nil
	}
	b.at(time.Minute, signals.Freeze, order("ann", ""))
	b.RegisterDelayedCallback(b.CancelWorkflow, 2*time.Minute)
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, 3*time.Minute)
	b.at(4*time.Minute, "wake", nil)
	require.NotNil(t, guardOf(t, b, signals.GuardInput{}).Frozen)
}

func TestAFreezeThatCannotBeCheckedSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{}, refusal("broken", "no history")
	}
	b.at(time.Minute, signals.Freeze, order("ann", "r"))
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, time.Hour)
	b.at(2*time.Hour, "wake", nil)
	require.Nil(t, guardOf(t, b, signals.GuardInput{}).Frozen)
	require.Equal(t, "its sender could not be looked up, send it again: no history", b.receipt("r").Text)
}

// TestTheGuardSurvivesWhatAnybodySends: the server ends a workflow that hands over
// more than it takes, and a guard that has ended cannot be turned.
func TestTheGuardSurvivesWhatAnybodySends(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: in.Member}, nil
	}
	b.at(time.Second, signals.Freeze, order("ann", ""))
	for range 600 {
		b.at(time.Minute, signals.Freeze, map[string]string{strings.Repeat("<", 2500): ""})
	}
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, 7*time.Minute)
	b.at(8*time.Minute, "wake", nil)
	page := guardOf(t, b, signals.GuardInput{})
	require.Equal(t, "ann", page.Frozen.By)
	encoded, err := json.Marshal(page)
	require.NoError(t, err)
	require.Less(t, len(encoded), 1<<20)
}

// TestTheGuardReadsAFloodThatCameWhileNoWorkerRan: the SDK gives up a task in
// which a workflow computes for a second without a pause.
func TestTheGuardReadsAFloodThatCameWhileNoWorkerRan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.RegisterDelayedCallback(func() {
		for range 900 {
			b.SignalWorkflowSkippingWorkflowTask(signals.Freeze, map[string]string{strings.Repeat("<", 2500): ""})
		}
		b.SignalWorkflow(signals.Unfreeze, order("ann", "r"))
	}, time.Minute)
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, 7*time.Minute)
	b.at(8*time.Minute, "wake", nil)
	guardOf(t, b, signals.GuardInput{})
	require.True(t, b.receipt("r").Answered)
}

// Who sent a signal is found by its place among those of its name, and by its
// data, so that nobody's order passes for another's.
func TestTheGuardHasEachOrderVettedAsTheOneItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var vetted []activities.VetInput
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		vetted = append(vetted, in)
		return activities.Vetting{Principal: "the real " + in.Member}, nil
	}
	orders := []struct {
		name  string
		order signals.Instruction
	}{
		{signals.Freeze, order("ann", "")}, {signals.Unfreeze, order("bob", "")}, {signals.Freeze, order("carl", "")}, {signals.Freeze, order("dora", "")},
	}
	want := make([]activities.VetInput, len(orders))
	for i, ordinal := range []int{1, 1, 2, 3} {
		b.at(time.Duration(i+1)*time.Minute, orders[i].name, orders[i].order)
		payload, err := converter.GetDefaultDataConverter().ToPayload(orders[i].order)
		require.NoError(t, err)
		want[i] = activities.VetInput{
			Signal: orders[i].name, Ordinal: ordinal, Digest: activities.Digest(payload), Member: orders[i].order.Analyst,
		}
	}
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, time.Hour)
	b.at(2*time.Hour, "wake", nil)
	page := guardOf(t, b, signals.GuardInput{})
	require.Equal(t, want, vetted)
	require.Equal(t, "the real carl", page.Frozen.By, "not whom it claims to be from")
}

func TestAnUnfreezeDoesNotUndoAFreezeThatComesWithIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: in.Member}, nil
	}
	b.RegisterDelayedCallback(func() {
		b.SignalWorkflowSkippingWorkflowTask(signals.Freeze, order("ann", ""))
		b.SignalWorkflow(signals.Unfreeze, order("bob", ""))
	}, time.Minute)
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, time.Hour)
	b.at(2*time.Hour, "wake", nil)
	page := guardOf(t, b, signals.GuardInput{})
	require.Equal(t, "unfreeze did not count: containment is not frozen", page.WarRoom[0].Text)
	require.Equal(t, "froze every containment action: maintenance", page.WarRoom[1].Text)
	require.Equal(t, "ann", page.Frozen.By)
}

// A signal that arrives while another is vetted must not be left to a run that
// is over.
func TestTheGuardReadsWhatCameWhileItVettedBeforeItMovesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		if in.Signal == signals.Unfreeze {
			b.SetContinueAsNewSuggested(true)
			b.SignalWorkflow(signals.Freeze, order("ann", ""))
		}
		return activities.Vetting{Principal: in.Member}, nil
	}
	b.at(time.Minute, signals.Unfreeze, order("bob", ""))
	page := guardOf(t, b, signals.GuardInput{})
	require.Len(t, page.WarRoom, 2)
	require.NotNil(t, page.Frozen)
}

// Workers and lists look at the memo and the search attribute, never at the page.
func TestTheGuardShowsTheSwitchWhereWorkersLook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: in.Member}, nil
	}
	var memos []any
	var states []string
	b.OnUpsertMemo(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
		memo, _ := args[0].(map[string]any)
		memos = append(memos, memo[signals.MemoFrozen])
	})
	b.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
		set, _ := args[0].(temporal.SearchAttributes)
		state, _ := set.GetKeyword(signals.IncidentState)
		states = append(states, state)
	})
	b.at(time.Minute, signals.Freeze, order("ann", ""))
	b.at(2*time.Minute, signals.Freeze, order("bob", "")) // does not count
	b.at(3*time.Minute, signals.Unfreeze, order("bob", ""))
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, time.Hour)
	b.at(2*time.Hour, "wake", nil)
	guardOf(t, b, signals.GuardInput{})
	require.Equal(t, []string{"unfrozen", "frozen", "unfrozen"}, states)
	require.Len(t, memos, 3)
	require.Nil(t, memos[0])
	by, _ := memos[1].(signals.Frozen)
	require.Equal(t, "ann", by.By)
	require.Equal(t, "maintenance", by.Reason)
	require.Nil(t, memos[2])
}

func TestAGuardThatGoesOnFrozenShowsItFromTheStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var memos []any
	b.OnUpsertMemo(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
		memo, _ := args[0].(map[string]any)
		memos = append(memos, memo[signals.MemoFrozen])
	})
	b.SetContinueAsNewSuggested(true)
	by := signals.Frozen{By: "ann", Reason: "maintenance"}
	guardOf(t, b, signals.GuardInput{Carried: &signals.GuardPage{State: signals.GuardFrozen, Frozen: &by, WarRoom: []signals.Entry{}}})
	require.Equal(t, []any{by}, memos)
}

func TestTheGuardForgetsTheOldestReceiptsFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.vet = func(in activities.VetInput) (activities.Vetting, error) {
		return activities.Vetting{Principal: in.Member}, nil
	}
	const last = 300
	for n := range last + 1 {
		b.at(time.Duration(n+1)*time.Second, signals.Freeze, order("ann", fmt.Sprint("r-", n)))
	}
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, time.Hour)
	b.at(2*time.Hour, "wake", nil)
	guardOf(t, b, signals.GuardInput{})
	for n, answered := range map[int]bool{0: false, last - 256: false, last - 255: true, last: true} {
		require.Equal(t, answered, b.receipt(fmt.Sprint("r-", n)).Answered, n)
	}
}
