// Package command is firebreak's command line: one file per command. Commands
// parse flags, call the packages that do the work, and print what came of it;
// they hold no rule about incidents. Nothing here ends the process, and nothing
// but [Env] is read or written, so that tests run commands as the binary does.
//
// A command ends with exit code 0 when it has done what it was asked to, 1 when
// that failed or was refused, and 2 when it was asked wrongly: an unknown
// command or flag, a bad value, a bad configuration.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"firebreak/internal/config"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Env is what a command has around it.
type Env struct {
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// Account is the name of the operating system's account, "" if it has none.
	Account        string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal says that Stdin is one: somebody sits there who can be asked.
	Terminal bool
	// Connect reaches Temporal. Nil connects with the settings of the `temporal`
	// command: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and so on.
	Connect func(context.Context) (Temporal, error)
}

// Run runs the command that args name and returns its exit code.
func Run(ctx context.Context, args []string, env Env) int {
	s := &session{Env: env, environ: newEnviron(env.Environ)}
	root := s.root()
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	completionCommand(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(env.Stderr, "firebreak: %s\n", plain(strings.TrimSpace(line)))
	}
	var usage *UsageError
	var configuration *config.Error
	if errors.As(err, &usage) || errors.As(err, &configuration) {
		return exitUsage
	}
	return exitFailed
}

// session is one run: its surroundings and the flags that every command has.
type session struct {
	Env
	environ environ
	config  string
	keyset  string
	output  string
}

// root is the command tree.
func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "firebreak",
		Short: "Durable incident response for runtime security events",
		Long: "Firebreak opens an incident for each runtime security event that a route matches, asks an analyst\n" +
			"for approval, and has Sysdig contain the threat or take a system capture.\n\n" +
			"Temporal is reached with the settings of the temporal command (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, …),\n" +
			"Sysdig with SYSDIG_SECURE_API_TOKEN. Every flag can also be set by the variable shown in brackets;\n" +
			"a flag wins over its variable, and the variable over the configuration file.",
		Args:          knownCommand,
		SilenceErrors: true,
		// As cobra does it where it refuses unknown commands itself.
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(s.Stderr)
			_ = cmd.Help()
			return usagef("a command is missing: want one of those above")
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.environ.fill(cmd.Flags()); err != nil {
				return err
			}
			if s.output != outputText && s.output != outputJSON {
				return usagef("--output %q: want %s or %s", s.output, outputText, outputJSON)
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{err} })
	root.PersistentFlags().StringVar(&s.config, "config", "",
		"configuration `FILE`; "+config.FileName+" if there is one, else the built-in default")
	root.PersistentFlags().StringVar(&s.keyset, "keyset", "",
		"keyset `FILE` that what is told Temporal is encrypted with; temporal.keyset if it is not given")
	root.PersistentFlags().StringVar(&s.output, "output", outputText, "`FORMAT` of the output: text or json")
	_ = root.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions([]cobra.Completion{outputText, outputJSON}, cobra.ShellCompDirectiveNoFileComp))
	root.AddCommand(
		s.workerCommand(), s.starterCommand(), s.codecCommand(), s.setupCommand(), s.configCommand(), s.explainCommand(),
		s.incidentsCommand(), s.showCommand(), s.evidenceCommand(), s.approveCommand(), s.rejectCommand(),
		s.noteCommand(), s.amendCommand(), s.undoCommand(), s.actCommand(), s.captureCommand(),
		s.freezeCommand(), s.unfreezeCommand(), s.keysetCommand(), s.healthcheckCommand(),
	)
	describeVariables(root)
	return root
}

// knownCommand refuses what is no command, and says what is near it.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		names = near
	}
	return usagef("unknown command %q: want %s", args[0], strings.Join(names, ", "))
}
