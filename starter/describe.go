package starter

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// The limits of Temporal's user metadata, in bytes.
const (
	maxSummary = 400
	maxDetails = 20_000
)

// summary is an incident in one line of Markdown: rule on target (severity).
func summary(inc *incident.Incident) string {
	rule := cmp.Or(inc.Rule.Name, inc.Policy.Name, "Security event")
	severity := fmt.Sprintf(" (%s)", inc.Severity.Label())
	target := " on " + fit(inc.Target(), maxSummary/2)
	return fit(rule, maxSummary-len(target)-len(severity)) + target + severity
}

// details are the facts of an incident as a Markdown list. Every value is
// escaped: events are text that an attacker can shape.
func details(inc *incident.Incident, route *incident.Route, tenant string) string {
	process := inc.Process.Name
	if inc.Process.PID != 0 {
		process = strings.TrimSpace(process + " (PID " + strconv.FormatInt(inc.Process.PID, 10) + ")")
	}
	occurred := ""
	if !inc.OccurredAt.IsZero() {
		occurred = inc.OccurredAt.UTC().Format(time.RFC3339)
	}
	var b strings.Builder
	for _, fact := range []struct{ name, value string }{
		{"Rule", inc.Rule.Name},
		{"Policy", inc.Policy.Name},
		{"Severity", fmt.Sprintf("%d, %s; priority %s", inc.Severity, inc.Severity.Label(), inc.Priority)},
		{"Occurred", occurred},
		{"Tenant", tenant},
		{"Target", inc.Target()},
		{"Image", join(":", inc.Container.Image, inc.Container.Tag)},
		{"Kubernetes", join(" / ", inc.Kubernetes.Cluster, inc.Kubernetes.Namespace, inc.Kubernetes.WorkloadName, inc.Kubernetes.Pod)},
		{"Cloud", join(" / ", inc.Cloud.Provider, inc.Cloud.Account, inc.Cloud.Region, inc.Cloud.Instance)},
		{"Process", process},
		{"Command line", inc.Process.Cmdline},
		{"File", inc.File.Path},
		{"User", inc.User},
		{"Output", inc.Output},
		{"Event", join(" ", inc.ID, inc.EventURL)},
		{"Route", route.Name},
	} {
		if fact.value == "" {
			continue
		}
		line := fmt.Sprintf("- **%s:** %s\n", fact.name, fit(fact.value, 2_000))
		if b.Len()+len(line) > maxDetails {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

// fit escapes a text for Markdown and, if need be, shortens it until the result
// fits into a number of bytes.
func fit(s string, limit int) string {
	escaped := signals.EscapeMarkdown(s)
	for runes := min(len(s), limit); len(escaped) > limit; runes = runes * 3 / 4 {
		escaped = signals.EscapeMarkdown(signals.Cut(s, max(runes, 1)))
	}
	return escaped
}

// join joins the texts that are there.
func join(separator string, texts ...string) string {
	var present []string
	for _, text := range texts {
		if text != "" {
			present = append(present, text)
		}
	}
	return strings.Join(present, separator)
}
