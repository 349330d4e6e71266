package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
)

// Bounds of text, in bytes.
const (
	maxEntry   = 2000 // a war-room entry
	maxQuoted  = 100  // a value quoted in an entry
	maxSummary = 200  // a summary of an activity or a timer
)

// describe words an activity's error for a person: what failed, without the
// wrapping that the SDK adds.
func describe(err error) string {
	if err == nil {
		return "unknown reason"
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return fmt.Sprintf("no result before the deadline (%s)", timeout.TimeoutType())
	}
	var canceled *temporal.CanceledError
	if errors.As(err, &canceled) {
		return "the workflow was cancelled meanwhile"
	}
	return err.Error()
}
