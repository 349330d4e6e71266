package workflows_test

import (
	"encoding/json"
	"fmt"
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

// onHost is a miner on the host itself, which happened some time ago.
func onHost(b *bench, ago time.Duration) incident.Incident {
	event := miner()
	event.Container, event.HostLevel, event.OccurredAt = incident.Container{}, true, b.Now().Add(-ago)
	return event
}

func amendment(fields map[string]any) map[string]any {
	return map[string]any{"analyst": "ann", "fields": fields}
}

// killedWith lists the parameters that were submitted, as JSON.
func killedWith(t *testing.T, b *bench) []string {
	t.Helper()
	var all []string
	for _, in := range b.executed {
		raw, err := json.Marshal(in.Parameters)
		require.NoError(t, err)
		all = append(all, string(raw))
	}
	return all
}

func killOf(pid, start int64) string {
	return fmt.Sprintf(`{"host.id":"host-1","process.id":%d,"startTime":%d}`, pid, start)
}

func TestRequestToKillAProcessShowsItsAge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	event := onHost(b, 12*time.Minute)
	page := b.run(workflows.CryptoMiner, minerInput(), event)
	require.Contains(t, texts(page, signals.KindRequest)[0], "12m0s old")
	require.Empty(t, b.executed)
}

func TestOldProcessIsStatedAgainBeforeItIsKilled(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for name, test := range map[string]struct {
		ago       time.Duration // of the event
		limit     time.Duration // of the route; 0 is the default
		mode      incident.Mode
		amend     map[string]any // a minute later
		approveAt time.Duration
		again     map[string]any // at approveAt and a minute
		want      []string
	}{
		"recent, without asking":            {ago: 59 * time.Minute, mode: incident.ModeNone, want: []string{killOf(4711, -1)}},
		"recent, approved in time":          {ago: time.Minute, approveAt: 30 * time.Minute, want: []string{killOf(4711, -1)}},
		"within a longer limit":             {ago: 5 * hour, limit: 6 * hour, mode: incident.ModeNone, want: []string{killOf(4711, -1)}},
		"old, without asking, no answer":    {ago: 2 * hour, mode: incident.ModeNone},
		"beyond a shorter limit":            {ago: 11 * time.Minute, limit: 10 * time.Minute, mode: incident.ModeNone},
		"old, stated again, not approved":   {ago: 2 * hour, mode: incident.ModeNone, amend: map[string]any{"process.pid": 815}},
		"old, approved without a statement": {ago: 2 * hour, approveAt: 2 * time.Minute},
		"old, stated again":                 {ago: 2 * hour, amend: map[string]any{"process.pid": 815}, approveAt: 2 * time.Minute, want: []string{killOf(815, -1)}},
		"old, the same stated again":        {ago: 2 * hour, amend: map[string]any{"process.pid": 4711}, approveAt: 2 * time.Minute, want: []string{killOf(4711, -1)}},
		"old, something else amended":       {ago: 2 * hour, amend: map[string]any{"process.cwd": "/tmp"}, approveAt: 2 * time.Minute},
		"approved too late":                 {ago: time.Minute, approveAt: 3 * hour},
		"approved too late, stated again, not approved again": {
			ago: time.Minute, approveAt: 3 * hour, again: map[string]any{"process.pid": 815},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := minerInput()
			in.Route.Approval.Mode, in.Route.MaxProcessAge = test.mode, incident.Duration(test.limit)
			if test.amend != nil {
				b.at(time.Minute, signals.Amend, amendment(test.amend))
			}
			if test.approveAt > 0 {
				b.at(test.approveAt, signals.Approve, decision("ann"))
			}
			if test.again != nil {
				b.at(test.approveAt+time.Minute, signals.Amend, amendment(test.again))
			}
			page := b.run(workflows.CryptoMiner, in, onHost(b, test.ago))
			require.Equal(t, test.want, killedWith(t, b), strings.Join(texts(page, signals.KindCheck), "\n"))
			if test.want == nil {
				require.Equal(t, signals.Expired, page.Outcome)
			}
		})
	}
}

func TestProcessWithoutAKnownTimeIsStatedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	event := miner()
	event.Container = incident.Container{}
	page := b.run(workflows.CryptoMiner, in, event)
	require.Empty(t, b.executed)
	require.Equal(t, signals.Expired, page.Outcome)
}

func TestLateApprovalAsksForTheProcessAndThenAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.at(3*time.Hour, signals.Approve, decision("ann"))
	b.at(3*time.Hour+time.Minute, signals.Amend, amendment(map[string]any{"process.pid": 815}))
	b.at(3*time.Hour+2*time.Minute, signals.Approve, decision("bob"))
	page := b.run(workflows.CryptoMiner, minerInput(), onHost(b, time.Minute))
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{killOf(815, -1)}, killedWith(t, b))
	require.WithinDuration(t, b.executed[0].NotAfter, page.Actions[0].At.Add(59*time.Minute), time.Second)
	require.Len(t, texts(page, signals.KindRequest), 3)
}

func TestRouteThatNamesTheProcessIsBoundByItsAge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := respondInput("KILL_PROCESS")
	in.Route.Approval.Mode = incident.ModeNone
	in.Route.Parameters = map[string]string{"process.id": "incident.process.pid"}
	page := b.run(workflows.Respond, in, onHost(b, 2*time.Hour))
	require.Empty(t, b.executed)
	require.Equal(t, signals.Expired, page.Outcome)
}

func TestWorkerThatIsTooLateAsksAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if len(b.executed) == 1 {
			return activities.Execution{}, refusal(activities.ErrOutdated, "too late")
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	b.at(time.Minute, signals.Amend, amendment(map[string]any{"process.pid": 815}))
	b.at(2*time.Minute, signals.Approve, decision("bob"))
	page := b.run(workflows.CryptoMiner, in, onHost(b, time.Minute))
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, killOf(815, -1), killedWith(t, b)[1])
}

func TestKillOfAProcessCarriesItsStartTime(t *testing.T) {
	t.Parallel()
	const started = 1_764_583_200_123_456_789
	for name, test := range map[string]struct {
		start      activities.ProcessStart
		err        error
		parameters map[string]string
		want       int64
	}{
		"the unit is known":     {start: activities.ProcessStart{Value: started / 1_000_000, Unit: "ms"}, want: started / 1_000_000},
		"the unit is not known": {start: activities.ProcessStart{Value: -1}, want: -1},
		"no catalogue":          {err: refusal(activities.ErrForbidden, "forbidden"), want: -1},
		"the route gives it":    {start: activities.ProcessStart{Value: 1, Unit: "ns"}, parameters: map[string]string{"startTime": "5"}, want: 5},
		"another process":       {start: activities.ProcessStart{Value: 1, Unit: "ns"}, parameters: map[string]string{"process.id": "815"}, want: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var a *activities.Activities
			b.OnActivity(a.FindProcessStart, mock.Anything, activities.ProcessStartInput{StartTime: started}).Return(test.start, test.err).Maybe()
			in := respondInput("KILL_PROCESS")
			in.Route.Approval.Mode = incident.ModeNone
			in.Route.Parameters = test.parameters
			event := onHost(b, time.Minute)
			event.Process.StartTime = started
			b.run(workflows.Respond, in, event)
			require.Len(t, b.executed, 1)
			require.Equal(t, fmt.Sprint(test.want), fmt.Sprint(b.executed[0].Parameters["startTime"]))
		})
	}
}

// The start time of the event does not belong to another process.
func TestStartTimeIsForgottenWithItsProcess(t *testing.T) {
	t.Parallel()
	for pid, want := range map[int]int64{815: -1, 4711: 42} {
		b := newBench(t)
		var a *activities.Activities
		b.OnActivity(a.FindProcessStart, mock.Anything, mock.Anything).Return(activities.ProcessStart{Value: 42, Unit: "s"}, nil).Maybe()
		event := onHost(b, 2*time.Hour)
		event.Process.StartTime = 42_000_000_000
		b.at(time.Minute, signals.Amend, amendment(map[string]any{"process.pid": pid}))
		b.at(2*time.Minute, signals.Approve, decision("ann"))
		b.run(workflows.CryptoMiner, minerInput(), event)
		require.Equal(t, []string{killOf(int64(pid), want)}, killedWith(t, b))
	}
}

func TestProcessGivenByHandIsAFreshStatement(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		parameters map[string]signals.Scalar
		incident   bool
		killed     bool
	}{
		"the process is given":                   {map[string]signals.Scalar{"host.id": "host-1", "process.id": "4711"}, false, true},
		"the process is given, of an incident":   {map[string]signals.Scalar{"process.id": "4711"}, true, true},
		"the process is given by its field":      {map[string]signals.Scalar{"process.pid": "4711"}, true, true},
		"the process is that of an old incident": {nil, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var known activities.Manual
			if test.incident {
				old := onHost(b, 5*time.Hour)
				known.Incident = &old
			}
			b.at(time.Minute, signals.Approve, decision("ann"))
			page := b.manual(signals.ManualInput{Action: "KILL_PROCESS", Parameters: test.parameters, Requester: "eve", Reason: "r"}, known)
			require.Equal(t, test.killed, len(b.executed) == 1, "%s", page.Outcome)
		})
	}
}

func TestWaitForTheProcessSurvivesAMove(t *testing.T) {
	t.Parallel()
	one := newBench(t)
	event := onHost(one, 2*time.Hour)
	one.suggest(5 * time.Minute)
	next, page := one.moves(workflows.CryptoMiner, opened(minerInput(), event), event)
	require.Equal(t, signals.NeedsFields, page.State)
	two := one.after()
	two.at(time.Minute, signals.Amend, amendment(map[string]any{"process.pid": 815}))
	two.at(2*time.Minute, signals.Approve, decision("ann"))
	require.Equal(t, signals.Contained, two.run(workflows.CryptoMiner, next).Outcome)
	require.Equal(t, []string{killOf(815, -1)}, killedWith(t, two))
}
