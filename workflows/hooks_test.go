package workflows_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// hooked plays the hooks of a bench, each call of which takes a time, and keeps
// every attempt.
type hooked struct {
	calls  []activities.HookInput
	answer func(activities.HookInput) (activities.HookAnswer, error)
}

func (b *bench) hooked(takes time.Duration) *hooked {
	h := &hooked{answer: func(activities.HookInput) (activities.HookAnswer, error) {
		return activities.HookAnswer{Status: "201 Created", Excerpt: `{"key":"SEC-7"}`}, nil
	}}
	var a *activities.Activities
	b.OnActivity(a.CallHook, mock.Anything, mock.Anything).After(takes).Return(
		func(_ context.Context, in activities.HookInput) (activities.HookAnswer, error) {
			h.calls = append(h.calls, in)
			return h.answer(in)
		}).Maybe()
	return h
}

// of are the calls of a hook at a moment.
func (h *hooked) of(name string, moment activities.Moment) []activities.HookInput {
	return slices.DeleteFunc(slices.Clone(h.calls), func(in activities.HookInput) bool {
		return in.Hook != name || in.Event.Moment != moment
	})
}

// keys are the idempotency keys, each once.
func (h *hooked) keys() []string {
	var keys []string
	for _, call := range h.calls {
		keys = append(keys, call.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// hookInput is a route with hooks at every moment.
func hookInput() signals.Input {
	in := minerInput()
	in.Route.OnOpened, in.Route.OnContained, in.Route.OnClosed = []string{"jira", "chat"}, []string{"edr"}, []string{"jira"}
	return in
}

// byHooks are the war-room lines of hooks: actor, colon, text.
func byHooks(page signals.Page) []string {
	var lines []string
	for _, entry := range page.WarRoom {
		if strings.HasPrefix(entry.Actor, "hook ") {
			lines = append(lines, string(entry.Kind)+" by "+entry.Actor+": "+entry.Text)
		}
	}
	return lines
}

func TestHooksAreCalledAtTheirMoments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.hooked(time.Second)
	b.RegisterDelayedCallback(func() { require.Len(t, h.calls, 2, "they do not wait for a decision") }, 30*time.Second)
	b.at(time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, hookInput(), miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.ElementsMatch(t, []string{
		`action by hook jira: opened: 201 Created: {"key":"SEC-7"}`, `action by hook chat: opened: 201 Created: {"key":"SEC-7"}`,
		`action by hook edr: contained: 201 Created: {"key":"SEC-7"}`, `action by hook jira: closed: 201 Created: {"key":"SEC-7"}`,
	}, byHooks(page))
	require.Len(t, h.calls, 4)
	require.Len(t, h.keys(), 4, "each call has a key of its own")
	opened := h.of("jira", activities.MomentOpened)[0].Event
	require.Equal(t, signals.Open, signals.State(opened.State))
	require.Empty(t, opened.Outcome)
	require.Empty(t, opened.Action)
	require.Equal(t, miner().Rule, opened.Incident.Rule)
	contained := h.of("edr", activities.MomentContained)[0].Event
	require.Equal(t, "KILL_CONTAINER", contained.Action)
	require.Equal(t, "6949e5f10829", contained.Parameters["container.id"])
	closed := h.of("jira", activities.MomentClosed)[0].Event
	require.Equal(t, "contained", closed.Outcome)
	require.Equal(t, page.WorkflowID, closed.WorkflowID)
	require.Equal(t, page.RunID, closed.RunID)
	require.Equal(t, "crypto-miner", closed.Route)
}

func TestARetriedHookKeepsItsKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.hooked(0)
	h.answer = func(activities.HookInput) (activities.HookAnswer, error) {
		if len(h.calls) < 3 {
			return activities.HookAnswer{}, errors.New("503 Service Unavailable")
		}
		return activities.HookAnswer{Status: "204 No Content"}, nil
	}
	b.at(time.Hour, signals.Reject, decision("ann"))
	in := minerInput()
	in.Route.OnOpened = []string{"jira"}
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Len(t, h.calls, 3)
	require.Len(t, h.keys(), 1)
	require.Equal(t, []string{"action by hook jira: opened: 204 No Content"}, byHooks(page))
}

// What goes wrong with a hook is told, and holds nothing up.
func TestAHookThatFailsBlocksNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.hooked(0)
	h.answer = func(in activities.HookInput) (activities.HookAnswer, error) {
		if in.Hook == "edr" {
			return activities.HookAnswer{}, errors.New("no answer in time") // for ever
		}
		return activities.HookAnswer{}, refusal(activities.ErrHook, "400 Bad Request")
	}
	in := hookInput()
	in.Route.Approval.Mode = incident.ModeNone
	start := b.Now()
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
	require.Len(t, h.of("jira", activities.MomentOpened), 1, "what is refused is not tried again")
	require.Greater(t, len(h.of("edr", activities.MomentContained)), 5, "what fails for now is")
	require.LessOrEqual(t, b.Now().Sub(start), 11*time.Minute, "but not for ever")
	require.ElementsMatch(t, []string{
		"action by hook jira: opened: failed, 400 Bad Request", "action by hook chat: opened: failed, 400 Bad Request",
		"action by hook edr: contained: failed, no answer in time", "action by hook jira: closed: failed, 400 Bad Request",
	}, byHooks(page))
}

func TestTheReportTellsWhatBecameOfTheHooks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.hooked(5 * time.Minute)
	in := hookInput()
	in.Route.Approval.Mode = incident.ModeNone
	b.run(workflows.CryptoMiner, in, miner())
	require.Len(t, b.reported, 1)
	require.Len(t, byHooks(b.reported[0]), 4)
}

func TestACancelledIncidentStillCallsItsHooks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.hooked(2 * time.Minute)
	b.RegisterDelayedCallback(b.CancelWorkflow, time.Minute)
	page := b.run(workflows.CryptoMiner, hookInput(), miner())
	require.Len(t, byHooks(page), 3)
	require.Len(t, h.of("jira", activities.MomentClosed), 1)
	require.Empty(t, h.of("edr", activities.MomentContained))
}

// Only what changes its target contains: not what only takes something, nor a
// capture.
func TestOnlyAContainmentCallsTheHooksOfOne(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		playbook any
		in       signals.Input
		calls    int
	}{
		"capture":        {workflows.Capture, captureInput(), 0},
		"data gathering": {workflows.Respond, respondInput("FILE_ACQUIRE"), 0},
		"containment":    {workflows.Respond, respondInput("FILE_QUARANTINE"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			h := b.hooked(0)
			var a *activities.Activities
			b.OnActivity(a.FetchResult, mock.Anything, mock.Anything).Return(activities.StoredFile{}, nil).Maybe()
			tc.in.Route.Approval.Mode, tc.in.Route.SaveApproval.Mode = incident.ModeNone, incident.ModeNone
			tc.in.Route.OnContained, tc.in.Route.OnClosed = []string{"edr"}, []string{"jira"}
			event := miner()
			event.File.Path = "/tmp/xmrig"
			page := b.run(tc.playbook, tc.in, event)
			require.Contains(t, []signals.State{signals.Captured, signals.Contained}, page.Outcome)
			require.Len(t, h.of("edr", activities.MomentContained), tc.calls)
			require.Len(t, h.of("jira", activities.MomentClosed), 1)
		})
	}
}

func TestAReopenedIncidentCallsItsHooksAgainUnderNewKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.hooked(0)
	in := opened(hookInput(), miner())
	in.Route.Approval.Mode = incident.ModeNone
	b.returnsWhileClosing(time.Minute)
	b.at(time.Hour, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Rejected, page.Outcome)
	closed := h.of("jira", activities.MomentClosed)
	require.Len(t, closed, 2)
	require.Equal(t, "contained", closed[0].Event.Outcome)
	require.Equal(t, "rejected", closed[1].Event.Outcome)
	require.Len(t, h.of("jira", activities.MomentOpened), 1)
	require.Len(t, h.keys(), len(h.calls))
}

// An incident moves on only when its hooks have ended, and calls in the next run
// only what it has not called before, under keys of its own.
func TestHooksEndBeforeTheIncidentMovesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.hooked(5 * time.Minute)
	b.suggest(time.Minute)
	start := b.Now()
	next, page := b.moves(workflows.CryptoMiner, opened(hookInput(), miner()), miner())
	require.Len(t, byHooks(page), 2)
	require.GreaterOrEqual(t, b.Now().Sub(start), 5*time.Minute)
	two := b.after()
	again := two.hooked(0)
	two.at(time.Minute, signals.Approve, decision("ann"))
	page = two.run(workflows.CryptoMiner, next)
	require.Len(t, byHooks(page), 4)
	require.Len(t, again.calls, 2)
	require.Empty(t, again.of("jira", activities.MomentOpened))
	for _, key := range again.keys() {
		require.NotContains(t, h.keys(), key)
	}
}
