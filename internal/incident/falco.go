package incident

import (
	"cmp"
	"slices"
	"strings"
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
// actions need enrichment first. What Falco and falcosidekick report of themselves
// is a self-report: dropped system calls, a metrics snapshot, the "Test rule" of
// falcosidekick's /test. A connection is tested with a test, but nothing is to be
// captured or killed for one.
func falco() adapter {
	return adapter{
		name: "falco",
		recognises: func(o object) bool {
			_, named := o["rule"].(string)
			_, ranked := falcoSeverity(o.text("priority"))
			return named && ranked && (o.object("output_fields") != nil || o.has("time") && o.has("source")) &&
				!slices.ContainsFunc(sysdigKeys, o.has)
		},
		events: func(o object) []Event {
			_, ranked := falcoSeverity(o.text("priority"))
			return []Event{event(falcoIncident(o), ranked)}
		},
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

func falcoIncident(o object) Incident {
	fields := newProperties(outputFields(o))
	source := strings.ToLower(o.id("source"))
	i := Incident{
		Source:     o.id("source"),
		Rule:       Rule{Name: o.id("rule"), Tags: o.texts("tags")},
		Output:     cmp.Or(o.text("output"), o.text("message")),
		OccurredAt: instant(o, fields),
	}
	i.Severity, _ = falcoSeverity(o.text("priority"))
	i.ID = falcoID(o, fields)
	i.describe(properties{}, fields, envelope{hostName: o.text("hostname"), elsewhere: !slices.Contains(hostSources, source)})
	i.Derive()
	return i
}

// outputFields returns the fields of an alert. A sender that flattens documents
// puts them at the top level, each under a name that begins with that of the
// object: output_fields_proc_pid.
func outputFields(o object) map[string]string {
	const key = "output_fields"
	fields := o.textMap(key)
	for k, v := range o {
		name, is := strings.CutPrefix(plainName(k), plainName(key))
		if !is || k == key {
			continue
		}
		if inner, nested := v.(map[string]any); nested {
			flatten(fields, name, inner)
		} else if s := text(v); s != "" && name != "" && fields[name] == "" && len(name) <= maxKey {
			fields[name] = s
		}
	}
	return fields
}
