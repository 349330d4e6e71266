package command

import (
	"strings"

	"github.com/spf13/cobra"

	"firebreak/signals"
)

func (s *session) approveCommand() *cobra.Command {
	return s.decideCommand(signals.Approve, "approved ", "Approve what incidents wait for")
}

func (s *session) rejectCommand() *cobra.Command {
	return s.decideCommand(signals.Reject, "rejected ", "Reject what incidents wait for")
}

// decideCommand sends the decision that the signal names. Prefix is how the war
// room begins to tell of it.
func (s *session) decideCommand(signal, prefix, short string) *cobra.Command {
	var from sender
	decision := signals.Decision{}
	cmd := &cobra.Command{
		Use:   signal + " ID...",
		Short: short,
		Long: short + ": sends the signal \"" + signal + "\", as the temporal command and Temporal Web can, and waits\n" +
			"until each incident has counted or refused it. Exit code 1 if one did not count it.",
		Args:              atLeast(1, "workflow IDs of incidents"),
		ValidArgsFunction: s.completeIDs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := from.check(s.environ); err != nil {
				return err
			}
			if decision.Reason = strings.TrimSpace(decision.Reason); decision.Reason == "" {
				return usagef("--reason is missing: want why, for the war room")
			}
			if decision.Request != "" && len(ids) > 1 {
				return usagef("--request %q: a request is that of one incident: want one ID, not %d", decision.Request, len(ids))
			}
			decision.Analyst = from.analyst
			return s.deliver(cmd.Context(), ids, delivery{
				signal: signal, payload: decision, analyst: from.analyst, wait: from.wait,
				kind: signals.KindDecision, prefix: prefix,
			})
		},
	}
	from.add(cmd)
	cmd.Flags().StringVar(&decision.Reason, "reason", "", "`WHY`, for the war room; required")
	cmd.Flags().StringVar(&decision.Request, "request", "", "the `REQUEST` that is meant; may be left out while one is pending")
	return cmd
}
