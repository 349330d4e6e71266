package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/approvals"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
	"firebreak/signals"
)

// ActionInput is one intended execution of a response action.
type ActionInput struct {
	Action string `json:"action"`
	// CallerID names the intended execution to Sysdig, however often it is
	// submitted.
	CallerID   string         `json:"caller_id"`
	Parameters map[string]any `json:"parameters"`
	// Undo is the execution that is to be undone, "" where the action is to be
	// carried out.
	Undo string `json:"undo,omitzero"`
	// Forced says that an action which takes another one back was asked for by
	// itself on purpose.
	Forced bool `json:"forced,omitzero"`
	// Tenant is the Sysdig account, "" for the one that there is.
	Tenant string `json:"tenant,omitzero"`
	// Since is a time before it can have been submitted. Zero means the last two
	// weeks.
	Since time.Time `json:"since,omitzero"`
	// NotAfter is until when it may be submitted; zero means at any time.
	NotAfter time.Time `json:"not_after,omitzero"`
	// Resumed says that an earlier run may have submitted it already.
	Resumed bool `json:"resumed,omitzero"`
	// Address is the host that the action is about, zero if it is about none.
	Address Address `json:"address,omitzero"`
	// Claim is what the incident says of who approved it.
	Claim approvals.Claim `json:"claim"`
}

// UnmarshalJSON leaves numbers as they are written: a time in nanoseconds is too
// long for a float64.
func (in *ActionInput) UnmarshalJSON(raw []byte) error {
	type plain ActionInput
	return signals.DecodeExactly(raw, (*plain)(in))
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
// is done twice, an attempt that may not be the first to submit looks the caller ID
// up before, and adopts the oldest execution. If it finds none although a
// submission may be on its way, it keeps looking for the time Settle, and submits
// only if the token is known to see executions of the action; else the result is
// ErrAmbiguous, see visible. A look-up that fails is retried; it is never left out.
// A conflict may mean that Sysdig does recognise the caller ID: it is looked up,
// too, before it counts as a refusal.
//
// Nothing is submitted that the worker's own configuration does not permit, while
// containment is frozen, or on a dry run.
func (a *Activities) ExecuteAction(ctx context.Context, in ActionInput) (Execution, error) {
	// What is claimed is what is done.
	in.Claim.Action, in.Claim.Undo = in.Action, in.Undo != ""
	info := activity.GetInfo(ctx)
	var progress actionProgress
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &progress); err != nil {
			// Details nobody can read only mean that nothing is known.
			progress = actionProgress{}
		}
	}
	known := progress
	stop := heartbeats(ctx, func() any { return known })
	if progress.ExecutionID == "" {
		var err error
		progress, err = a.findOrSubmit(ctx, in, info.Attempt, progress)
		stop()
		if errors.Is(err, errObserved) {
			return Execution{Status: StatusObserved, Observed: true}, nil
		}
		if err != nil {
			if progress != known {
				activity.RecordHeartbeat(ctx, progress)
			}
			return Execution{}, err
		}
		// Heartbeats tell of it soon; until then its caller ID finds it.
		stop = heartbeats(ctx, func() any { return progress })
	}
	done, err := a.follow(ctx, in, progress)
	stop()
	if err != nil {
		// The next attempt need not look for it.
		activity.RecordHeartbeat(ctx, progress)
	}
	return done, err
}

// errObserved ends a dry run before anything is submitted.
var errObserved = errors.New("a dry run")

// findOrSubmit makes sure that there is one execution. Where there is none after
// all, its progress says whether that is certain.
func (a *Activities) findOrSubmit(ctx context.Context, in ActionInput, attempt int32, before actionProgress) (actionProgress, error) {
	if attempt > 1 || in.Resumed {
		settled := before.CleanAttempt != 0 && before.CleanAttempt == attempt-1
		found, err := a.find(ctx, in, settled)
		if err != nil {
			return before, err
		}
		if found != nil {
			return actionProgress{ExecutionID: found.ID, Adopted: true}, nil
		}
	}
	// Not before: what an earlier attempt has submitted is followed in any case.
	clean := actionProgress{CleanAttempt: attempt}
	if in.Undo == "" && !in.Forced && catalogue.IsUndo(in.Action) {
		return clean, temporal.NewNonRetryableApplicationError(signals.UndoOnly(in.Action).Error(), ErrRefused, nil)
	}
	if !in.NotAfter.IsZero() && time.Now().After(in.NotAfter) {
		return clean, temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("%s may not be submitted after %s", in.Action, in.NotAfter.UTC().Format(time.RFC3339)), ErrOutdated, nil)
	}
	if err := a.isOf(ctx, in); err != nil {
		return clean, err
	}
	if err := a.permit(ctx, in.Claim, in.contains()); err != nil {
		return clean, err
	}
	if in.contains() && in.Claim.Incident != nil {
		// A route can tell another target than its incident's.
		if protected := a.Protected.Of(in.Action, in.subject(), in.Claim.Unseen); protected != "" {
			return clean, temporal.NewNonRetryableApplicationError(protected, ErrProtected, nil)
		}
	}
	if err := a.checkAddress(ctx, in); err != nil {
		return clean, err
	}
	if a.Observe {
		return clean, errObserved
	}
	if in.contains() {
		if err := a.reserve(ctx, in, attempt > 1 || in.Resumed); err != nil {
			return clean, err
		}
	}
	if err := a.takeTurn(ctx, in.turn(), in.CallerID); err != nil {
		return clean, err
	}
	operation := "submit " + in.Action
	execution, err := a.submit(ctx, in)
	switch {
	case err == nil:
		return actionProgress{ExecutionID: execution.ID}, nil
	case sysdig.MayHaveTakenEffect(err):
		return before, unknowable(operation, err)
	case hasStatus(err, http.StatusConflict):
		found, lookupErr := a.find(ctx, in, false)
		if lookupErr != nil {
			return before, lookupErr
		}
		if found != nil {
			return actionProgress{ExecutionID: found.ID, Adopted: true}, nil
		}
	}
	refusal := toTemporal(operation, err)
	if isFinal(refusal) {
		a.endTurn(ctx, in.turn(), in.CallerID)
	}
	return clean, refusal
}

// turn are the names of the host whose turn the response action CAPTURE takes: an
// agent has one slot for captures, whatever asks for them. Other actions take none.
func (in *ActionInput) turn() []string {
	host, _ := in.Parameters["host.id"].(string)
	if in.Action != capturing || in.Undo != "" {
		return nil
	}
	return TurnOf(in.Tenant, incident.Host{ID: host})
}

// capturing is the response action that takes a system capture.
const capturing = "CAPTURE"

// checkAddress checks that the host that the parameters name is the one that the
// incident is about, and still is.
func (a *Activities) checkAddress(ctx context.Context, in ActionInput) error {
	id, addressed := in.Parameters[hostID]
	if !addressed || in.Undo != "" {
		return nil
	}
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return err
	}
	at := in.Address
	if at.Host != (incident.Host{}) {
		at.Host.ID = fmt.Sprint(id)
	}
	_, err = a.check(ctx, account, at)
	return err
}

// hostID is the parameter that names the host of an action.
const hostID = "host.id"

// isOf checks that the execution that is to be undone is one of the action: who
// approved, and what policies say, is about that.
func (a *Activities) isOf(ctx context.Context, in ActionInput) error {
	if in.Undo == "" {
		return nil
	}
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return err
	}
	execution, err := account.Execution(ctx, in.Undo)
	if err != nil {
		return toTemporal("look up what is to be undone", err)
	}
	a.witnesses.add(account, execution)
	if !strings.EqualFold(execution.ActionType, in.Action) {
		return temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("execution %s is of %s, not of %s", in.Undo, execution.ActionType, in.Action), ErrRefused, nil)
	}
	return nil
}

// contains reports whether a freeze stops the action. To take one back is no
// containment, and an action that the catalogue does not know may be one.
func (in *ActionInput) contains() bool {
	if in.Undo != "" {
		return false
	}
	action, known := catalogue.Find(in.Action)
	return !known || action.Contains()
}

// subject is the incident with what the parameters tell of the target in place of
// what the incident does.
func (in *ActionInput) subject() *incident.Incident {
	target := *in.Claim.Incident
	for name, value := range in.Parameters {
		// What no incident has, or in another form, says nothing of it.
		_ = target.SetField(catalogue.From(name), fmt.Sprint(value))
	}
	return &target
}

// submit asks Sysdig to carry the action out, or to undo it.
func (a *Activities) submit(ctx context.Context, in ActionInput) (*sysdig.Execution, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return nil, err
	}
	if in.Undo != "" {
		return account.Undo(ctx, in.Undo, in.CallerID)
	}
	return account.Submit(ctx, sysdig.Submission{ActionType: in.Action, CallerID: in.CallerID, Parameters: in.Parameters})
}

// find looks an execution up by its caller ID. It returns nil if there surely is
// none. Settled says that this is known already: the last attempt had no effect, and
// those before it were looked up.
func (a *Activities) find(ctx context.Context, in ActionInput, settled bool) (*sysdig.Execution, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return nil, unknowable("look up "+in.Action+" by its caller ID", err)
	}
	look := func() (*sysdig.Execution, error) { return a.lookUp(ctx, account, in) }
	found, err := lookFor(ctx, a, settled, look)
	if err != nil || found != nil || settled {
		return found, err
	}
	// The token must see executions before and after a look, in case its permission
	// was withdrawn or granted meanwhile.
	if err := a.visible(ctx, account, in); err != nil {
		return nil, err
	}
	if found, err = look(); err != nil || found != nil {
		return found, err
	}
	return nil, a.visible(ctx, account, in)
}

// defaultLookBack is the longest time that one list of Sysdig covers.
const defaultLookBack = 14 * 24 * time.Hour

// lookUp is one look for an execution by its caller ID.
func (a *Activities) lookUp(ctx context.Context, account *sysdig.Client, in ActionInput) (*sysdig.Execution, error) {
	from, to := in.Since.Add(-clockSkew), time.Now().Add(clockSkew)
	if in.Since.IsZero() {
		from = to.Add(-defaultLookBack)
	}
	executions, err := account.ExecutionsByCaller(ctx, in.CallerID, from, to)
	if err != nil {
		return nil, unknowable("look up "+in.Action+" by its caller ID", err)
	}
	if len(executions) == 0 {
		return nil, nil
	}
	a.witnesses.add(account, &executions[0])
	// More than one cannot come from here; the oldest has the first claim.
	return &executions[0], nil
}

// lookFor looks for what an earlier attempt may have begun. Unless that is
// settled, it keeps looking until a request on its way must have arrived.
func lookFor[T any](ctx context.Context, a *Activities, settled bool, look func() (*T, error)) (*T, error) {
	end := time.Now().Add(a.settle())
	for {
		over := time.Now().After(end) // the last look is after that
		found, err := look()
		if err != nil || found != nil || settled || over {
			return found, err
		}
		if err := sleep(ctx, min(a.poll(), time.Second)); err != nil {
			return nil, err
		}
	}
}

// follow polls an execution until Sysdig has carried it out.
func (a *Activities) follow(ctx context.Context, in ActionInput, progress actionProgress) (Execution, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return Execution{}, unknowable("follow "+in.Action, err)
	}
	begun, renewed := time.Now(), time.Now()
	// The first looks come quickly: most actions take a moment.
	for wait := min(a.poll(), 50*time.Millisecond); ; wait = min(2*wait, a.poll()) {
		execution, err := account.Execution(ctx, progress.ExecutionID)
		switch {
		case hasStatus(err, http.StatusNotFound) && time.Since(begun) < a.settle():
			// It was accepted: not everything that answers for Sysdig may know yet.
		case err != nil:
			return Execution{}, unknowable("follow "+in.Action, err)
		case execution.Done():
			a.endTurn(ctx, in.turn(), in.CallerID)
			a.witnesses.add(account, execution)
			if !execution.Succeeded() {
				return Execution{}, temporal.NewNonRetryableApplicationError(
					fmt.Sprintf("%s: Sysdig reports %s: %s", in.Action, execution.Status, reason(execution)), in.failure(execution), nil)
			}
			return Execution{ID: execution.ID, Status: string(execution.Status), Adopted: progress.Adopted}, nil
		}
		if time.Since(renewed) > signals.MaxHold/2 {
			renewed = time.Now()
			if err := a.takeTurn(ctx, in.turn(), in.CallerID); err != nil {
				activity.GetLogger(ctx).Warn("turn of a host not renewed", "holder", in.CallerID, "error", err)
			}
		}
		if err := sleep(ctx, wait); err != nil {
			return Execution{}, err
		}
	}
}

// failure is the type of the error of an execution that has failed.
func (in *ActionInput) failure(e *sysdig.Execution) string {
	if in.Action == capturing && e.Failure != nil && sysdig.BusyReason(e.Failure.Message) {
		return ErrCaptureBusy
	}
	return ErrFailed
}

func reason(e *sysdig.Execution) string {
	if e.Failure == nil {
		return "no reason given"
	}
	return fmt.Sprintf("%s (%s)", e.Failure.Message, e.Failure.Reason)
}
