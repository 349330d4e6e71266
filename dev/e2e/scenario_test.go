package e2e_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// scenario is an incident from its event to its end.
type scenario struct {
	route  string
	sysdig sysdigtest.Options
	// edit changes the event, or the simulated Sysdig, before the event is sent.
	edit func(*installation, event)
	// play does what people and senders do.
	play    func(*incident)
	outcome signals.State
}

// minerRoute and captureRoute send every event to one playbook.
func minerRoute(more string) string {
	if !strings.Contains(more, "cool_down") {
		more += ", cool_down: 100ms"
	}
	return `[{name: crypto-miner, when: "true", playbook: crypto-miner, max_severity: 3` + more + `}]`
}

func captureRoute(more string) string {
	return `[{name: capture, when: "true", playbook: capture, capture: {duration: 5s, filter: "evt.type=open"}` + more + `}]`
}

// responseActionCapture has captures taken into the customer's own storage.
const responseActionCapture = `[{name: capture, when: "true", playbook: capture, approval: {mode: none},
  capture: {duration: 5s, backend: response-action, storage_configuration_id: "77"}}]`

// onFile is a file for the action of a route.
const onFile = `, parameters: {path.absolute: '"/tmp/xmrig"'}`

// impatient has a reminder and an escalation before the request expires.
const impatient = `, approval: {mode: one, remind_every: 300ms, escalate_after: 500ms, expire_after: 1500ms}`

// scenarios are those whose histories are kept, by file name.
func scenarios() map[string]scenario {
	small := sysdigtest.Options{CaptureSize: 4 << 10}
	return map[string]scenario{
		"crypto-miner-approved":    {minerRoute(""), sysdigtest.Options{}, nil, moreEvents, signals.Contained},
		"crypto-miner-automatic":   {minerRoute(`, approval: {mode: none}`), sysdigtest.Options{}, nil, nil, signals.Contained},
		"crypto-miner-rejected":    {minerRoute(""), sysdigtest.Options{}, nil, decisions("KILL_CONTAINER:reject"), signals.Rejected},
		"crypto-miner-expired":     {minerRoute(impatient), sysdigtest.Options{}, nil, nil, signals.Expired},
		"crypto-miner-bad-signals": {minerRoute(""), sysdigtest.Options{}, nil, badSignals, signals.Contained},
		"crypto-miner-missing-fields": {
			minerRoute(""),
			sysdigtest.Options{},
			unknownHost,
			func(i *incident) {
				i.amend("host.id", i.host.ID)
				decisions("KILL_CONTAINER:approve")(i)
			}, signals.Contained,
		},
		"crypto-miner-missing-fields-expired": {minerRoute(impatient), sysdigtest.Options{}, unknownHost, nil, signals.Expired},
		"crypto-miner-action-failed": {
			minerRoute(""),
			sysdigtest.Options{},
			unknownContainer,
			decisions("KILL_CONTAINER:approve", "KILL_CONTAINER:reject"), signals.Failed,
		},
		"crypto-miner-action-failed-then-retried": {
			minerRoute(""),
			sysdigtest.Options{},
			forbidden(executions),
			decisions("KILL_CONTAINER:approve", "KILL_CONTAINER:approve"), signals.Contained,
		},
		"crypto-miner-below-threshold": {
			minerRoute(""),
			sysdigtest.Options{},
			func(_ *installation, e event) { e["severity"] = 6 }, nil, signals.BelowThreshold,
		},
		"crypto-miner-capture-first": {
			minerRoute(`, capture_first: true`), small, nil, decisions("KILL_CONTAINER:approve"), signals.Contained,
		},
		"crypto-miner-returned": {minerRoute(`, cool_down: 30s`), sysdigtest.Options{}, nil, theDetectionReturns, signals.Rejected},

		"crypto-miner-slow": {minerRoute(`, approval: {mode: none}`), sysdigtest.Options{Step: time.Second}, nil, nil, signals.Contained},
		"crypto-miner-two": {
			minerRoute(`, approval: {mode: two}`), sysdigtest.Options{}, nil, twoAnalysts, signals.Contained,
		},
		"crypto-miner-policy": {
			minerRoute(`, approval: {mode: none}`) + "\napprovals: {policies: [{actions: [KILL_*], approval: two}]}",
			sysdigtest.Options{},
			nil, twoAnalysts, signals.Contained,
		},
		"crypto-miner-escalated": {
			minerRoute(`, approval: {mode: one, groups: [soc], remind_every: 200ms, escalate_after: 300ms, escalate_to: [leads], expire_after: 1m}`) +
				"\napprovals: {trust: listed, groups: {soc: [ann], leads: [carl]}}",
			sysdigtest.Options{},
			nil,
			func(i *incident) {
				i.await("it is escalated", func() bool { return told(i.show(), signals.KindReminder, "escalated to leads") })
				i.signal(signals.Approve, signals.Decision{Analyst: "carl", Reason: "confirmed"})
			}, signals.Contained,
		},
		"respond-automatic": {respondRoute(`, action: FILE_QUARANTINE` + onFile), sysdigtest.Options{}, nil, nil, signals.Contained},
		"respond-kept": {
			respondRoute(`, action: PAUSE_CONTAINER, auto_undo_after: 1h`),
			sysdigtest.Options{},
			nil,
			decisions("KEEP_CONTAINMENT:approve"), signals.Contained,
		},
		"respond-undone": {
			respondRoute(`, action: PAUSE_CONTAINER, auto_undo_after: 1h`),
			sysdigtest.Options{},
			nil,
			func(i *incident) {
				i.awaitRequest("KEEP_CONTAINMENT")
				i.signal(signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
			}, signals.Rejected,
		},
		"respond-undone-by-itself": {respondRoute(`, action: PAUSE_CONTAINER, auto_undo_after: 1s`), sysdigtest.Options{}, nil, nil, signals.Expired},
		"respond-undone-while-watching": {
			`[{name: act, when: "true", playbook: respond, approval: {mode: none}, cool_down: 1m, action: STOP_CONTAINER}]`,
			sysdigtest.Options{},
			nil,
			func(i *incident) {
				i.awaitState(signals.Watching)
				i.signal(signals.Undo, signals.Instruction{Analyst: "ann", Reason: "a false alarm"})
			}, signals.Rejected,
		},
		"respond-undo-failed": {
			respondRoute(`, action: PAUSE_CONTAINER, auto_undo_after: 1s`),
			sysdigtest.Options{},
			func(f *installation, _ event) {
				f.sysdig.Fault(sysdigtest.Fault{Method: http.MethodDelete, Times: 1, Status: http.StatusForbidden})
			},
			func(i *incident) {
				i.awaitRequest("UNDO")
				i.approve()
			}, signals.Expired,
		},
		"respond-fetched":         {respondRoute(`, action: FILE_ACQUIRE` + onFile), small, nil, nil, signals.Captured},
		"respond-policy":          {respondRoute(`, action: KILL_CONTAINER`) + "\nguard: {protected: [incident.host.name == 'nobody']}", sysdigtest.Options{}, nil, nil, signals.Contained},
		"respond-protected":       {respondRoute(`, action: KILL_CONTAINER`) + "\nguard: {protected: ['true']}", sysdigtest.Options{}, nil, nil, signals.Rejected},
		"capture-response-action": {responseActionCapture, sysdigtest.Options{}, nil, nil, signals.Captured},

		"capture-approved": {captureRoute(""), small, nil, decisions("CAPTURE:approve", "SAVE_CAPTURE:approve"), signals.Captured},
		"capture-rejected": {captureRoute(""), small, nil, decisions("CAPTURE:reject"), signals.Rejected},
		"capture-expired":  {captureRoute(impatient), small, nil, nil, signals.Expired},
		"capture-missing-fields": {
			captureRoute(`, save_approval: {mode: none}`), small, unknownHost,
			func(i *incident) {
				i.amend("host.agent_id", strconv.FormatInt(i.host.AgentID, 10), "host.mac", i.host.MAC)
				decisions("CAPTURE:approve")(i)
			}, signals.Captured,
		},
		"capture-action-failed": {
			captureRoute(""), small, forbidden(captures, sysdigtest.DumpsPath),
			decisions("CAPTURE:approve", "CAPTURE:reject"), signals.Failed,
		},
		"capture-save-rejected": {captureRoute(""), small, nil, decisions("CAPTURE:approve", "SAVE_CAPTURE:reject"), signals.Captured},
	}
}

// decisions answers the requests as they come. An answer is ACTION:SIGNAL.
func decisions(answers ...string) func(*incident) {
	return func(i *incident) {
		last := ""
		for _, answer := range answers {
			action, signal, _ := strings.Cut(answer, ":")
			i.await("the incident asks for "+action, func() bool {
				pending := i.show().Pending
				if pending == nil || pending.Action != action || pending.ID == last {
					return false
				}
				last = pending.ID
				return true
			})
			i.signal(signal, signals.Decision{Analyst: "ann", Reason: "a test", Request: last})
		}
	}
}

// show asks the playbook for the incident; that needs a worker.
func (i *incident) show() signals.Page {
	i.t.Helper()
	var page signals.Page
	var err error
	_ = poll(i.ctx, func() bool {
		page, err = i.look()
		return err == nil
	})
	require.NoError(i.t, err)
	return page
}

// look is show that does not insist: a worker or the server may have just died.
func (i *incident) look() (page signals.Page, err error) {
	// A query that died with one is waited for no longer than this.
	ctx, cancel := context.WithTimeout(i.ctx, 5*time.Second)
	defer cancel()
	answer, err := i.temporal.QueryWorkflow(ctx, i.WorkflowID, i.RunID, signals.QueryIncident)
	if err == nil {
		err = answer.Get(&page)
	}
	return page, err
}

// amend waits until fields are asked for, and supplies them.
func (i *incident) amend(pairs ...string) {
	i.t.Helper()
	i.awaitState(signals.NeedsFields)
	fields := map[string]signals.Scalar{}
	for pair := range slices.Chunk(pairs, 2) {
		fields[pair[0]] = signals.Scalar(pair[1])
	}
	i.signal(signals.Amend, signals.Amendment{Analyst: "ann", Fields: fields})
}

func moreEvents(i *incident) {
	i.awaitRequest("KILL_CONTAINER")
	another := newEvent(i.t, i.host, minerRule).small()
	for range 2 {
		require.Len(i.t, i.post(another).Joined, 1)
	}
	i.signal(signals.Note, signals.NoteText{Analyst: "bob", Text: "seen before"})
	i.approve()
}

// twoAnalysts has two of them approve, and one of them twice.
func twoAnalysts(i *incident) {
	i.awaitRequest("KILL_CONTAINER")
	i.approve()
	i.approve()
	i.signal(signals.Undo, signals.Instruction{Analyst: "ann", Reason: "too early"})
	i.signal(signals.Approve, signals.Decision{Analyst: "bob", Reason: "confirmed"})
}

func badSignals(i *incident) {
	i.awaitRequest("KILL_CONTAINER")
	i.signal(signals.Approve, nil)
	i.signal(signals.Approve, "approve")
	i.signal(signals.Approve, signals.Decision{Reason: "by nobody"})
	i.signal(signals.Approve, signals.Decision{Analyst: "ann", Request: "000000000000"})
	i.signal(signals.Amend, signals.Amendment{Analyst: "ann", Fields: map[string]signals.Scalar{"host.id": "another"}})
	i.signal("aprove", signals.Decision{Analyst: "ann"})
	i.approve()
	i.approve()
}

// theDetectionReturns sends the same detection while the incident is watched;
// once is enough for the analyst.
func theDetectionReturns(i *incident) {
	i.awaitRequest("KILL_CONTAINER")
	i.approve()
	i.awaitState(signals.Watching)
	require.Len(i.t, i.post(newEvent(i.t, i.host, minerRule).small()).Joined, 1)
	i.awaitRequest("KILL_CONTAINER")
	i.reject()
}

// unknownHost has the event come from a host that Sysdig does not know.
func unknownHost(f *installation, e event) {
	for _, key := range []string{"agentId", "machineId", "hostMac"} {
		delete(e, key)
	}
	labels := e["labels"].(map[string]any)
	delete(labels, "host.mac")
	labels["host.hostName"] = "not-" + f.host.Name
}

// unknownContainer has the event come from a container that is not there.
func unknownContainer(_ *installation, e event) {
	e["containerId"] = "0123456789ab"
	e["content"].(map[string]any)["fields"].(map[string]any)["container.id"] = "0123456789ab"
}

// forbidden has Sysdig refuse the next request to each of the paths.
func forbidden(paths ...string) func(*installation, event) {
	return func(f *installation, _ event) {
		for _, path := range paths {
			f.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: path, Times: 1, Status: http.StatusForbidden})
		}
	}
}
