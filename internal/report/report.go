// Package report renders an incident as Markdown: its page in Temporal Web and
// the report in its evidence. It is pure, and it trusts nothing: what came from
// an event or a person is escaped, so that nobody can draw a forged "approved".
package report

import (
	"fmt"
	"strings"
	"time"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// MaxDetails bounds the page in Temporal Web, in bytes: its whole text travels
// in a URL to be rendered.
const MaxDetails = 8 << 10

// maxValue bounds a value in the table of fields, in bytes before escaping,
// which can double it; maxActions bounds how many of Sysdig's own are shown.
const (
	maxValue   = 150
	maxActions = 3
)

// Details is the incident's page in Temporal Web: what is asked and the command
// that answers it, the incident, and as much of the war room as fits, newest
// first.
func Details(page *signals.Page, namespace string) string {
	var b strings.Builder
	heading(&b, page)
	pending(&b, page, namespace)
	fields(&b, &page.Incident)
	fmt.Fprintf(&b, "\n### War room (newest first)\n\n")
	shown := 0
	for i := len(page.WarRoom) - 1; i >= 0; i-- {
		line := entry(&page.WarRoom[i], 300)
		// Leave room for the line that says how much is not shown.
		if b.Len()+len(line)+100 > MaxDetails {
			break
		}
		b.WriteString(line)
		shown++
	}
	if left := len(page.WarRoom) - shown; left > 0 {
		fmt.Fprintf(&b, "\n%d earlier entries: query `%s`, or `firebreak show`.\n", left, signals.QueryWarRoom)
	}
	return b.String()
}

// Report is the whole story, for the evidence.
func Report(page *signals.Page) string {
	var b strings.Builder
	heading(&b, page)
	fields(&b, &page.Incident)
	if len(page.Evidence) > 0 {
		fmt.Fprintf(&b, "\n### Evidence\n\n")
		for _, name := range page.Evidence {
			fmt.Fprintf(&b, "- %s\n", signals.EscapeMarkdown(name))
		}
	}
	fmt.Fprintf(&b, "\n### War room\n\n")
	for i := range page.WarRoom {
		b.WriteString(entry(&page.WarRoom[i], 0))
	}
	return b.String()
}

func heading(b *strings.Builder, page *signals.Page) {
	fmt.Fprintf(b, "## %s\n\n", value(page.Incident.Rule.Name))
	fmt.Fprintf(b, "**%s** · playbook %s · route %s · events: %d, duplicates: %d\n",
		page.State, page.Playbook, value(page.Route), page.Events.Count, page.Events.Duplicates)
}

// pending says what is asked and how to answer, with commands that can be
// copied as they stand: request and workflow IDs have nothing to escape.
func pending(b *strings.Builder, page *signals.Page, namespace string) {
	p := page.Pending
	if p == nil {
		return
	}
	in, flag := "", ""
	if namespace != "" && namespace != "default" {
		in, flag = "TEMPORAL_NAMESPACE="+namespace+" ", " --namespace "+namespace
	}
	fmt.Fprintf(b, "\n### Decision wanted: %s %s\n\n", value(p.Action), value(page.Incident.Target()))
	fmt.Fprintf(b, "Request `%s`, needs %d, expires %s. Parameters: %s.\n\n",
		p.ID, p.Need, p.ExpiresAt.UTC().Format(time.RFC3339), value(Parameters(p.Parameters)))
	if page.State == signals.NeedsFields {
		fmt.Fprintf(b, "```\ntemporal workflow signal%s \\\n  -w %s \\\n  --name amend \\\n  --input '{\"analyst\":\"YOU\",\"fields\":{\"FIELD\":\"VALUE\"}}'\n```\n\n", flag, page.WorkflowID)
		return
	}
	fmt.Fprintf(b, "```\ntemporal workflow signal%s \\\n  -w %s \\\n  --name approve \\\n  --input '{\"analyst\":\"YOU\",\"reason\":\"WHY\"}'\n```\n\n", flag, page.WorkflowID)
	fmt.Fprintf(b, "or `%sfirebreak approve %s --reason WHY`; `reject` instead of `approve` denies.\n", in, page.WorkflowID)
}

// fields is the table of what is known.
func fields(b *strings.Builder, inc *incident.Incident) {
	fmt.Fprintf(b, "\n| field | value |\n|---|---|\n")
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "| %s | %s |\n", name, value(text))
		}
	}
	row("severity", fmt.Sprintf("%d (%s), priority %s", inc.Severity, inc.SeverityLabel, inc.Priority))
	row("policy", inc.Policy.Name)
	if !inc.OccurredAt.IsZero() {
		row("occurred", inc.OccurredAt.UTC().Format(time.RFC3339Nano))
	}
	row("event", inc.ID)
	row("event URL", inc.EventURL)
	row("host", join(inc.Host.Name, inc.Host.MAC, inc.Host.ID))
	row("container", join(inc.Container.Name, inc.Container.ID, image(&inc.Container)))
	row("kubernetes", join(inc.Kubernetes.Cluster, inc.Kubernetes.Namespace, inc.Kubernetes.WorkloadName, inc.Kubernetes.Pod))
	row("cloud", join(inc.Cloud.Provider, inc.Cloud.Account, inc.Cloud.Region, inc.Cloud.Instance))
	if inc.Process.PID != 0 {
		row("pid", fmt.Sprint(inc.Process.PID))
	}
	row("command", inc.Process.Cmdline)
	row("parent", inc.Process.Parent)
	row("file", inc.File.Path)
	row("user", inc.User)
	row("output", inc.Output)
	for _, action := range inc.Actions[:min(len(inc.Actions), maxActions)] {
		row("done by policy", fmt.Sprintf("%s, successful: %t %s", action.Type, action.Successful, action.Error))
	}
}

func entry(e *signals.Entry, most int) string {
	text := e.Text
	if most > 0 {
		text = signals.Clip(text, most)
	}
	return fmt.Sprintf("- %s · %s · **%s** · %s\n",
		e.Time.UTC().Format("2006-01-02 15:04:05Z"), e.Kind, value(e.Actor), signals.EscapeMarkdown(text))
}

func image(c *incident.Container) string {
	if c.Tag == "" {
		return c.Image
	}
	return c.Image + ":" + c.Tag
}

func join(values ...string) string {
	kept := values[:0:0]
	for _, v := range values {
		if v != "" {
			kept = append(kept, v)
		}
	}
	return strings.Join(kept, ", ")
}

// value escapes a value and bounds it.
func value(s string) string { return signals.EscapeMarkdown(signals.Clip(s, maxValue)) }
