package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// Manual is what a manual action has to know before it asks for anything.
type Manual struct {
	Approvers signals.Approvers `json:"approvers"`
	// Approval is how the action is to be asked for.
	Approval incident.Approval `json:"approval"`
	// Requester is who asks, as the worker trusts it.
	Requester string `json:"requester"`
	// Incident is the incident that it is about, nil for none, and Tenant the Sysdig
	// account.
	Incident *incident.Incident `json:"incident,omitempty"`
	Tenant   string             `json:"tenant,omitzero"`
	// Notify says that there is somebody to be notified.
	Notify bool `json:"notify,omitzero"`
}

// PrepareManual finds out who may decide on the manual action that calls it, who
// asked for it, and what the incident knows that it is about. It only reads.
//
// With trust verified the requester is the principal who started the workflow,
// by the same history that tells the senders of signals: who approves must be
// somebody else.
func (a *Activities) PrepareManual(ctx context.Context, in signals.ManualInput) (Manual, error) {
	m := Manual{Requester: in.Requester, Tenant: in.Tenant, Notify: a.Notifier != nil}
	if in.Incident != "" {
		page, err := a.page(ctx, in.Incident)
		if err != nil {
			return Manual{}, err
		}
		m.Incident, m.Tenant = &page.Incident, page.Tenant
		if err := undoes(&page, &in); err != nil {
			return Manual{}, err
		}
	}
	m.Approvers = a.Approvals.Approvers()
	about := m.Incident
	if about == nil {
		about = &incident.Incident{}
	}
	m.Approval = a.Approvals.Choose(in.Action, about, incident.DefaultApproval())
	if a.Approvals.Trust() == signals.TrustVerified {
		starter, err := a.starter(ctx)
		if err != nil {
			return Manual{}, err
		}
		if m.Requester = starter; starter == "" {
			return Manual{}, temporal.NewNonRetryableApplicationError(
				fmt.Sprintf("unverified: the Temporal server has not authenticated who started it, who claims to be %q", in.Requester), ErrNotPermitted, nil)
		}
	}
	return m, nil
}

// undoes checks that what is to be undone was done about the incident: it is the
// incident's target that whoever approves is shown.
func undoes(page *signals.Page, in *signals.ManualInput) error {
	done := func(e signals.Executed) bool {
		return e.ExecutionID == in.Undo && e.Action == in.Action && e.UndoneBy == ""
	}
	if in.Undo == "" || slices.ContainsFunc(page.Actions, done) {
		return nil
	}
	return temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("undo: incident %s has no execution %q of %s that is in force; want one of its own, or no incident", in.Incident, in.Undo, in.Action), ErrRefused, nil)
}

// page is an incident as it says itself, open or closed.
func (a *Activities) page(ctx context.Context, workflowID string) (signals.Page, error) {
	var page signals.Page
	answer, err := a.Temporal.QueryWorkflow(ctx, workflowID, "", signals.QueryIncident)
	if err == nil {
		err = answer.Get(&page)
	}
	var none *serviceerror.NotFound
	var rejected *temporal.QueryRejectedError
	switch {
	case errors.As(err, &rejected):
		return page, fmt.Errorf("incident %s is paused in Temporal and answers nothing", workflowID)
	case errors.As(err, &none):
		return page, temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("incident %q: there is none of that workflow ID", workflowID), ErrNotFound, err)
	case err != nil:
		return page, fmt.Errorf("ask incident %s: %w", workflowID, err)
	}
	return page, nil
}

// starter is the principal who started the calling workflow, "" for nobody.
func (a *Activities) starter(ctx context.Context) (string, error) {
	run := activity.GetInfo(ctx).WorkflowExecution
	events := a.Temporal.GetWorkflowHistory(ctx, run.ID, run.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return "", fmt.Errorf("read the history of %s: it is empty", run.ID)
	}
	event, err := events.Next()
	if err != nil {
		return "", fmt.Errorf("read the history of %s: %w", run.ID, err)
	}
	if principal := event.GetPrincipal(); principal.GetType() != serverPrincipal {
		return principal.GetName(), nil
	}
	return "", nil
}
