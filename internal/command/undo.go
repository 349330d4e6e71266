package command

import (
	"github.com/spf13/cobra"

	"firebreak/signals"
)

func (s *session) undoCommand() *cobra.Command {
	var from sender
	var reason string
	cmd := &cobra.Command{
		Use:   "undo ID",
		Short: "Take the last action of an incident back",
		Long: "Asks an incident to take its last action back, if that can be undone: the incident says whether it can.\n" +
			"Exit code 1 if it cannot.",
		Args:              exactly(1, "the workflow ID of an incident"),
		ValidArgsFunction: s.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(s.environ); err != nil {
				return err
			}
			if err := checkReason(&reason); err != nil {
				return err
			}
			return s.deliver(cmd.Context(), signals.Undo, from, to(args[0], "", signals.Undo, func(receipt string) any {
				return signals.Instruction{Analyst: from.analyst, Reason: reason, Receipt: receipt}
			}))
		},
	}
	from.add(cmd)
	addReason(cmd, &reason)
	return cmd
}
