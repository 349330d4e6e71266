// Command sysdig runs a simulated Sysdig Secure, as `dev sysdig` does: it is a
// program of its own for the sandbox's image, which is built without the Temporal
// server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"firebreak/dev/internal/simulation"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run serves until it is interrupted and returns the exit code: 0 done, 1
// failed, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var options simulation.Options
	flags := pflag.NewFlagSet("sysdig", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	options.AddFlags(flags)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%q: want flags only", flags.Args())
	case err == nil:
		err = options.Check()
	}
	if err != nil {
		fmt.Fprintf(stderr, "sysdig: %v\n", err)
		return 2
	}
	if err := simulation.Run(ctx, options, stdout); err != nil {
		fmt.Fprintf(stderr, "sysdig: %v\n", err)
		return 1
	}
	return 0
}
