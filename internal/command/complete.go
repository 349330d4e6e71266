package command

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
)

// joinWords is a part of the script for bash. Bash splits the command line at
// colons, which every incident's ID has, and cobra's script leaves it to the
// package bash-completion to join what was split; this does it where that
// package is absent.
//
//go:embed completion.bash
var joinWords string

// completionCommand adds cobra's command, whose script for bash is completed.
// The root must know its output.
func completionCommand(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	bash, _, _ := root.Find([]string{"completion", "bash"})
	bash.Long = "Generates the script that completes commands in bash, incident IDs too. It needs no other package.\n\n" +
		"For the current session:\n\n\tsource <(firebreak completion bash)\n\n" +
		"For every new one, add that line to ~/.bashrc."
	script := bash.RunE
	bash.RunE = func(cmd *cobra.Command, args []string) error {
		if err := script(cmd, args); err != nil {
			return err
		}
		if _, err := fmt.Fprint(cmd.OutOrStdout(), joinWords); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		return nil
	}
}

// completeDecisions offers the incidents that a decision can be sent to, but
// those that were typed already.
func (s *session) completeDecisions(signal string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, typed []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return s.complete(cmd, waitingFor(signal), typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeOne offers the open incidents to a command that takes one.
func (s *session) completeOne(cmd *cobra.Command, typed []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(typed) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.complete(cmd, onlyOpen, nil), cobra.ShellCompDirectiveNoFileComp
}

// complete offers the incidents that meet a condition, but some. What goes wrong
// offers nothing: a shell has no place to say it.
func (s *session) complete(cmd *cobra.Command, condition string, but []string) []cobra.Completion {
	t, err := s.connect(cmd.Context())
	if err != nil {
		return nil
	}
	defer t.Close()
	rows, _ := list(cmd.Context(), t, condition, maxListed)
	var offered []cobra.Completion
	for i := range rows {
		if r := &rows[i]; !slices.Contains(but, r.WorkflowID) {
			offered = append(offered, cobra.CompletionWithDesc(r.WorkflowID, plain(strings.TrimSuffix(cmp.Or(r.Pending, r.State)+", "+r.Rule, ", "))))
		}
	}
	return offered
}

// completeActions offers the response actions that are known.
func completeActions(_ *cobra.Command, typed []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(typed) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offered []cobra.Completion
	for _, action := range catalogue.All() {
		offered = append(offered, cobra.CompletionWithDesc(action.Name, string(action.Class)))
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}

// completeParameters offers the parameters of the action that was typed, and the
// fields that tell them; the value follows. Without an action that is known, any
// field.
func completeParameters(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeFields(cmd, args, typed)
	}
	action, known := catalogue.Find(args[0])
	if !known || strings.Contains(typed, "=") {
		return completeFields(cmd, args, typed)
	}
	names := action.ParameterNames()
	if slices.Contains(names, hostID) {
		names = append(names, "host.name")
	}
	for _, p := range action.Parameters {
		if slices.Contains(incident.AmendablePaths(), p.From) && !slices.Contains(names, p.From) {
			names = append(names, p.From)
		}
	}
	for i := range names {
		names[i] += "="
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeFields offers the fields that can be amended; the value follows.
func completeFields(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if strings.Contains(typed, "=") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	fields := incident.AmendablePaths()
	for i := range fields {
		fields[i] += "="
	}
	return fields, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
