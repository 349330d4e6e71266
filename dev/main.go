// Command dev runs what Firebreak needs around it on one machine: a Temporal
// server with its Web UI, and a simulated Sysdig. It is for demonstrations, tests
// and development, never for production: anybody on the machine may at least read.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// Before anything starts, so that an interrupt during the start is obeyed.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command and returns the exit code: 0 done, 1 failed, 2
// wrong usage. An interrupt is the normal end of what runs until interrupted.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "dev",
		Short:         "What Firebreak needs around it, on one machine",
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(demoCommand(), serverCommand(), sysdigCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)

	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil, ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "dev: %v\n", err)
		return 2
	default:
		fmt.Fprintf(stderr, "dev: %v\n", err)
		return 1
	}
}

// usageError is a command line that cannot be carried out as written.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
