package workflows_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
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
// which a workflow computes for a second without a pause; here it has less
// patience.
func TestTheGuardReadsAFloodThatCameWhileNoWorkerRan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: 100 * time.Millisecond})
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
