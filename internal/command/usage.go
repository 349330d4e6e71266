package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// UsageError is a command that was given wrongly: whoever typed it can mend it,
// and nothing was done.
type UsageError struct{ err error }

// Error says what is wrong and what is accepted.
func (e *UsageError) Error() string { return e.err.Error() }

// Unwrap is the cause.
func (e *UsageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// exactly is the number of arguments that a command takes; what says which they
// are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s: %d arguments: expected %s", cmd.Name(), len(args), what)
		}
		return nil
	}
}
