package workflows

import (
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// An incident can take more events than one history holds. While it waits, and
// the server suggests it, it moves on to a new run: it takes every signal that
// is there, and continues as new with all it knows. The new run calls the
// playbook from its top, where every step that lies behind returns at once what
// lets the playbook go on, without a command and without a word in the war room,
// until the step in which the earlier run waited: there it goes on waiting, for
// the same request, until the same time. So a playbook stays the list of its
// steps, and what is written here is all there is about moving.
//
// Waits are told apart by the action that is pending; the watch after a
// containment is the one in which nothing is. Before every wait in a playbook
// everything went well, or it would have ended: that is what steps that lie
// behind return. It also means that a loop, such as a retry after a failure, is
// entered once only, for what it did is in what was carried.
//
// Signals are not lost meanwhile: the server refuses to close a run that has
// signals it did not read, and hands its task out once more.

// maxCarried bounds the input of the next run, in bytes. The server terminates
// a workflow whose payload is over 2 MiB, and encryption needs some room.
const maxCarried = 1_800_000

// carried is what an incident takes along. Runs of earlier and later versions
// write and read it: new fields are only added, and zero means nothing.
type carried struct {
	OpenedAt time.Time `json:"opened_at"`
	// Reset says that a run of the chain repeats what an earlier one did.
	Reset bool         `json:"reset,omitzero"`
	Page  signals.Page `json:"page"`
	// Seen are fingerprints, oldest first; signals.Input's Counted reads them, too.
	Seen []byte `json:"seen,omitempty"`

	Action    string            `json:"action,omitzero"`
	Described *catalogue.Action `json:"described,omitempty"`
	// Parameters are those of the action; runs of earlier versions leave them out,
	// whose last request has them.
	Parameters map[string]any `json:"parameters,omitempty"`
	Undos      int            `json:"undos,omitzero"`
	UndoLost   bool           `json:"undo_lost,omitzero"`
	Calls      int            `json:"calls,omitzero"`

	Approval *carriedApproval  `json:"approval,omitempty"`
	Clock    clock             `json:"clock,omitzero"`
	Decided  map[string]string `json:"decided,omitempty"`
	Last     string            `json:"last,omitzero"`
	Asks     int               `json:"asks,omitzero"`
	// Needed are the fields that are asked for, nil where none are.
	Needed []string `json:"needed,omitempty"`
	// Host is how sure it is which host the incident is about.
	Host hostStanding `json:"host,omitzero"`

	Failed *carriedFailure `json:"failed,omitempty"`
	// Demanded is how the worker wants to be allowed what it refused to do.
	Demanded    *incident.Approval `json:"demanded,omitempty"`
	Requester   string             `json:"requester,omitzero"`
	Forced      bool               `json:"forced,omitzero"`
	StatedAt    time.Time          `json:"stated_at,omitzero"`
	Restate     bool               `json:"restate,omitzero"`
	Late        bool               `json:"late,omitzero"`
	Returned    bool               `json:"returned,omitzero"`
	ContainedAt time.Time          `json:"contained_at,omitzero"`
	WatchUntil  time.Time          `json:"watch_until,omitzero"`

	Chatter  int `json:"chatter,omitzero"`
	Unlisted int `json:"unlisted,omitzero"`

	Capture activities.Capture      `json:"capture,omitzero"`
	Files   []activities.StoredFile `json:"files,omitempty"`
}

// carriedApproval is an approval, but for those who may decide: they are in the
// input.
type carriedApproval struct {
	Request signals.Request `json:"request"`
	Verdict verdict         `json:"verdict,omitzero"`
	Have    []string        `json:"have"`
	By      string          `json:"by,omitzero"`
	// Policy is how it is asked for; runs of earlier versions leave it out, whose
	// routes alone said so.
	Policy *incident.Approval `json:"policy,omitempty"`
}

// carriedFailure is an action's error, as far as anything depends on it.
type carriedFailure struct {
	Type    string `json:"type,omitzero"`
	Message string `json:"message"`
}

// full reports whether it is time to move on. An incident whose input tells
// neither its first event whole nor what was carried was opened by a starter, or
// is replayed from a history, that knows nothing of moving; the input says so
// without the event in every history that workflow.GetVersion would cost. A run
// that nothing has happened in stays, or two could hand over to each other for
// ever.
func (r *response) full(ctx workflow.Context) bool {
	return (r.in.First != nil || r.in.Carried != nil) && !r.idle && !r.oversized &&
		len(r.mail) == 0 && len(r.news) == 0 && !r.notifying && !r.undoing && r.calling == 0 &&
		workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

// moveOn ends this run in favour of a next one; it reports false where that
// cannot be. The caller has just drained the signals and returns without
// waiting: close hands the next run over.
func (r *response) moveOn(ctx workflow.Context) bool {
	in, err := r.pack()
	if err != nil {
		r.oversized = true
		workflow.GetLogger(ctx).Error("incident does not move on", "error", err)
		return false
	}
	if r.in.Carried == nil {
		// For lists of workflows, which tell only when the last run started.
		memo := map[string]any{signals.MemoOpenedAt: r.openedAt.UTC(), signals.MemoOpenedRun: r.page.RunID}
		if err := workflow.UpsertMemo(ctx, memo); err != nil {
			workflow.GetLogger(ctx).Error("memo not updated", "error", err)
		}
	}
	r.next = workflow.NewContinueAsNewError(ctx, workflow.GetInfo(ctx).WorkflowType.Name, in)
	return true
}

// pack is the input of the next run. Where it would be too large it leaves out
// the fingerprints of the oldest events first, and then what of the first event
// only its sender understands.
func (r *response) pack() (signals.Input, error) {
	in, size, err := r.packed()
	if over := size - maxCarried; err == nil && over > 0 {
		// Three bytes are four characters of base64.
		r.seen.forget(over*3/4/len(signals.Fingerprint{}) + 1)
		in, size, err = r.packed()
	}
	if err == nil && size > maxCarried {
		r.page.Incident = signals.Slim(r.page.Incident)
		in, size, err = r.packed()
	}
	if err == nil && size > maxCarried {
		err = fmt.Errorf("%d bytes to carry: want at most %d", size, maxCarried)
	}
	return in, err
}

// packed encodes what the next run needs, and says how large its input is.
func (r *response) packed() (in signals.Input, size int, err error) {
	in = signals.Input{Route: r.in.Route, Approvers: r.in.Approvers, Notify: r.in.Notify, Tenant: r.in.Tenant}
	rest, err := json.Marshal(in)
	if err != nil {
		return in, 0, fmt.Errorf("encode the input: %w", err)
	}
	if in.Carried, err = json.Marshal(r.carry()); err != nil {
		return in, 0, fmt.Errorf("encode the incident: %w", err)
	}
	return in, len(rest) + len(`,"carried":`) + len(in.Carried), nil
}

// carry is all the incident knows; resume is its inverse.
func (r *response) carry() carried {
	c := carried{
		OpenedAt: r.openedAt, Reset: r.reset, Page: r.page, Seen: r.seen.bytes(),
		Action: r.action, Described: r.described, Parameters: r.parameters, Undos: r.undos, UndoLost: r.undoLost, Calls: r.calls,
		Decided: r.decided, Last: r.last, Asks: r.asks, Needed: r.needed, Host: r.host, Demanded: r.demanded, Requester: r.requester, Forced: r.forced,
		StatedAt: r.killing.statedAt, Restate: r.killing.restate, Late: r.killing.late,
		Returned: r.returned, ContainedAt: r.containedAt, WatchUntil: r.watchUntil,
		Chatter: r.chatter, Unlisted: r.unlisted, Capture: r.capture, Files: r.files,
	}
	if a := r.approval; a != nil {
		c.Clock = a.clock
		c.Approval = &carriedApproval{Request: a.request, Verdict: a.verdict, Have: a.have, By: a.by, Policy: &a.policy}
	}
	if r.failed != nil {
		c.Failed = &carriedFailure{Type: applicationErrorType(r.failed), Message: describe(r.failed)}
	}
	return c
}

// resume takes up what an earlier run carried.
func (r *response) resume() error {
	var c carried
	// Numbers among a request's parameters stay as they are written.
	if err := signals.DecodeExactly(r.in.Carried, &c); err != nil {
		return fmt.Errorf("decode what an earlier run carried: %w", err)
	}
	runID := r.page.RunID
	c.Page.Retrying = nil // steps of the earlier run
	r.page, r.openedAt, r.seen = c.Page, c.OpenedAt, seenIn(c.Seen)
	if r.reset {
		// A run that repeats another one keeps its evidence apart.
		r.page.RunID = runID
	}
	r.reset = r.reset || c.Reset
	r.action, r.last, r.asks, r.demanded, r.requester = c.Action, c.Last, c.Asks, c.Demanded, c.Requester
	r.forced, r.killing = c.Forced, killing{statedAt: c.StatedAt, restate: c.Restate, late: c.Late}
	r.described, r.parameters, r.undos, r.undoLost, r.calls = c.Described, c.Parameters, c.Undos, c.UndoLost, c.Calls
	r.needed, r.host = c.Needed, c.Host
	r.open = c.Page.Pending != nil
	if c.Decided != nil {
		r.decided = c.Decided
	}
	r.returned, r.containedAt, r.watchUntil = c.Returned, c.ContainedAt, c.WatchUntil
	r.chatter, r.unlisted = c.Chatter, c.Unlisted
	r.capture, r.files = c.Capture, c.Files
	if a := c.Approval; a != nil {
		r.approval = &approval{
			request: a.Request, approvers: r.in.Approvers, requester: c.Requester, clock: c.Clock, verdict: a.Verdict, have: a.Have, by: a.By,
			policy: r.carriedPolicy(a),
		}
		if r.parameters == nil && a.Request.Action == r.action {
			r.parameters = a.Request.Parameters
		}
	}
	if f := c.Failed; f != nil {
		r.failed = temporal.NewNonRetryableApplicationError(f.Message, f.Type, nil)
	}
	r.resuming, r.idle, r.lookedAround = true, true, true
	return nil
}

// carriedPolicy is how a request is asked for that an earlier run put.
func (r *response) carriedPolicy(a *carriedApproval) incident.Approval {
	switch {
	case a.Policy != nil:
		return *a.Policy
	case a.Request.Action == actionSaveCapture:
		return r.in.Route.SaveApproval
	default:
		return r.in.Route.Approval
	}
}

// leg is where a step that waits lies on the way of a run.
type leg int

const (
	ahead  leg = iota // it is yet to be gone through
	here              // an earlier run waited in it when it moved on
	behind            // an earlier run went through it
)

// stepWatch stands for the watch after a containment among the actions that a
// playbook waits for.
const stepWatch = ""

// leg says where the step lies that waits for an action. The run that reaches
// the step in which the earlier one waited has caught up.
func (r *response) leg(action string) leg {
	if !r.resuming {
		return ahead
	}
	waited := stepWatch
	if r.page.Pending != nil {
		waited = r.page.Pending.Action
	}
	if action != waited {
		return behind
	}
	r.resuming = false
	return here
}
