package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.temporal.io/sdk/temporal"

	"firebreak/internal/sysdig"
)

// Types of the errors that are not retried: a human has to look.
const (
	// ErrRefused: Sysdig did not accept the request as it is.
	ErrRefused = "sysdig-refused"
	// ErrForbidden: the token is wrong or lacks a permission.
	ErrForbidden = "sysdig-forbidden"
	// ErrNotFound: what the request is about does not exist.
	ErrNotFound = "sysdig-not-found"
	// ErrFailed: Sysdig tried, and reports a failure.
	ErrFailed = "sysdig-failed"
	// ErrAmbiguous: nobody can say whether it took effect. It is also the type of
	// an error that is retried while that may still be found out, so that it says
	// the right thing if time runs out.
	ErrAmbiguous = "ambiguous"
	// ErrNotPermitted: it was not approved as the worker's configuration demands,
	// which the details hold: an incident.Approval and signals.Approvers.
	ErrNotPermitted = "not-permitted"
	// ErrFrozen: containment is frozen.
	ErrFrozen = "frozen"
	// ErrProtected: the target is never contained, approved or not.
	ErrProtected = "protected"
	// ErrCaptureBusy: an agent did not take a capture because it had another one, or
	// ended it at once without a reason. It can be taken again, under another name.
	ErrCaptureBusy = "capture-busy"
	// ErrCaptureTurn: the host's turn for a capture is not free. It is retried, and
	// nothing was submitted.
	ErrCaptureTurn = "capture-turn"
	// ErrOutdated: the process to kill was stated too long ago, and may be another one.
	ErrOutdated = "outdated"
	// ErrIncidentWanted: the worker has rules that look at the incident, which the
	// claim lacks. It is to be sent again with it.
	ErrIncidentWanted = "incident-wanted"
)

// errWorkerStops ends an attempt early; the next worker resumes it.
var errWorkerStops = errors.New("the worker stops")

// errBusy is the type of what is retried because of what Sysdig answered.
const errBusy = "sysdig-busy"

// toTemporal maps an error of the Sysdig client to what Temporal does about it.
// It is the one place that decides what is retried: answers that would be the
// same next time are not, a Sysdig that says when to come back is believed, and
// everything else is retried with backoff until the activity's deadline.
//
//	1xx, 2xx       no answer that could be read: retried
//	3xx            something stands in Sysdig's place, perhaps not for long: retried
//	401, 403       final: the token
//	404, 410       final: what it is about does not exist
//	408, 425       retried
//	409            what is read is not ready: retried; what is changed is refused: final
//	423, 429       retried
//	other 4xx      final: refused as it is
//	5xx and above  retried
//
// Whether a request may have taken effect all the same is another question, and
// [sysdig.MayHaveTakenEffect] answers it.
func toTemporal(operation string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || isFinal(err) {
		return err
	}
	var answer *sysdig.Error
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s: %w", operation, err)
	}
	text := fmt.Sprintf("%s: %s", operation, answer)
	final := func(kind, hint string) error {
		return temporal.NewNonRetryableApplicationError(text+hint, kind, err)
	}
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized:
		return final(ErrForbidden, " (check SYSDIG_SECURE_API_TOKEN)")
	case code == http.StatusForbidden:
		return final(ErrForbidden, " (the token's role lacks the permission, or an IP allow-list keeps this worker out)")
	case code == http.StatusNotFound || code == http.StatusGone:
		return final(ErrNotFound, "")
	case code >= 400 && code < 500 && !passing(answer):
		return final(ErrRefused, "")
	default:
		return temporal.NewApplicationErrorWithOptions(text, errBusy,
			temporal.ApplicationErrorOptions{Cause: err, NextRetryDelay: answer.RetryAfter})
	}
}

// passing reports whether a refusal is about the moment, not the request.
func passing(answer *sysdig.Error) bool {
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusLocked, http.StatusTooManyRequests:
		return true
	case http.StatusConflict:
		return answer.Method == http.MethodGet
	}
	return false
}

// unknowable maps an error that leaves open what became of an execution. Where
// it would be the same next time, nobody can say any more.
func unknowable(operation string, err error) error {
	mapped := toTemporal(operation, err)
	if mapped == nil || errors.Is(mapped, context.Canceled) {
		return mapped
	}
	text, options := mapped.Error(), temporal.ApplicationErrorOptions{Cause: err, NonRetryable: isFinal(mapped)}
	var app *temporal.ApplicationError
	if errors.As(mapped, &app) {
		text, options.NextRetryDelay = app.Message(), app.NextRetryDelay()
	}
	return temporal.NewApplicationErrorWithOptions(text, ErrAmbiguous, options)
}

// hasStatus reports whether Sysdig answered with this status.
func hasStatus(err error, code int) bool {
	var answer *sysdig.Error
	return errors.As(err, &answer) && answer.StatusCode == code
}

// isFinal reports whether an error will not be retried.
func isFinal(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.NonRetryable()
}
