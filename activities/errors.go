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
	// ErrAmbiguous: nobody can say whether it took effect.
	ErrAmbiguous = "ambiguous"
	// ErrNotPermitted: it was not approved as the worker's configuration demands,
	// which the details hold: an incident.Approval and signals.Approvers.
	ErrNotPermitted = "not-permitted"
	// ErrFrozen: containment is frozen.
	ErrFrozen = "frozen"
	// ErrProtected: the target is never contained, approved or not.
	ErrProtected = "protected"
	// ErrIncidentWanted: the worker has rules that look at the incident, which the
	// claim lacks. It is to be sent again with it.
	ErrIncidentWanted = "incident-wanted"
	// ErrEvidence: what was received is not what was asked for.
	ErrEvidence = "evidence-refused"
)

// errWorkerStops ends an attempt early; the next worker resumes it.
var errWorkerStops = errors.New("the worker stops")

// toTemporal maps an error of the Sysdig client to what Temporal does about it.
// It is the one place that decides what is retried: answers that would be the
// same next time are not, a busy Sysdig is asked again when it says so, and
// everything else is retried with backoff until the activity's deadline.
func toTemporal(operation string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
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
	case code == http.StatusNotFound:
		return final(ErrNotFound, "")
	case code == http.StatusTooManyRequests:
		return temporal.NewApplicationErrorWithOptions(text, "sysdig-busy",
			temporal.ApplicationErrorOptions{Cause: err, NextRetryDelay: answer.RetryAfter})
	case code == http.StatusRequestTimeout || code >= 500 || code < 400:
		return fmt.Errorf("%s: %w", operation, err)
	default:
		return final(ErrRefused, "")
	}
}

// isFinal reports whether an error will not be retried.
func isFinal(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.NonRetryable()
}
