package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// failing is an automatic incident whose action fails so many times.
func failing(t *testing.T, times int) (*bench, signals.Input) {
	t.Helper()
	b, in := newBench(t), minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	tries := 0
	b.execute = func(activities.ActionInput) (activities.Execution, error) {
		if tries++; tries <= times {
			return activities.Execution{}, errors.New("execute: Sysdig answered 503")
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	return b, in
}

// attempt is what a worker reports of a failed attempt.
func (b *bench) attempt(id string, failures int, text string, wait time.Duration) signals.Retry {
	now := b.Now()
	return signals.Retry{
		ActivityID: id, Activity: "ExecuteAction", Failures: failures, Failure: text,
		FailedAt: now, NextAttempt: now.Add(wait), GivesUpAt: now.Add(30 * time.Minute),
	}
}

func TestPageShowsAStepWhileItIsRetried(t *testing.T) {
	t.Parallel()
	b, in := failing(t, 5) // attempts at 0, 1, 3, 7, 15 and 31 s
	var during []signals.Page
	for _, s := range []struct {
		at       time.Duration
		failures int
	}{{2 * time.Second, 2}, {5 * time.Second, 3}, {11 * time.Second, 4}, {23 * time.Second, 5}} {
		b.RegisterDelayedCallback(func() {
			b.SignalWorkflow(signals.Retrying, b.attempt("1", s.failures, "execute: Sysdig\nanswered 503 at https://a:secret@b.example/c?d=secret", time.Second<<(s.failures-1)))
		}, s.at)
		b.RegisterDelayedCallback(func() { during = append(during, b.query()) }, s.at+500*time.Millisecond)
	}
	coolDown := incident.Duration(time.Minute)
	in.Route.CoolDown = &coolDown
	var watching signals.Page
	b.RegisterDelayedCallback(func() { watching = b.query() }, time.Minute)
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, signals.Watching, watching.State)
	require.Empty(t, watching.Retrying, "the step is over")
	require.Len(t, during, 4)
	for i := range during {
		require.Len(t, during[i].Retrying, 1)
		got := during[i].Retrying[0]
		require.Equal(t, i+2, got.Failures)
		require.Equal(t, "KILL_CONTAINER container 6949e5f10829 on node-1", got.Step)
		require.Equal(t, "execute: Sysdig answered 503 at https://b.example/c", got.Failure)
		require.Equal(t, 2*time.Second<<i, got.NextAttempt.Sub(got.FailedAt))
	}
	entries := texts(page, signals.KindRetry)
	require.Len(t, entries, 2, "at 2 and 4 failures")
	require.Contains(t, entries[0], "KILL_CONTAINER container 6949e5f10829 on node-1: attempt 2 failed: execute: Sysdig answered 503")
	require.Contains(t, entries[0], "; next attempt ")
}

func TestFirstFailureIsInTheWarRoomIfTheNextAttemptIsFarOff(t *testing.T) {
	t.Parallel()
	b, in := failing(t, 3)
	b.RegisterDelayedCallback(func() {
		b.SignalWorkflow(signals.Retrying, b.attempt("1", 1, "Sysdig answered 429", 20*time.Minute))
	}, 4500*time.Millisecond)
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Len(t, texts(page, signals.KindRetry), 1)
}

func TestReportsOfOtherStepsAreIgnored(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]any{
		"a step that never began": signals.Retry{ActivityID: "99", Activity: "ExecuteAction", Failures: 2, Failure: "forged"},
		"no step":                 signals.Retry{Failures: 2, Failure: "forged"},
		"no failure":              signals.Retry{ActivityID: "1", Failure: "forged"},
		"a text":                  "forged",
		"nothing":                 nil,
		"an unknown field":        map[string]any{"activity_id": "1", "failures": 2, "verdict": "approved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, in := failing(t, 3)
			var during signals.Page
			b.RegisterDelayedCallback(func() { b.SignalWorkflow(signals.Retrying, payload) }, 4500*time.Millisecond)
			b.RegisterDelayedCallback(func() { during = b.query() }, 5500*time.Millisecond)
			page := b.run(workflows.CryptoMiner, in, miner())
			require.Equal(t, signals.Contained, page.Outcome)
			require.NotEmpty(t, during.WorkflowID)
			require.Empty(t, during.Retrying)
			require.Empty(t, texts(page, signals.KindRetry))
		})
	}
}

// A report that cannot be stored is tried again after the outcome is known.
func TestPageOfAClosingIncidentShowsWhatIsRetried(t *testing.T) {
	t.Parallel()
	b, in := failing(t, 0)
	tries := 0
	b.report = func(signals.Page) error {
		if tries++; tries <= 5 { // once within the workflow task, and then at 0, 1, 3 and 7 s
			return errors.New("store report: no space left on device")
		}
		return nil
	}
	var during signals.Page
	b.RegisterDelayedCallback(func() {
		b.SignalWorkflow(signals.Retrying, b.attempt("2", 1, "store report: no space left on device", time.Second))
	}, 4500*time.Millisecond)
	b.RegisterDelayedCallback(func() { during = b.query() }, 5500*time.Millisecond)
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, during.Outcome)
	require.Len(t, during.Retrying, 1)
	require.Equal(t, "Store the report", during.Retrying[0].Step)
	require.Empty(t, page.Retrying)
	require.Equal(t, []string{"manifest.json"}, page.Evidence)
}
