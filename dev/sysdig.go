package main

import (
	"github.com/spf13/cobra"

	"firebreak/dev/internal/simulation"
)

// sysdigCommand is `sysdig`.
func sysdigCommand() *cobra.Command {
	var options simulation.Options
	command := &cobra.Command{
		Use:   "sysdig",
		Short: "Run a simulated Sysdig Secure until interrupted",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := options.Check(); err != nil {
				return usageError{err}
			}
			return simulation.Run(cmd.Context(), options, cmd.OutOrStdout())
		},
	}
	options.AddFlags(command.Flags())
	return command
}
