package command

import (
	"github.com/spf13/cobra"

	"firebreak/signals"
)

func (s *session) approveCommand() *cobra.Command {
	return s.decideCommand(signals.Approve, "Approve what incidents wait for")
}

func (s *session) rejectCommand() *cobra.Command {
	return s.decideCommand(signals.Reject, "Reject what incidents wait for")
}

// decideCommand sends the decision that the signal names.
func (s *session) decideCommand(signal, short string) *cobra.Command {
	var from sender
	var chosen bulk
	decision := signals.Decision{}
	cmd := &cobra.Command{
		Use:   signal + " [ID...]",
		Short: short,
		Long: short + ": sends the signal \"" + signal + "\", as the temporal command and Temporal Web can, and waits\n" +
			"until each incident has counted or refused it. Exit code 1 if one did not count it.\n\n" +
			"In place of IDs, --query selects among the incidents that wait for a decision. They are listed on\n" +
			"stderr, a question asks for your consent, and each decision is about the request that was listed and\n" +
			"no other. Exit code 1 also if no incident matches, or one cannot say what it waits for; that one is skipped.",
		Example: "  firebreak " + signal + " crypto-miner:node-1:6949e5f10829 --reason \"one attack\"\n" +
			"  firebreak " + signal + " --query 'IncidentHost=\"node-1\"' --reason \"one attack\"",
		ValidArgsFunction: s.completeDecisions(signal),
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := from.check(s); err != nil {
				return err
			}
			if err := checkReason(&decision.Reason); err != nil {
				return err
			}
			if err := chosen.check(signal, ids, decision.Request, s.Terminal); err != nil {
				return err
			}
			decision.Analyst = from.analyst
			if chosen.query != "" {
				return s.decideBulk(cmd.Context(), signal, from, chosen, decision)
			}
			deliveries := make([]delivery, len(ids))
			for i, id := range ids {
				deliveries[i] = decide(id, "", signal, decision)
			}
			return s.deliver(cmd.Context(), signal, from, deliveries...)
		},
	}
	from.add(cmd)
	chosen.add(cmd)
	addReason(cmd, &decision.Reason)
	cmd.Flags().StringVar(&decision.Request, "request", "", "the `REQUEST` that is meant; may be left out while one is pending")
	return cmd
}

// decide is a decision for an incident.
func decide(workflowID, chain, signal string, decision signals.Decision) delivery {
	return to(workflowID, chain, signal, func(receipt string) any {
		decision.Receipt = receipt
		return decision
	})
}
