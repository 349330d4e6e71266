package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"firebreak/internal/config"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// explanation is what became of one event of a payload.
type explanation struct {
	// Adapter is "" for an element that nobody recognised.
	Adapter string `json:"adapter"`
	// Path is where inside the element the message was found; it is left out
	// when the element itself is the message.
	Path string `json:"path,omitempty"`
	// Incident is null for an element that is none.
	Incident   *incident.Incident `json:"incident"`
	Ignored    string             `json:"ignored,omitempty"`
	Route      string             `json:"route"`
	Routes     []incident.Verdict `json:"routes"`
	WorkflowID string             `json:"workflow_id"`
	Missing    []string           `json:"missing"`
	// Lacks are the fields that routes need and the event does not state.
	Lacks []string `json:"lacks,omitempty"`
}

func (s *session) explainCommand() *cobra.Command {
	var routes, source string
	cmd := &cobra.Command{
		Use:   "explain FILE",
		Short: "Say what a payload would do, offline",
		Long: "Says which adapter takes each event of a payload, the incident it becomes, which route matches and why\n" +
			"the others do not, the workflow ID, and the fields its playbook would miss. FILE - is the standard input.\n" +
			"It talks to nobody and needs no secret. Exit code 1 if no event matches a route.",
		Args: exactly(1, "FILE, or - for the standard input"),
		RunE: func(_ *cobra.Command, args []string) error {
			path := s.config
			if routes != "" {
				path = routes
			}
			return s.explain(args[0], path, source)
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "`NAME` of the source that the payload would come from; its tenant is in the workflow ID")
	cmd.Flags().StringVar(&routes, "routes", "", "configuration `FILE` whose routes are used, instead of --config's")
	return cmd
}

func (s *session) explain(file, configPath, source string) error {
	cfg, err := s.loadFile(configPath)
	if err != nil {
		return err
	}
	router, err := incident.NewRouter(cfg.Routes)
	if err != nil {
		return fmt.Errorf("read routes: %w", err)
	}
	tenant, err := tenantOf(cfg, source)
	if err != nil {
		return err
	}
	body, err := s.read(file)
	if err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	events, err := incident.Parse(body)
	if err != nil {
		return fmt.Errorf("explain %s: %w", file, err)
	}
	redactor, err := cfg.Redactor()
	if err != nil {
		return err
	}
	redactor.Events(events)
	explanations, matched := make([]explanation, 0, len(events)), false
	for i := range events {
		e := explain(&events[i], router, tenant)
		matched = matched || e.Route != ""
		explanations = append(explanations, e)
	}
	if err := s.print(explanations, func(w io.Writer) error { return writeExplanations(w, explanations) }); err != nil {
		return err
	}
	if !matched {
		return errors.New("no event matches a route: nothing would be opened")
	}
	return nil
}

// tenantOf is the tenant of a source, "" where none is named.
func tenantOf(cfg *config.Config, source string) (string, error) {
	if source == "" {
		return "", nil
	}
	names := make([]string, len(cfg.Starter.Sources))
	for i, s := range cfg.Starter.Sources {
		if s.Name == source {
			return s.Tenant, nil
		}
		names[i] = s.Name
	}
	return "", &UsageError{fmt.Errorf("--source %q: want one of starter.sources, %s", source, strings.Join(names, ", "))}
}

func (s *session) read(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(s.Stdin)
	}
	return os.ReadFile(file)
}

func explain(event *incident.Event, router *incident.Router, tenant string) explanation {
	e := explanation{Adapter: event.Adapter, Path: event.Path, Ignored: event.Ignored, Routes: []incident.Verdict{}, Missing: []string{}}
	if event.Adapter == "" || event.Ignored != "" {
		return e
	}
	inc := &event.Incident
	e.Lacks = event.Lacks
	route, verdicts := router.Match(inc)
	e.Routes = append(e.Routes, verdicts...)
	if route == nil && inc.SelfReport {
		e.Ignored = incident.Unmatched(inc, verdicts)
		return e
	}
	e.Incident = inc
	if route != nil {
		e.Route = route.Name
		e.WorkflowID = signals.WorkflowID(route, tenant, inc)
		e.Missing = append(e.Missing, inc.Missing(workflows.RequiredFields(route, inc)...)...)
	}
	return e
}

func writeExplanations(w io.Writer, explanations []explanation) error {
	for i := range explanations {
		if err := writeExplanation(w, &explanations[i], i+1, len(explanations)); err != nil {
			return err
		}
	}
	return nil
}

func writeExplanation(w io.Writer, e *explanation, number, of int) error {
	t := newTable(w, "")
	t.row(fmt.Sprintf("event %d of %d", number, of))
	if e.Adapter == "" {
		t.row("  adapter", "none: nobody recognises it; the starter would keep it in quarantine")
		return t.flush()
	}
	t.row("  adapter", e.Adapter)
	if e.Path != "" {
		t.row("  found in", e.Path)
	}
	if e.Ignored != "" {
		t.row("  ignored", e.Ignored)
		return t.flush()
	}
	t.indent = "  "
	t.fieldRows(e.Incident)
	t.indent = ""
	if len(e.Lacks) > 0 {
		t.row("not stated", strings.Join(e.Lacks, ", ")+" (the starter counts it in firebreak_incomplete_events_total)")
	}
	t.row("routes")
	for _, v := range e.Routes {
		mark := "✗"
		if v.Matched {
			mark = "✓"
		}
		t.row("  "+mark+" "+v.Name, v.Reason)
	}
	if e.Route == "" {
		t.row("no route matches: the event would be ignored")
		return t.flush()
	}
	t.row("workflow ID", e.WorkflowID)
	if len(e.Missing) == 0 {
		t.row("missing", "nothing")
	} else {
		t.row("missing", strings.Join(e.Missing, ", ")+" (looked up in Sysdig, else an analyst is asked)")
	}
	return t.flush()
}
