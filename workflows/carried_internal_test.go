package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// A field that is added to response is either carried to the next run, or named
// here, because every run sets it for itself.
func TestEverythingAnIncidentKnowsIsCarried(t *testing.T) {
	t.Parallel()
	own := map[string]bool{
		"in": true, "reported": true, "resuming": true, "idle": true, "oversized": true, "next": true,
		// Of this run's history, which a next run does not see.
		"heard": true, "mail": true, "receipts": true, "intake": true, "steps": true,
		// An incident moves on only when everybody was notified.
		"news": true, "notifying": true,
		// Nor before an undo has ended.
		"undoing": true,
		// Nor while hooks are being called.
		"calling": true,
		// The comparison of a host ends before anything is waited for.
		"locating": true,
		// Related events are looked for once, by the run that asks first.
		"lookedAround": true,
	}
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	request, err := signals.NewRequest(actionKillContainer, "web", map[string]any{"container.id": "6949e5f10829"}, 3)
	require.NoError(t, err)
	file := activities.StoredFile{CaptureID: "7"}
	r := &response{
		in:       signals.Input{Approvers: signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"ann"}}},
		page:     signals.Page{RunID: "run-1", Incident: incident.Incident{ID: "event-1"}, Evidence: []string{"a"}, WarRoom: []signals.Entry{}},
		openedAt: noon, reset: true, action: actionKillContainer, requester: "eve", forced: true, killing: killing{noon, true, true}, demanded: &incident.Approval{Mode: incident.ModeTwo},
		desk:     desk{open: true, decided: map[string]string{"0123": "decided"}, last: "0123", asks: 3},
		failed:   temporal.NewNonRetryableApplicationError("no answer", activities.ErrAmbiguous, errors.New("cause")),
		returned: true, chatter: 100, unlisted: 1, containedAt: noon, watchUntil: noon.Add(time.Minute),
		described: &catalogue.Action{Name: "NEW", Class: catalogue.Containment}, parameters: map[string]any{"host.id": "h"}, undos: 2, undoLost: true, calls: 3,
		needed:  []string{"host.id"},
		host:    hostVouched,
		capture: activities.Capture{ID: 7, Name: "c"}, files: []activities.StoredFile{file},
	}
	r.approval = &approval{
		request: request, approvers: r.in.Approvers, requester: "eve", clock: clock{Asked: noon, Reminders: 2, Escalated: true},
		policy:  incident.Approval{Mode: incident.ModeTwo, Groups: []string{"soc"}, ExpireAfter: incident.Duration(time.Hour)},
		verdict: rejected, have: []string{"ann"}, by: "bob",
	}
	r.page.Pending = &r.approval.request
	r.seen.add("event-1")
	in, err := r.pack()
	require.NoError(t, err)
	again := &response{in: in, desk: desk{decided: map[string]string{}}}
	require.NoError(t, again.resume())

	for _, of := range []struct{ before, after any }{
		{r, again},
		{&r.desk, &again.desk},
		{&r.killing, &again.killing},
		{r.approval, again.approval},
		{&r.approval.clock, &again.approval.clock},
	} {
		before, after := reflect.ValueOf(of.before).Elem(), reflect.ValueOf(of.after).Elem()
		for i := range before.NumField() {
			name := before.Type().Field(i).Name
			if own[name] {
				continue
			}
			require.False(t, before.Field(i).IsZero(), "%s: a value to recognise is missing in this test", name)
			require.False(t, after.Field(i).IsZero(), "%s is not carried", name)
		}
	}
	require.True(t, isAmbiguous(again.failed))
	require.Equal(t, describe(r.failed), describe(again.failed))
	again.failed, r.failed = nil, nil
	r.in, r.resuming, r.idle, r.lookedAround = in, true, true, true
	require.Equal(t, r, again)
}

// A run that repeats an earlier one keeps its evidence apart, and so does what
// continues it.
func TestARunThatWasResetKeepsItsOwnEvidence(t *testing.T) {
	t.Parallel()
	opening := &response{page: signals.Page{RunID: "run-1"}}
	in, err := opening.pack()
	require.NoError(t, err)
	for name, test := range map[string]struct {
		reset bool
		want  string
	}{"continued": {false, "run-1"}, "reset": {true, "run-3"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &response{in: in, reset: test.reset, page: signals.Page{RunID: "run-3"}}
			require.NoError(t, r.resume())
			require.Equal(t, test.want, r.page.RunID)
			in, err := r.pack()
			require.NoError(t, err)
			next := &response{in: in, page: signals.Page{RunID: "run-4"}}
			require.NoError(t, next.resume())
			require.Equal(t, test.want, next.page.RunID)
			require.Equal(t, test.reset, next.reset)
		})
	}
}

func TestTheOldestEventsAreForgottenFirst(t *testing.T) {
	t.Parallel()
	var s seen
	id := func(n int) string { return fmt.Sprint("event-", n) }
	for n := range maxSeen + 10 {
		require.True(t, s.add(id(n)))
	}
	require.False(t, s.add(id(maxSeen)))
	require.False(t, s.has(id(9)))
	require.True(t, s.has(id(10)))
	require.Len(t, s.known, maxSeen)

	read := seenIn(s.bytes())
	require.Equal(t, s, read)
	read.forget(5)
	require.False(t, read.has(id(14)))
	require.True(t, read.add(id(14)), "what was forgotten counts again")
	require.Equal(t, signals.FingerprintOf(id(15)), read.order[0])
	require.Len(t, read.known, maxSeen-4)
}

func TestARequestThatAnEarlierVersionPutIsAskedForAsItsRouteSaid(t *testing.T) {
	t.Parallel()
	act, save := incident.Approval{Mode: incident.ModeTwo, Groups: []string{"soc"}}, incident.Approval{Mode: incident.ModeOne, Groups: []string{"leads"}}
	for action, want := range map[string]incident.Approval{
		actionKillContainer: act, actionCapture: act, actionAmend: act, actionSaveCapture: save,
	} {
		carrying := &response{page: signals.Page{RunID: "run-1"}, desk: desk{approval: &approval{request: signals.Request{ID: "r", Action: action}}}}
		c := carrying.carry()
		c.Approval.Policy = nil
		old, err := json.Marshal(c)
		require.NoError(t, err)
		r := &response{in: signals.Input{Route: incident.Route{Approval: act, SaveApproval: save}, Carried: old}}
		require.NoError(t, r.resume())
		require.Equal(t, want, r.approval.policy, action)
	}
}

func TestARunThatRepeatsAnotherOneWasReset(t *testing.T) {
	t.Parallel()
	for original, want := range map[string]bool{"": false, "run-2": false, "run-1": true} {
		info := workflow.Info{OriginalRunID: original}
		info.WorkflowExecution.RunID = "run-2"
		require.Equal(t, want, wasReset(&info), original)
	}
}
