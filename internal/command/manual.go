package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// target is what a manual action is about.
type target struct {
	incident.Incident
	// tenant is the Sysdig account of the incident that the action is about, or
	// else the one that was given; "" if neither names one.
	tenant string
}

// begin starts a manual action on a target and waits until it asks for a
// decision or has ended.
func (s *session) begin(ctx context.Context, t Temporal, taskQueue string, from sender, in *signals.ManualInput, about *target) error {
	if err := in.Check(); err != nil {
		return &UsageError{err}
	}
	run, err := t.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:        in.WorkflowID(),
		TaskQueue: taskQueue,
		// One that is closed may be asked for again; one that is under way is not
		// joined, for what it was asked with may differ.
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            manualSummary(in),
		TypedSearchAttributes:                    manualAttributes(&about.Incident),
		Priority:                                 sdk.Priority{FairnessKey: signals.FairnessKey(about.tenant)},
	}, signals.WorkflowResponseAction, *in)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &already):
		return fmt.Errorf("%s is under way already as %s: see `firebreak show %s`", in.Action, in.WorkflowID(), in.WorkflowID())
	case err != nil:
		return fmt.Errorf("start %s: %w", in.WorkflowID(), err)
	}
	m := manualAction{WorkflowID: in.WorkflowID(), RunID: run.GetRunID(), State: signals.Open}
	failed := m.await(ctx, t, run, from.wait)
	if err := s.print(m, func(w io.Writer) error { return m.write(w, from.analyst) }); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return fmt.Errorf("%s: %w", in.Action, failed)
	case m.Outcome != "" && !succeeded(m.Outcome):
		return fmt.Errorf("%s: %s", in.Action, m.Outcome)
	default:
		return nil
	}
}

// succeeded reports whether an outcome is that of an action that was carried out.
func succeeded(outcome signals.State) bool {
	return outcome == signals.Contained || outcome == signals.Captured
}

// maxSummary bounds a summary, in bytes, before it is escaped, which makes it three
// times as long at most; Temporal takes 400.
const maxSummary = 130

// manualSummary is the line that Temporal's lists show of a manual action.
func manualSummary(in *signals.ManualInput) string {
	verb := in.Action
	if in.Undo != "" {
		verb = "Undo " + verb
	}
	return signals.EscapeMarkdown(signals.Clip(fmt.Sprintf("%s, asked for by %s: %s", verb, in.Requester, in.Reason), maxSummary))
}

// manualAttributes are how a manual action is found before its playbook has said
// anything.
func manualAttributes(target *incident.Incident) sdk.SearchAttributes {
	set := signals.Opened(target)
	if target.Rule.Name != "" { // it is an incident's
		set = append(set, signals.IncidentSeverity.ValueSet(int64(target.Severity)))
	}
	return sdk.NewSearchAttributes(set...)
}

// manualAction is how a manual action stands.
type manualAction struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// State is a signals.State, or that of a Row that was ended from outside.
	State signals.State `json:"state"`
	// Outcome is "" while it is under way.
	Outcome signals.State `json:"outcome"`
	// Pending is what it waits for, nil for nothing.
	Pending *signals.Request `json:"pending"`
}

// await looks at the action until it waits for a decision or has ended, or until
// somebody has waited for long enough. The error says why it failed, or that no
// worker has taken it up yet.
func (m *manualAction) await(ctx context.Context, t Temporal, run client.WorkflowRun, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	seen, hint := false, fmt.Errorf("see `firebreak show %s`", m.WorkflowID)
	for {
		// Looked up first: one that ends after this is looked at once more.
		info, err := describe(ctx, t, m.WorkflowID, m.RunID)
		if err != nil {
			info = nil
		}
		_, page, err := query[signals.Page](ctx, t, m.WorkflowID, m.RunID)
		switch {
		case err == nil:
			seen = true
			m.State, m.Outcome, m.Pending = page.State, page.Outcome, page.Pending
		case ctx.Err() == nil:
			hint = err
		}
		switch {
		case m.Pending != nil:
			return nil
		case ended(info) && m.Outcome == "": // it could not even say so
			m.Outcome = signals.Failed
			m.State = cmp.Or(signals.State(endedOutside(info.GetStatus())), m.Outcome)
			fallthrough
		case ended(info):
			return m.cause(ctx, run)
		}
		select {
		case <-ctx.Done():
			switch {
			case seen:
				return nil
			case errors.Is(ctx.Err(), context.Canceled):
				return fmt.Errorf("started, but not answered before the interruption: %w", hint)
			default:
				return fmt.Errorf("started, but not answered within %s: %w", wait, hint)
			}
		case <-tick.C:
		}
	}
}

// cause is why the action failed; nil if it did not.
func (m *manualAction) cause(ctx context.Context, run client.WorkflowRun) error {
	if m.Outcome != signals.Failed {
		return nil
	}
	err := run.Get(ctx, nil)
	var failure *sdk.ApplicationError
	if errors.As(err, &failure) {
		return errors.New(failure.Message())
	}
	return err
}

func (m *manualAction) write(w io.Writer, requester string) error {
	t := newTable(w, "")
	t.row("action", m.WorkflowID)
	t.row("run", m.RunID)
	t.row("state", string(m.State))
	if m.Pending != nil {
		describeRequest(t, m.Pending)
		if m.State == signals.NeedsFields {
			t.row("answer", "firebreak amend "+m.WorkflowID+" --set FIELD=VALUE")
		} else {
			t.row("answer", fmt.Sprintf("firebreak approve %s --request %s --reason WHY", m.WorkflowID, m.Pending.ID))
			t.row("", "by somebody other than "+requester)
		}
	}
	return t.flush()
}
