package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

func (s *session) actCommand() *cobra.Command {
	var from sender
	var set []string
	in := signals.ManualInput{}
	cmd := &cobra.Command{
		Use:   "act ACTION",
		Short: "Have a response action carried out by hand",
		Long: "Asks for a response action of Sysdig's, and waits until it waits for somebody's approval or has ended.\n" +
			"An action that takes another one back, like START_CONTAINER, is refused: `firebreak undo` does that.\n" +
			"Whoever asks does not count as an approver. Its parameters are given by their names at Sysdig, or told by\n" +
			"an incident's fields: those of --incident, in whose war room the action is told, or those given as well,\n" +
			"like host.name, by which the worker looks host.id up. A capture that is kept as evidence is `firebreak\n" +
			"capture`.\n\n" +
			"Exit code 1 if the action is refused or fails while the command waits, or is asked for already.",
		Example: "  firebreak act KILL_CONTAINER --incident capture:node-1:6949e5f10829 --reason \"a miner\"\n" +
			"  firebreak act KILL_PROCESS --param host.name=node-1 --param process.id=4711 --reason \"a miner\"",
		Args:              exactly(1, "a response action, like KILL_CONTAINER"),
		ValidArgsFunction: completeActions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(s); err != nil {
				return err
			}
			if err := checkReason(&in.Reason); err != nil {
				return err
			}
			in.Action, in.Requester = args[0], from.analyst
			if err := in.Check(); err != nil {
				return &UsageError{err}
			}
			action, err := s.findAction(in.Action)
			if err != nil {
				return err
			}
			if in.Parameters, err = readParameters(action, set); err != nil {
				return err
			}
			about := &target{Incident: told(action, &in, incident.Incident{}), tenant: in.Tenant}
			if in.Incident == "" {
				if err := lacking(action, &in, about.Incident); err != nil {
					return err
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
			if in.Incident != "" {
				if about, err = targetOf(cmd.Context(), t, action, &in); err != nil {
					return err
				}
			}
			return s.begin(cmd.Context(), t, cfg.Temporal.TaskQueue, from, &in, about)
		},
	}
	from.add(cmd)
	addReason(cmd, &in.Reason)
	addTenant(cmd, &in.Tenant)
	cmd.Flags().BoolVar(&in.Force, "force", false, "submit an action that takes another one back, like START_CONTAINER, without an execution to undo")
	cmd.Flags().StringVar(&in.Incident, "incident", "", "`ID` of the incident, open or closed, that tells the parameters that are not given")
	cmd.Flags().StringArrayVar(&set, "param", nil, "`NAME=VALUE`, a parameter or a field of an incident, like container.id=6949e5f10829; may be repeated")
	addSettings(cmd, flagTaskQueue)
	_ = cmd.RegisterFlagCompletionFunc("incident", func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return s.complete(cmd, onlyOpen, nil), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("param", completeParameters)
	return cmd
}

func addTenant(cmd *cobra.Command, tenant *string) {
	cmd.Flags().StringVar(tenant, "tenant", "", "Sysdig account by its `NAME` in the worker's configuration, where there are several")
}

// findAction is the action of that name, or nil for one that only Sysdig may
// know: its list is open, and the worker asks for it.
func (s *session) findAction(name string) (*catalogue.Action, error) {
	if action, known := catalogue.Find(name); known {
		return action, nil
	}
	if !catalogue.WellFormed(name) {
		return nil, &UsageError{catalogue.Unknown(name)}
	}
	if _, err := fmt.Fprintf(s.Stderr, "firebreak: %s is not among the actions that this version knows: the worker asks Sysdig for it\n", name); err != nil {
		return nil, fmt.Errorf("write output: %w", err)
	}
	return nil, nil
}

// readParameters reads the values of --param. Each is one of the action's, or a
// field of an incident; what those of an action are that only Sysdig knows, the
// worker finds out.
func readParameters(action *catalogue.Action, set []string) (map[string]signals.Scalar, error) {
	given := map[string]signals.Scalar{}
	for _, pair := range set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("--param %q: want NAME=VALUE, like container.id=6949e5f10829", pair)
		}
		if _, twice := given[name]; twice {
			return nil, usagef("--param %q: %s is given twice", pair, name)
		}
		value, err := readParameter(action, name, strings.TrimSpace(value))
		if err != nil {
			return nil, usagef("--param %q: %w", pair, err)
		}
		given[name] = signals.Scalar(value)
	}
	return given, nil
}

// readParameter checks a value, and has it in the form that incidents have it
// in where they have a field of that name.
func readParameter(action *catalogue.Action, name, value string) (string, error) {
	if value == "" {
		return "", errors.New("the value is empty")
	}
	var p catalogue.Parameter
	var ofAction bool
	if action != nil {
		p, ofAction = action.Parameter(name)
	}
	ofIncident := slices.Contains(incident.AmendablePaths(), name)
	switch {
	case !ofAction && !ofIncident && action != nil:
		return "", fmt.Errorf("%s has no parameter %q: expected one of %s, or a field of an incident that tells one, like host.name",
			action.Name, name, strings.Join(action.ParameterNames(), ", "))
	case ofIncident:
		var inc incident.Incident
		if err := inc.SetField(name, value); err != nil {
			return "", err
		}
		value = inc.Lookup(name)
	}
	if ofAction {
		parsed, err := p.Value(value)
		if err != nil {
			return "", err
		}
		value = fmt.Sprint(parsed) // 0815 is 815
	}
	return value, nil
}

// told is the target of an action: what an incident tells of it, if there is one,
// with the parameters, which are checked, in place of what it tells otherwise.
func told(action *catalogue.Action, in *signals.ManualInput, inc incident.Incident) incident.Incident {
	var settings []incident.Setting
	for _, name := range slices.Sorted(maps.Keys(in.Parameters)) {
		s := incident.Setting{Path: name, Value: string(in.Parameters[name])}
		if action != nil {
			if p, has := action.Parameter(name); has {
				s.Path = p.From
			}
		}
		settings = append(settings, s)
	}
	// What is no field of an incident is no part of the target.
	_ = inc.Retarget(settings)
	return inc
}

// targetOf is the target of an action about an incident, which tells what the
// action needs, or else it is an error.
func targetOf(ctx context.Context, t Temporal, action *catalogue.Action, in *signals.ManualInput) (*target, error) {
	_, page, err := query[signals.Page](ctx, t, in.Incident, "")
	switch {
	case notFound(err):
		return nil, unknown(ctx, t, in.Incident)
	case err != nil:
		return nil, err
	case in.Tenant != "" && in.Tenant != page.Tenant:
		return nil, usagef("--tenant %q: incident %s belongs to tenant %q, and so does what is done about it",
			in.Tenant, in.Incident, page.Tenant)
	}
	about := &target{Incident: told(action, in, page.Incident), tenant: page.Tenant}
	return about, lacking(action, in, about.Incident)
}

// lacking is what an action lacks that the worker cannot find out, as the worker
// will see it; nil for nothing.
func lacking(action *catalogue.Action, in *signals.ManualInput, target incident.Incident) error {
	if action == nil {
		return nil
	}
	given := map[string]any{}
	for name, value := range in.Parameters {
		if _, has := action.Parameter(name); has {
			given[name] = string(value)
		}
	}
	_, err := action.Fill(given, func(field string) string {
		value := target.Lookup(field)
		if field == hostID {
			// The worker looks it up in Sysdig.
			return cmp.Or(value, target.Host.MAC, target.Host.Name)
		}
		return value
	})
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) {
		return err
	}
	var problems []error
	for _, problem := range all.Unwrap() {
		var p *catalogue.ParameterError
		if !errors.As(problem, &p) || !p.Missing {
			problems = append(problems, problem)
			continue
		}
		problems = append(problems, missingParameter(p, in.Incident))
	}
	if action.Name == captureAction {
		problems = append(problems, errors.New("a capture that is kept as evidence is `firebreak capture`"))
	}
	return &UsageError{errors.Join(problems...)}
}

// hostID is the parameter, and the field, that the worker can find by others.
const hostID = "host.id"

// missingParameter says where a parameter may come from.
func missingParameter(p *catalogue.ParameterError, incidentID string) error {
	want := "want it"
	if p.Name == hostID {
		want = "want it, or host.name, by which the worker looks it up"
	}
	switch {
	case p.Field == "":
		return fmt.Errorf("--param %s is missing: %s; no incident tells it", p.Name, want)
	case incidentID == "":
		return fmt.Errorf("--param %s is missing: %s, or --incident of one that tells %s", p.Name, want, p.Field)
	default:
		return fmt.Errorf("--param %s is missing: %s; incident %s does not tell %s", p.Name, want, incidentID, p.Field)
	}
}
