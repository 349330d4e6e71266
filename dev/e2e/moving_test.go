package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"firebreak/internal/evidence"
	domain "firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// mover is an incident that moves on to another run of its workflow at one of
// the steps in which it waits.
type mover struct {
	route  func(*domain.Route)
	sysdig sysdigtest.Options
	edit   func(*installation, event)
	// act does what people and senders do.
	act     func(*incident)
	outcome signals.State
}

// movers are those whose histories are kept, by file name.
func movers() map[string]mover {
	miner := func(r *domain.Route) { r.Playbook = signals.PlaybookCryptoMiner }
	two := func(r *domain.Route) {
		miner(r)
		r.Approval.Mode = domain.ModeTwo
	}
	watching := func(r *domain.Route) {
		miner(r)
		r.CoolDown = new(domain.Duration(20 * time.Second))
	}
	capture := func(r *domain.Route) {
		r.Playbook, r.Capture.Duration = signals.PlaybookCapture, domain.Duration(5*time.Second)
	}
	small := sysdigtest.Options{CaptureSize: 4 << 10}
	return map[string]mover{
		"crypto-miner-continued": {miner, sysdigtest.Options{}, nil, func(i *incident) {
			i.awaitRequest("KILL_CONTAINER")
			i.moves()
			i.approve()
		}, signals.Contained},
		"crypto-miner-continued-between-two": {two, sysdigtest.Options{}, nil, func(i *incident) {
			i.awaitRequest("KILL_CONTAINER")
			i.approve()
			i.await("one of two has approved", func() bool { return len(i.show().Pending.Have) == 1 })
			i.moves()
			i.approve() // counts for nothing: the same analyst
			i.signal(signals.Approve, signals.Decision{Analyst: "bob", Reason: "confirmed"})
		}, signals.Contained},
		"crypto-miner-continued-fields": {miner, sysdigtest.Options{}, unknownHost, func(i *incident) {
			i.awaitState(signals.NeedsFields)
			i.moves()
			i.amend("host.id", i.host.ID)
			i.awaitRequest("KILL_CONTAINER")
			i.reject()
		}, signals.Rejected},
		"crypto-miner-continued-after-failure": {miner, sysdigtest.Options{}, forbidden(executions), func(i *incident) {
			decisions("KILL_CONTAINER:approve")(i)
			failed := i.show().Pending
			i.await("the incident asks again", func() bool {
				pending := i.show().Pending
				return pending != nil && (failed == nil || pending.ID != failed.ID)
			})
			i.moves()
			i.approve()
		}, signals.Contained},
		"crypto-miner-continued-watching": {watching, sysdigtest.Options{}, nil, func(i *incident) {
			i.awaitRequest("KILL_CONTAINER")
			i.approve()
			i.awaitState(signals.Watching)
			i.moves()
			i.tell(newEvent(i.t, i.host, minerRule))
			i.awaitRequest("KILL_CONTAINER")
			i.reject()
		}, signals.Rejected},
		"crypto-miner-reopened": {miner, sysdigtest.Options{}, nil, theDetectionReturnsWhileItCloses, signals.Rejected},
		"capture-continued": {capture, small, nil, func(i *incident) {
			i.awaitRequest("CAPTURE")
			i.moves()
			i.approve()
			i.awaitRequest("SAVE_CAPTURE")
			i.moves()
			i.approve()
		}, signals.Captured},
	}
}

func TestIncidentsMoveOnWhereverTheyWait(t *testing.T) {
	t.Parallel()
	hasty := hastyTemporal(t)
	for name, m := range movers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m.play(t, hasty)
		})
	}
}

// hastyTemporal is a server that suggests to move on after a few events.
func hastyTemporal(t *testing.T) *temporalServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := startTemporal(ctx, t.TempDir(), "0", "limit.historyCount.suggestContinueAsNew=60")
	require.NoError(t, err)
	t.Cleanup(server.stop)
	return server
}

// play plays an incident to its end, and checks it. It returns the run that
// opened it.
func (m mover) play(t *testing.T, temporal *temporalServer) *incident {
	t.Helper()
	f := install(t, temporal, routes, m.sysdig)
	f.worker()
	detection := newEvent(t, f.host, minerRule).small()
	if m.edit != nil {
		m.edit(f, detection)
	}
	route := domain.Route{Name: "moving", CoolDown: new(domain.Duration)}
	m.route(&route)
	first := f.openWhole(route, detection)
	m.act(first.latest())
	page := first.latest().page()
	require.Equal(t, m.outcome, page.Outcome)
	require.Equal(t, first.RunID, page.RunID, "an incident is known by the run that opened it")
	first.verify(page)
	return first
}

// openWhole opens an incident as a starter does that sends the first event
// whole with the input, and slim with the signal.
func (f *installation) openWhole(route domain.Route, e event) *incident {
	f.t.Helper()
	whole := parse(f.t, e)
	input := signals.Input{Route: route, First: &whole}
	workflowType, ok := signals.WorkflowType(route.Playbook)
	require.True(f.t, ok)
	batch := signals.EventBatch{Events: []domain.Incident{signals.Slim(whole)}}
	options := client.StartWorkflowOptions{ID: signals.WorkflowID(&route, "", &whole), TaskQueue: f.host.Name}
	run, err := f.temporal.SignalWithStartWorkflow(f.ctx, options.ID, signals.Events, batch, options, workflowType, input)
	require.NoError(f.t, err)
	return &incident{installation: f, reference: reference{WorkflowID: run.GetID(), RunID: run.GetRunID()}}
}

// parse is the event as an incident.
func parse(t *testing.T, e event) domain.Incident {
	t.Helper()
	text, err := json.Marshal([]event{e})
	require.NoError(t, err)
	events, err := domain.Parse(text)
	require.NoError(t, err)
	require.Len(t, events, 1)
	return events[0].Incident
}

// latest is the incident in whatever run it is.
func (i *incident) latest() *incident {
	latest := *i
	latest.RunID = ""
	return &latest
}

// current is the run that the incident is in.
func (i *incident) current() string {
	i.t.Helper()
	description, err := i.temporal.DescribeWorkflow(i.ctx, i.WorkflowID, "")
	require.NoError(i.t, err)
	return description.WorkflowExecution.RunID
}

// moves sends notes until the incident has moved on, and what it waits for
// waits in the next run.
func (i *incident) moves() {
	i.t.Helper()
	before, page := i.current(), i.show()
	i.await("the incident moves on", func() bool {
		i.signal(signals.Note, signals.NoteText{Analyst: "eve", Text: "moving"})
		return i.current() != before
	})
	after := i.show()
	require.Equal(i.t, page.State, after.State)
	require.Equal(i.t, page.Pending, after.Pending)
	require.Equal(i.t, page.RunID, after.RunID)
	require.Equal(i.t, page.WarRoom, after.WarRoom[:len(page.WarRoom)])
}

// chain are the incident's runs, from the one that opened it on.
func (i *incident) chain() []*incident {
	i.t.Helper()
	var runs []*incident
	for next := i.RunID; next != ""; {
		run := *i
		run.RunID = next
		runs = append(runs, &run)
		events := run.events()
		next = events[len(events)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
	return runs
}

// tell adds events to the incident, slim.
func (i *incident) tell(events ...event) {
	i.t.Helper()
	var batch signals.EventBatch
	for _, e := range events {
		batch.Events = append(batch.Events, signals.Slim(parse(i.t, e)))
	}
	i.signal(signals.Events, batch)
}

// theDetectionReturnsWhileItCloses keeps the evidence store from taking the
// report until the detection has returned.
func theDetectionReturnsWhileItCloses(i *incident) {
	i.awaitRequest("KILL_CONTAINER")
	in := filepath.Join(i.evidenceDir, filepath.FromSlash(evidence.Prefix(i.WorkflowID, i.show().RunID)))
	folder := filepath.Dir(in)
	require.NoError(i.t, os.MkdirAll(filepath.Dir(folder), 0o700))
	require.NoError(i.t, os.WriteFile(folder, nil, 0o600)) // where a folder should be
	i.approve()
	i.awaitState(signals.Contained)
	i.tell(newEvent(i.t, i.host, minerRule))
	i.await("the event is counted", func() bool { return i.show().Events.Count == 2 })
	require.NoError(i.t, os.Remove(folder))
	i.awaitRequest("KILL_CONTAINER")
	i.reject()
}
