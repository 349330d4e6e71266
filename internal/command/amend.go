package command

import (
	"strings"

	"github.com/spf13/cobra"

	"firebreak/internal/incident"
	"firebreak/signals"
)

func (s *session) amendCommand() *cobra.Command {
	var from sender
	var set []string
	cmd := &cobra.Command{
		Use:               "amend ID --set FIELD=VALUE",
		Short:             "Supply fields that an incident's event did not have",
		Args:              exactly(1, "the workflow ID of an incident"),
		ValidArgsFunction: s.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(s); err != nil {
				return err
			}
			fields, err := amendment(set)
			if err != nil {
				return err
			}
			return s.deliver(cmd.Context(), signals.Amend, from, to(args[0], "", signals.Amend, func(receipt string) any {
				return signals.Amendment{Analyst: from.analyst, Fields: fields, Receipt: receipt}
			}))
		},
	}
	from.add(cmd)
	cmd.Flags().StringArrayVar(&set, "set", nil, "`FIELD=VALUE`, like host.id=0a1b; may be repeated, required")
	_ = cmd.RegisterFlagCompletionFunc("set", completeFields)
	return cmd
}

// amendment reads the values of --set. They are checked as the playbook will,
// which sets all of them or none.
func amendment(set []string) (map[string]signals.Scalar, error) {
	if len(set) == 0 {
		return nil, usagef("--set is missing: want FIELD=VALUE, like host.id=0a1b")
	}
	fields := map[string]signals.Scalar{}
	for _, pair := range set {
		path, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("--set %q: want FIELD=VALUE, like host.id=0a1b", pair)
		}
		if _, twice := fields[path]; twice {
			return nil, usagef("--set %q: %s is set twice", pair, path)
		}
		if err := new(incident.Incident).SetField(path, value); err != nil {
			return nil, usagef("--set %q: %w", pair, err)
		}
		fields[path] = signals.Scalar(value)
	}
	return fields, nil
}
