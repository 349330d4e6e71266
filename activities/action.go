package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/approvals"
	"firebreak/internal/sysdig"
)

// ActionInput is one intended execution of a response action.
type ActionInput struct {
	Action string `json:"action"`
	// CallerID names the intended execution to Sysdig, however often it is
	// submitted.
	CallerID   string         `json:"caller_id"`
	Parameters map[string]any `json:"parameters"`
	// Resumed says that an earlier run may have submitted it already.
	Resumed bool `json:"resumed,omitzero"`
	// Claim is what the incident says of who approved it.
	Claim approvals.Claim `json:"claim"`
}

// Execution is a response action that Sysdig completed. Its outputs stay with
// Sysdig: they may hold pre-signed URLs, which have no place in a history.
type Execution struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	// Adopted says that it was found by its caller ID, not submitted now.
	Adopted bool `json:"adopted,omitzero"`
	// Observed says that the worker is on a dry run: nothing was submitted, there is
	// no ID, and the status is StatusObserved.
	Observed bool `json:"observed,omitzero"`
}

// StatusObserved is the status of an action that a dry run did not submit.
const StatusObserved = "OBSERVED"

// actionProgress is what a retry of ExecuteAction resumes from.
type actionProgress struct {
	ExecutionID string `json:"execution_id,omitzero"`
	Adopted     bool   `json:"adopted,omitzero"`
	// CleanAttempt is the attempt after which Sysdig surely had not accepted
	// the submission. It only speaks for the attempt right after it: one that
	// died without a word left it as it was.
	CleanAttempt int32 `json:"clean_attempt,omitzero"`
}

// ExecuteAction submits a response action under its caller ID and follows the
// execution to its end.
//
// Sysdig does not promise to recognise a caller ID it has seen. So that nothing
// is done twice, whoever may not be the first to submit looks the caller ID up
// before, and adopts the execution it finds; if none is found although a
// submission may be on its way, it keeps looking for the time Settle before it
// submits. A lookup that fails is retried; submitting without it never happens.
//
// Nothing is submitted that the worker's own configuration does not permit, while
// containment is frozen, or on a dry run.
func (a *Activities) ExecuteAction(ctx context.Context, in ActionInput) (Execution, error) {
	info := activity.GetInfo(ctx)
	var progress actionProgress
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &progress); err != nil {
			// Details nobody can read only mean that nothing is known.
			progress = actionProgress{}
		}
	}
	stop := heartbeats(ctx, func() any { return progress })
	defer func() { stop() }()

	if progress.ExecutionID == "" && (info.Attempt > 1 || in.Resumed) {
		settled := progress.CleanAttempt != 0 && progress.CleanAttempt == info.Attempt-1
		found, err := a.find(ctx, in, settled)
		if err != nil {
			return Execution{}, err
		}
		if found != nil {
			stop()
			progress = actionProgress{ExecutionID: found.ID, Adopted: true}
			activity.RecordHeartbeat(ctx, progress)
			stop = heartbeats(ctx, func() any { return progress })
		}
	}
	if progress.ExecutionID == "" {
		// Not before: what an earlier attempt has submitted is followed in any case.
		err := a.permit(ctx, in.Claim, true)
		if err == nil && a.Observe {
			return Execution{Status: StatusObserved, Observed: true}, nil
		}
		if err == nil {
			err = a.reserve(ctx, in, info.Attempt > 1 || in.Resumed)
		}
		if err != nil {
			stop()
			stop = func() {}
			activity.RecordHeartbeat(ctx, actionProgress{CleanAttempt: info.Attempt})
			return Execution{}, err
		}
		execution, err := a.Sysdig.Submit(ctx, sysdig.Submission{ActionType: in.Action, CallerID: in.CallerID, Parameters: in.Parameters})
		stop()
		if err != nil {
			if !sysdig.MayHaveTakenEffect(err) {
				activity.RecordHeartbeat(ctx, actionProgress{CleanAttempt: info.Attempt})
			}
			stop = func() {}
			return Execution{}, toTemporal("submit "+in.Action, err)
		}
		// Heartbeats tell of it soon; until then its caller ID finds it.
		progress = actionProgress{ExecutionID: execution.ID}
		stop = heartbeats(ctx, func() any { return progress })
	}
	return a.follow(ctx, in, progress)
}

// find looks an execution up by its caller ID.
func (a *Activities) find(ctx context.Context, in ActionInput, settled bool) (*sysdig.Execution, error) {
	return lookFor(ctx, a, settled, func() (*sysdig.Execution, error) {
		executions, err := a.Sysdig.ExecutionsByCaller(ctx, in.CallerID)
		if err != nil {
			return nil, unknowable("look up "+in.Action+" by its caller ID", err)
		}
		if len(executions) == 0 {
			return nil, nil
		}
		// More than one cannot come from here; the first is the oldest claim.
		return &executions[0], nil
	})
}

// lookFor looks for what an earlier attempt may have begun. Unless that is
// settled, it keeps looking until a request on its way must have arrived.
func lookFor[T any](ctx context.Context, a *Activities, settled bool, look func() (*T, error)) (*T, error) {
	end := time.Now().Add(a.settle())
	for {
		found, err := look()
		if err != nil || found != nil || settled || time.Now().After(end) {
			return found, err
		}
		if err := sleep(ctx, min(a.poll(), time.Second)); err != nil {
			return nil, err
		}
	}
}

// follow polls an execution until Sysdig has carried it out.
func (a *Activities) follow(ctx context.Context, in ActionInput, progress actionProgress) (Execution, error) {
	// The first looks come quickly: most actions take a moment.
	for wait := min(a.poll(), 50*time.Millisecond); ; wait = min(2*wait, a.poll()) {
		execution, err := a.Sysdig.Execution(ctx, progress.ExecutionID)
		if err != nil {
			return Execution{}, unknowable("follow "+in.Action, err)
		}
		if execution.Done() {
			if !execution.Succeeded() {
				return Execution{}, temporal.NewNonRetryableApplicationError(
					fmt.Sprintf("%s: Sysdig reports %s: %s", in.Action, execution.Status, reason(execution)), ErrFailed, nil)
			}
			return Execution{ID: execution.ID, Status: string(execution.Status), Adopted: progress.Adopted}, nil
		}
		if err := sleep(ctx, wait); err != nil {
			return Execution{}, err
		}
	}
}

// unknowable maps the error of a lookup: where it would be the same next time,
// nobody can say any more what became of the execution.
func unknowable(operation string, err error) error {
	mapped := toTemporal(operation, err)
	if isFinal(mapped) {
		return temporal.NewNonRetryableApplicationError(mapped.Error(), ErrAmbiguous, err)
	}
	return mapped
}

func reason(e *sysdig.Execution) string {
	if e.Failure == nil {
		return "no reason given"
	}
	return fmt.Sprintf("%s (%s)", e.Failure.Message, e.Failure.Reason)
}
