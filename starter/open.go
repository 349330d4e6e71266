package starter

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"unicode"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// Reference is an incident that events went to.
type Reference struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	Route      string `json:"route"`
}

// signal tells an incident its events, and reports whether that opened it.
func (h *Handler) signal(ctx context.Context, g *group) (ref Reference, opened bool, err error) {
	workflowType, ok := signals.WorkflowType(g.route.Playbook)
	if !ok {
		return ref, false, fmt.Errorf("route %q: playbook %q does not exist", g.route.Name, g.route.Playbook)
	}
	ref = Reference{WorkflowID: g.workflowID, Route: g.route.Name}
	input := signals.Input{Route: *g.route, Approvers: h.approvers}
	options := h.options(g)
	for _, batch := range g.batches {
		runID, started, err := h.temporal.SignalWithStart(ctx, options, workflowType, input, batch)
		if err != nil {
			return ref, opened, fmt.Errorf("signal incident %s: %w", g.workflowID, err)
		}
		ref.RunID = runID
		opened = opened || started
	}
	return ref, opened, nil
}

// options are those of the incident, should it be opened: how it appears in
// Temporal's lists and on its page before its playbook has said anything. They
// are taken from its first event.
func (h *Handler) options(g *group) client.StartWorkflowOptions {
	first := &g.batches[0].Events[0]
	return client.StartWorkflowOptions{
		ID:        g.workflowID,
		TaskQueue: h.taskQueue,
		// A late event of a closed incident opens a new one: the threat is back.
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         summary(first),
		StaticDetails:         details(first, g.route),
		TypedSearchAttributes: attributes(first),
		Priority:              sdk.Priority{PriorityKey: first.Priority.Key()},
	}
}

// maxKeyword bounds a search attribute, in runes; databases store 255.
const maxKeyword = 200

func attributes(inc *incident.Incident) sdk.SearchAttributes {
	set := []sdk.SearchAttributeUpdate{
		signals.IncidentState.ValueSet(string(signals.Open)),
		signals.IncidentSeverity.ValueSet(int64(inc.Severity)),
	}
	for _, attribute := range []struct {
		key   sdk.SearchAttributeKeyKeyword
		value string
	}{
		{signals.IncidentRule, inc.Rule.Name},
		{signals.IncidentHost, cmp.Or(inc.Host.Name, inc.Host.ID, inc.Host.MAC)},
		{signals.IncidentContainer, inc.Container.ID},
	} {
		if value := keyword(attribute.value); value != "" {
			set = append(set, attribute.key.ValueSet(value))
		}
	}
	return sdk.NewSearchAttributes(set...)
}

// keyword makes a value fit for a search attribute. Control characters go:
// PostgreSQL refuses a NUL, and the incident would never be listed.
func keyword(value string) string {
	value = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, "\uFFFD"))
	return cut(value, maxKeyword)
}

// cut shortens a text to a number of runes.
func cut(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}
