package command

import (
	"strings"

	"github.com/spf13/cobra"

	"firebreak/signals"
)

func (s *session) noteCommand() *cobra.Command {
	var from sender
	cmd := &cobra.Command{
		Use:               "note ID TEXT",
		Short:             "Write a note into an incident's war room",
		Args:              exactly(2, "the workflow ID of an incident, and the note in quotes"),
		ValidArgsFunction: s.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(s); err != nil {
				return err
			}
			text := strings.TrimSpace(args[1])
			if text == "" {
				return usagef("TEXT is empty: want the note")
			}
			return s.deliver(cmd.Context(), signals.Note, from, to(args[0], "", signals.Note, func(receipt string) any {
				return signals.NoteText{Analyst: from.analyst, Text: text, Receipt: receipt}
			}))
		},
	}
	from.add(cmd)
	return cmd
}
