package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"firebreak/signals"
)

// VetInput is a signal of a person, and what has to be known of it.
type VetInput struct {
	// Signal is the signal's name, and Ordinal the how-manieth of that name it is
	// in the history of the workflow's run, from 1.
	Signal  string `json:"signal"`
	Ordinal int    `json:"ordinal"`
	// Digest is that of its data as the workflow has received it, see [Digest]: a
	// signal that another one would be taken for is nobody's.
	Digest string `json:"digest,omitzero"`
	// Sender asks who sent it, and when.
	Sender bool `json:"sender,omitzero"`
	// Freeze asks whether containment is frozen.
	Freeze bool `json:"freeze,omitzero"`
	// Member asks whether the analyst of that name, whom the payload claims to be
	// from, may do what any approver may, as the worker trusts it.
	Member string `json:"member,omitzero"`
}

// Vetting is what is known of a signal.
type Vetting struct {
	// Principal is whom the Temporal server authenticated, "" for nobody. Of a
	// Member it is whom the signal is attributed to.
	Principal string `json:"principal,omitzero"`
	// SentAt is when the server took it.
	SentAt time.Time       `json:"sent_at,omitzero"`
	Frozen *signals.Frozen `json:"frozen,omitempty"`
	// Refused is why a Member may not.
	Refused string `json:"refused,omitzero"`
}

// serverPrincipal is the type of the principal under which the server's own
// workers act; they pass on the signals of a batch, whose sender is not known.
// Source: common/authorization/principal.go of the Temporal server 1.32.
const serverPrincipal = "temporal"

// Vet finds out about a signal that the calling workflow has received: from the
// history, which holds who sent it, and from the guard. It only reads.
func (a *Activities) Vet(ctx context.Context, in VetInput) (Vetting, error) {
	var found Vetting
	verified := in.Member != "" && a.Approvals.Trust() == signals.TrustVerified
	if in.Sender || verified {
		if err := a.sender(ctx, in, &found); err != nil {
			return Vetting{}, err
		}
	}
	if in.Freeze {
		var err error
		if found.Frozen, err = a.Guard.Frozen(ctx); err != nil {
			return Vetting{}, err
		}
	}
	if in.Member == "" {
		return found, nil
	}
	if !verified {
		found.Principal = in.Member
	}
	if found.Principal == "" {
		found.Refused = fmt.Sprintf("unverified: the Temporal server has not authenticated its sender, who claims to be %q", in.Member)
	} else if err := a.Approvals.Member(found.Principal); err != nil {
		found.Refused = err.Error()
	}
	return found, nil
}

// Digest is a short digest of a signal's data.
func Digest(payloads ...*common.Payload) string {
	sum := sha256.New()
	for _, p := range payloads {
		sum.Write(p.GetData())
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// sender looks the signal up in the history of the workflow's run. Servers
// before 1.32, and those without an authorizer or without
// frontend.enablePrincipalPropagation, name no principal. A signal that a reset
// took over from an earlier run carries the principal of whoever reset, so it
// counts as one of nobody's: the server writes those between the end of the task
// at which it reset and the next task.
func (a *Activities) sender(ctx context.Context, in VetInput, found *Vetting) error {
	run := activity.GetInfo(ctx).WorkflowExecution
	events := a.Temporal.GetWorkflowHistory(ctx, run.ID, run.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	reset := false
	for count := 0; events.HasNext(); {
		event, err := events.Next()
		if err != nil {
			return fmt.Errorf("read the history of %s: %w", run.ID, err)
		}
		switch event.GetEventType() {
		case enums.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			reset = event.GetWorkflowTaskFailedEventAttributes().GetCause() == enums.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
		case enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
			reset = false
		default:
		}
		if event.GetWorkflowExecutionSignaledEventAttributes().GetSignalName() != in.Signal {
			continue
		}
		if count++; count < in.Ordinal {
			continue
		}
		if payloads := event.GetWorkflowExecutionSignaledEventAttributes().GetInput().GetPayloads(); Digest(payloads...) != in.Digest {
			return temporal.NewNonRetryableApplicationError(
				fmt.Sprintf("signal %s number %d in the history is another one than was received", in.Signal, in.Ordinal), ErrNotPermitted, nil)
		}
		found.SentAt = event.GetEventTime().AsTime()
		if principal := event.GetPrincipal(); !reset && principal.GetType() != serverPrincipal {
			found.Principal = principal.GetName()
		}
		return nil
	}
	return fmt.Errorf("signal %s number %d is not in the history of %s yet", in.Signal, in.Ordinal, run.ID)
}
