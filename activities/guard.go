package activities

import (
	"context"
	"errors"
	"slices"

	"go.temporal.io/sdk/temporal"

	"firebreak/internal/approvals"
	"firebreak/internal/guard"
	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/signals"
)

// Guard is what is asked before anything is contained.
type Guard interface {
	// Frozen is who froze containment, nil while it is allowed.
	Frozen(context.Context) (*signals.Frozen, error)
	// Reserve takes a unit of the budgets, see guard.Watch.
	Reserve(ctx context.Context, in signals.Reserve, again bool) error
	// Hold takes, renews or gives back the turn of a host, see guard.Watch.
	Hold(ctx context.Context, in signals.Hold) error
}

// ApprovalInput is an action that a decision is asked for.
type ApprovalInput struct {
	Action   string            `json:"action"`
	Incident incident.Incident `json:"incident"`
	// Route is how the incident's route wants it to be asked for.
	Route incident.Approval `json:"route"`
	// Contains says that the action contains, and Unseen that no event tells of its
	// target.
	Contains bool `json:"contains,omitzero"`
	Unseen   bool `json:"unseen,omitzero"`
}

// Choice is how a decision is to be asked for.
type Choice struct {
	incident.Approval

	// Protected is why it need not be: the action contains, and its target is
	// protected. "" if it is not.
	Protected string `json:"protected,omitzero"`
}

// ChooseApproval is how a decision is to be asked for, by the worker's policies
// for single actions and its protected targets. It only computes.
func (a *Activities) ChooseApproval(_ context.Context, in ApprovalInput) (Choice, error) {
	choice := Choice{Approval: a.Approvals.Choose(in.Action, &in.Incident, in.Route)}
	if in.Contains {
		choice.Protected = a.Protected.Of(in.Action, &in.Incident, in.Unseen)
	}
	return choice, nil
}

// permit checks that the worker may carry out an action: that it was approved as
// the worker's configuration demands, and, if it contains, that its target is not
// protected and containment is not frozen. What nobody approved must also be
// within the budgets, see reserve.
func (a *Activities) permit(ctx context.Context, claim approvals.Claim, contains bool) error {
	wanted := claim.Incident == nil && contains && a.Protected.About(claim.Action)
	if err := a.Approvals.Check(claim); errors.Is(err, approvals.ErrNoIncident) {
		wanted = true
	} else if err != nil {
		return notPermitted(err)
	}
	if wanted {
		return temporal.NewNonRetryableApplicationError(
			"this worker looks at the incident before it carries out "+claim.Action+", and was not told of it", ErrIncidentWanted, nil)
	}
	if !contains {
		return nil
	}
	if protected := a.Protected.Of(claim.Action, claim.Incident, claim.Unseen); protected != "" {
		return temporal.NewNonRetryableApplicationError(protected, ErrProtected, nil)
	}
	frozen, err := a.Guard.Frozen(ctx)
	if err != nil {
		return err
	}
	if frozen != nil {
		return temporal.NewNonRetryableApplicationError(frozen.String(), ErrFrozen, nil)
	}
	return nil
}

// reserve takes a unit of every budget that an action counts against which nobody
// approved. Again says that it may have been taken already. It is not given back
// where nothing is submitted after all: a budget errs on the side of doing less.
// Where the guard cannot be asked nothing is done, and it is asked again.
func (a *Activities) reserve(ctx context.Context, in ActionInput, again bool) error {
	counts := func(b signals.Budget) bool { return b.Counts(in.Action) }
	if a.Approvals.Approved(in.Claim) || !slices.ContainsFunc(a.Budgets, counts) {
		return nil
	}
	err := a.Guard.Reserve(ctx, signals.Reserve{Action: in.Action, CallerID: in.CallerID, Target: target(in), Limits: a.Budgets}, again)
	var spent *guard.SpentError
	if errors.As(err, &spent) {
		count(ctx, metrics.BudgetRefusals, map[string]string{metrics.LabelAction: in.Action})
		return notPermitted(a.Approvals.Deny(in.Claim, spent.Error()))
	}
	return err
}

// target is what the action is about, for people.
func target(in ActionInput) string {
	if in.Claim.Incident != nil {
		return in.Claim.Incident.Target()
	}
	for _, name := range []string{"container.id", "host.id"} {
		if id, _ := in.Parameters[name].(string); id != "" {
			return id
		}
	}
	return ""
}

// notPermitted hands the playbook what it has to ask for.
func notPermitted(err error) error {
	var denied *approvals.Denied
	if !errors.As(err, &denied) {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(denied.Error(), ErrNotPermitted, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{denied.Demanded, denied.Approvers},
	})
}
