package command

import (
	"time"

	"github.com/spf13/cobra"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// captureAction is the action that a system capture is asked for as.
const captureAction = "CAPTURE"

// maxCapture is the longest capture, in Sysdig's own limits; the shortest is a
// second.
const maxCapture = 300 * time.Second

func (s *session) captureCommand() *cobra.Command {
	var from sender
	var host, container string
	var wholeHost bool
	var duration time.Duration
	options := incident.CaptureOptions{}
	in := signals.ManualInput{Action: captureAction, Capture: &options}
	cmd := &cobra.Command{
		Use:   "capture",
		Short: "Have a system capture taken by hand",
		Long: "Asks for a system capture of a container, or with --whole-host of everything on a host, and waits until the\n" +
			"request is open for approval or has ended. The requester does not count as an approver. The capture is stored as\n" +
			"evidence.\n\n" +
			"Exit code 1 if it is refused or fails while the command waits, or is asked for already.",
		Example: "  firebreak capture --host node-1 --container 6949e5f10829 --duration 30s --reason \"what does it do?\"",
		Args:    exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := from.check(s); err != nil {
				return err
			}
			if err := checkReason(&in.Reason); err != nil {
				return err
			}
			if duration < time.Second || duration > maxCapture || duration%time.Second != 0 {
				return usagef("--duration %s: must be whole seconds, %s to %s", duration, time.Second, maxCapture)
			}
			inc, err := captureTarget(host, container)
			if err != nil {
				return err
			}
			if wholeHost == (container != "") {
				return usagef("--container, --whole-host: expected one of them")
			}
			if wholeHost {
				options.Scope = incident.ScopeHost
			}
			if err := options.Check(); err != nil {
				return usagef("--filter: %w", err)
			}
			in.Requester, options.Duration = from.analyst, incident.Duration(duration)
			in.Parameters = map[string]signals.Scalar{}
			for _, field := range []string{"host.name", "container.id"} {
				if value, _ := inc.Field(field); value != "" {
					in.Parameters[field] = signals.Scalar(value)
				}
			}
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			t, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer t.Close()
			return s.begin(cmd.Context(), t, cfg.Temporal.TaskQueue, from, &in, &target{Incident: inc, tenant: in.Tenant})
		},
	}
	from.add(cmd)
	addReason(cmd, &in.Reason)
	addTenant(cmd, &in.Tenant)
	cmd.Flags().StringVar(&host, "host", "", "`NAME` of the host; required")
	cmd.Flags().StringVar(&container, "container", "", "`ID` of the container that is recorded")
	cmd.Flags().BoolVar(&wholeHost, "whole-host", false, "record everything that runs on the host")
	cmd.Flags().DurationVar(&duration, "duration", 15*time.Second, "how long to record, in whole seconds, at most "+maxCapture.String())
	cmd.Flags().StringVar(&options.Filter, "filter", "", "what to record of it, a `CONDITION` in Falco's syntax; default everything")
	addSettings(cmd, flagTaskQueue)
	return cmd
}

// captureTarget is what is to be captured.
func captureTarget(host, container string) (incident.Incident, error) {
	var target incident.Incident
	for _, flag := range []struct{ name, field, value string }{
		{"host", "host.name", host}, {"container", "container.id", container},
	} {
		if flag.value == "" {
			continue
		}
		if err := target.SetField(flag.field, flag.value); err != nil {
			return target, usagef("--%s %q: %w", flag.name, flag.value, err)
		}
	}
	if target.Host.Name == "" {
		return target, usagef("--host is missing: expected the name of a host that has an agent")
	}
	return target, nil
}
