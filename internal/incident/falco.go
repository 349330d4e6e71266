package incident

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// falco is the adapter of Falco's JSON alerts (json_output, as http_output
// posts them; documented in Falco's "Output Channels" and "Output Formatting")
// and of falcosidekick's webhook output, which re-emits them with a uuid. Every
// alert has time, rule, priority, source and hostname (source and hostname
// since 0.30); output, tags and output_fields can be switched off.
//
// Nothing is read from a field whose name has brackets: falcosidekick's
// bracketreplacer renames them (proc.aname[2] to proc.aname_2, say). What an
// operator adds, falcosidekick's customfields among it, arrives in
// output_fields, and so in Incident.Fields.
//
// A plain alert knows no policy, no agent and no host ID, so Sysdig's response
// actions need enrichment first. falcosidekick's "Test rule" and Falco's own
// internal alerts are mapped like any other: the routes decide, and a test that
// went another way than an alert would prove nothing.
func falco() adapter {
	return adapter{
		name: "falco",
		recognises: func(o object) bool {
			_, named := o["rule"].(string)
			_, ranked := falcoSeverity(o.text("priority"))
			return named && ranked && (o.object("output_fields") != nil || o.has("time") && o.has("source")) &&
				!slices.ContainsFunc(sysdigKeys, o.has)
		},
		events: func(o object) []Event { return []Event{{Incident: falcoIncident(o)}} },
	}
}

// sysdigKeys are keys that Falco never writes, and each of Sysdig's shapes has
// at least one of.
var sysdigKeys = []string{"content", "entities", "policyId", "agentId", "timestampRFC3339Nano"}

// falcoPriorities are in the order of syslog, the worst first: their places
// are Sysdig's severities.
var falcoPriorities = []string{"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"}

// falcoSeverity is the severity of a priority, in whatever case.
func falcoSeverity(priority string) (Severity, bool) {
	priority = strings.ToLower(priority)
	if priority == "info" {
		priority = "informational"
	}
	at := slices.Index(falcoPriorities, priority)
	return Severity(at), at >= 0
}

// hostSources are the sources of events on the host that Falco runs on: system
// calls, which have no source before 0.30 and "syscalls" from falcosidekick
// then, and Falco itself. A plugin's event (CloudTrail, Okta, the Kubernetes
// audit log) happened elsewhere, and must not lead to an action on that host.
var hostSources = []string{"", "syscall", "syscalls", "internal"}

func falcoIncident(o object) Incident {
	fields := o.textMap("output_fields")
	i := Incident{
		Source:     o.text("source"),
		Rule:       Rule{Name: o.text("rule"), Tags: o.texts("tags")},
		Output:     cmp.Or(o.text("output"), o.text("message")),
		OccurredAt: falcoTime(o),
	}
	i.Severity, _ = falcoSeverity(o.text("priority"))
	i.ID = falcoID(o, i.OccurredAt, fields)
	i.describe(nil, fields)
	if slices.Contains(hostSources, i.Source) {
		i.Host.Name = o.text("hostname")
	}
	i.Derive()
	return i
}

// falcoTime is when the alert's event happened. evt.time, nanoseconds, is the
// same instant, and counts where time has no fraction or is not there.
func falcoTime(o object) time.Time {
	t := parseTime(o.text("time"))
	n, ok := o.object("output_fields").integer("evt.time")
	if exact := unixTime(n); ok && (t.IsZero() || exact.Truncate(time.Second).Equal(t)) {
		return exact
	}
	return t
}
