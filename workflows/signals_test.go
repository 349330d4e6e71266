package workflows_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// TestNoSignalWedgesAnIncident sends every kind of bad signal and then a good
// one: each bad one is in the war room with its reason, the good one counts.
func TestNoSignalWedgesAnIncident(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signal  string
		payload any
		want    string
	}{
		"no input":            {signals.Approve, nil, "approve did not count: no data"},
		"bare string":         {signals.Approve, "approve", `approve did not count: data is a string, "approve"`},
		"number":              {signals.Approve, 42, "approve did not count: data is a number, 42"},
		"array":               {signals.Reject, []string{"ann"}, "reject did not count: data is an array"},
		"boolean":             {signals.Approve, true, "approve did not count: data is true"},
		"wrong field type":    {signals.Approve, map[string]any{"analyst": 5}, `approve did not count: field "analyst" is a number`},
		"unknown field":       {signals.Approve, map[string]any{"analyts": "ann"}, `approve did not count: unknown field "analyts"`},
		"no analyst":          {signals.Approve, map[string]any{"reason": "x"}, `approve did not count: field "analyst" is missing`},
		"unknown name":        {"aprove", decision("ann"), `signal "aprove" is unknown`},
		"unknown, no input":   {"undoo", nil, `signal "undoo" is unknown: want approve, reject, note, amend or undo`},
		"reserved name":       {"__temporal_x", decision("ann"), `signal "__temporal_x" is unknown: want approve`},
		"undo, no reason":     {signals.Undo, map[string]any{"analyst": "ann"}, `undo did not count: field "reason" is missing`},
		"undo, too early":     {signals.Undo, signals.Instruction{Analyst: "ann", Reason: "x"}, "undo did not count: nothing was done yet that could be undone"},
		"wrong request":       {signals.Approve, signals.Decision{Analyst: "ann", Request: "nope"}, `approve did not count: wrong request "nope": pending is `},
		"too large":           {signals.Approve, map[string]any{"analyst": strings.Repeat("a", 1<<20)}, "approve did not count: 1048590 bytes of data"},
		"empty note":          {signals.Note, map[string]any{"analyst": "ann"}, `note did not count: field "text" is missing`},
		"amend unknown field": {signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": "x"}}, "amend did not count: too late"},
		"amend bad value":     {signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]any{"host.id": []int{1}}}, "amend did not count: "},
		"events garbage":      {signals.Events, "x", "events not taken: data is a string"},
		"events empty":        {signals.Events, map[string]any{}, `events not taken: field "events" is missing`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.at(time.Minute, test.signal, test.payload)
			b.at(2*time.Minute, signals.Approve, decision("ann"))
			page := b.run(workflows.CryptoMiner, minerInput(), miner())
			require.Equal(t, signals.Contained, page.Outcome)
			require.Len(t, b.executed, 1)
			refused := texts(page, signals.KindRefused)
			require.Len(t, refused, 1)
			require.Contains(t, refused[0], test.want)
		})
	}
}

func TestADecisionCountsOnceAndOnlyInItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	coolDown := incident.Duration(time.Hour)
	in := minerInput()
	in.Route.CoolDown = &coolDown
	// The first task finds an approval that came before anything was asked.
	b.RegisterDelayedCallback(func() { b.SignalWorkflowSkippingWorkflowTask(signals.Approve, decision("early")) }, 0)
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	b.at(3*time.Minute, signals.Reject, decision("bob"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, b.executed, 1)
	refused := texts(page, signals.KindRefused)
	require.Len(t, refused, 3)
	require.Equal(t, "approve did not count: too early: nothing waits for a decision yet", refused[0])
	require.Regexp(t, `^approve did not count: too late: request [0-9a-f]{12} \(KILL_CONTAINER\) was already approved by ann$`, refused[1])
	require.Regexp(t, `^reject did not count: too late: request [0-9a-f]{12} \(KILL_CONTAINER\) was already approved by ann$`, refused[2])
}

func TestOnlyListedAnalystsDecideWhereTrustIsListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Approvers = signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"ann", "bob"}}
	b.at(time.Minute, signals.Approve, decision("mallory"))
	b.at(2*time.Minute, signals.Reject, decision("Ann"))
	b.at(3*time.Minute, signals.Approve, decision("bob"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{
		`approve did not count: analyst "mallory" is not entitled: not in the list of approvers`,
		`reject did not count: analyst "Ann" is not entitled: not in the list of approvers`,
	}, texts(page, signals.KindRefused))
}

func TestAnApprovalIsBoundToTheRequestItWasGivenFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var first string
	b.RegisterDelayedCallback(func() {
		first = b.query().Pending.ID
		b.SignalWorkflow(signals.Approve, signals.Decision{Analyst: "ann", Request: first})
	}, time.Minute)
	// Capture asks twice; the first approval must not answer the second request.
	b.RegisterDelayedCallback(func() {
		require.NotEqual(t, first, b.query().Pending.ID)
		b.SignalWorkflow(signals.Approve, signals.Decision{Analyst: "ann", Request: first})
		require.Equal(t, signals.AwaitingSave, b.query().State)
	}, 2*time.Minute)
	b.at(3*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.Capture, captureInput(), miner())
	require.Equal(t, signals.Captured, page.Outcome)
	require.Len(t, texts(page, signals.KindRefused), 1)
	require.Contains(t, texts(page, signals.KindRefused)[0], "too late: request "+first+" (CAPTURE) was already approved by ann; pending is ")
}

func TestANoteIsWrittenIntoTheWarRoomAndDecidesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(time.Minute, signals.Note, signals.NoteText{Analyst: "ann", Text: "seen before: 100%"})
	b.at(2*time.Minute, signals.Reject, decision("ann"))
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, []string{"seen before: 100%"}, texts(page, signals.KindNote))
	require.Equal(t, signals.Rejected, page.Outcome)
}

func TestAFloodOfNotesAndBadSignalsCannotOutgrowTheResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.RegisterDelayedCallback(func() {
		for range 400 {
			b.SignalWorkflowSkippingWorkflowTask(signals.Note, signals.NoteText{Analyst: "ann", Text: strings.Repeat("\x01", 2500)})
		}
		b.SignalWorkflow(signals.Approve, decision("ann"))
	}, time.Minute)
	page := b.run(workflows.CryptoMiner, minerInput(), miner())
	require.Equal(t, signals.Contained, page.Outcome)
	result, err := json.Marshal(page)
	require.NoError(t, err)
	require.Less(t, len(result), 2<<20, "the server's limit of a payload")
	require.Contains(t, strings.Join(texts(page, signals.KindCheck), "\n"), "more notes, amendments, reminders and signals that did not count are not listed")
}
