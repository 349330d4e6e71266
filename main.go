// The binary firebreak: a durable incident-response worker for runtime security
// events. What it does is in internal/command; this file only gives it the
// process's surroundings and returns its exit code.
package main

import (
	"context"
	"os"
	"os/signal"
	"os/user"
	"syscall"

	"golang.org/x/term"

	"firebreak/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Whoever asks a second time is not made to wait.
	context.AfterFunc(ctx, stop)
	os.Exit(command.Run(ctx, os.Args[1:], command.Env{
		Environ: os.Environ(), Account: account(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stdin.Fd())),
	}))
}

// account is the name of the account that the process runs as. Small images have
// no list of accounts, and then it has none.
func account() string {
	current, err := user.Current()
	if err != nil {
		return ""
	}
	return current.Username
}
