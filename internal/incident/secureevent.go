package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// secureEvent is the adapter of an item of Sysdig's two feeds of events. A whole
// response, {"data":[…],"page":{…}}, is taken apart by unwrap.
//
// The Next-Gen feed, GET /secure/events/v1/events and .../{id}, is described by
// Sysdig's OpenAPI and polled by Elastic's Sysdig integration: id, timestamp in
// nanoseconds, originator, severity, labels, and content, whose type says what
// else it holds. Neither the agent nor the container and the machine are at the
// top level.
//
// The legacy feed, GET /api/v1/secureEvents, is what IBM's stix-shifter reads: id,
// timestamp as text of RFC 3339, originator, source, and content without type but
// with ruleName or policyId. It has agentId, containerId, machineId and customerId at
// the top level, as a message of the Event Forwarder. No item about a host itself is
// recorded, so an empty containerId says nothing there.
//
// Neither has a type at the top, which distinguishes them from a message of the
// Event Forwarder. An item must have its id and its timestamp, for Elastic's own, renamed
// copy of an event has neither and lacks half of what an incident needs.
func secureEvent() adapter {
	return adapter{
		name: "sysdig-event",
		recognises: func(o object) bool {
			return o.id("id") != "" && !o.has("type") && !o.has("entities") && (isNextGenItem(o) || isLegacyItem(o))
		},
		events: func(o object) []Event {
			if originator := o.text("originator"); slices.Contains(noDetection, originator) {
				return []Event{{Ignored: fmt.Sprintf("originator %q: a report, not a detection", originator)}}
			}
			if source := o.text("source"); source == auditSource {
				return []Event{{Ignored: fmt.Sprintf("source %q: the audit of the platform, not a detection", source)}}
			}
			_, ranked := severityOf(o)
			return []Event{event(secureEventIncident(o), ranked)}
		},
	}
}

func isNextGenItem(o object) bool {
	_, typed := o.object("content")["type"].(string)
	_, timed := o.integer("timestamp")
	return typed && timed
}

func isLegacyItem(o object) bool {
	content := o.object("content")
	return !content.has("type") && (content.has("ruleName") || content.has("policyId")) && (o.has("originator") || o.has("source")) &&
		!parseTime(o.text("timestamp")).IsZero()
}

// auditSource is the source of Sysdig's audit of its own platform in the legacy
// feed.
const auditSource = "auditTrail"

// noDetection are the originators that Sysdig's own tools leave out of the
// events feed.
var noDetection = []string{"benchmarks", "compliance", "cloudsec", "scanning", "hostscanning"}

// NoDetection lists them.
func NoDetection() []string { return slices.Clone(noDetection) }

// secureEventIncident is the incident of an item. Its envelope is that of the
// Event Forwarder, as far as it goes.
func secureEventIncident(o object) Incident {
	i, content := forwarderIncident(o, false), o.object("content")
	// A machine-learning detection has no rule, only its kind.
	i.Rule.Name = cmp.Or(i.Rule.Name, content.id("type"))
	i.Rule.Type = ruleType(content)
	i.describeContent(content)
	return i
}

// ruleType is the type of the rule in the forwarder's words, where they are
// known. The API numbers the types, 6 for Falco, 7 drift, 8 malware, 11 miners
// by machine learning; what the forwarder calls the others is not documented.
func ruleType(content object) string {
	number := content.text("ruleType")
	if number == "6" {
		return "RULE_TYPE_FALCO"
	}
	return cmp.Or(number, content.text("type"))
}

// describeContent fills what the kinds of content without fields say in keys
// of their own: machine learning (command, exe) and the admission controller
// (clusterName, namespace, resourceKind, resourceName).
func (i *Incident) describeContent(content object) {
	i.Process.Name = cmp.Or(i.Process.Name, shaped(line, content.text("command")))
	i.Process.Exe = cmp.Or(i.Process.Exe, shaped(line, content.text("exe")))
	k := &i.Kubernetes
	k.Cluster = cmp.Or(k.Cluster, shaped(name, content.text("clusterName")))
	k.Namespace = cmp.Or(k.Namespace, shaped(name, content.text("namespace")))
	if resource := shaped(name, content.text("resourceName")); k.WorkloadName == "" && resource != "" {
		k.WorkloadName, k.WorkloadType = resource, strings.ToLower(shaped(name, content.text("resourceKind")))
	}
}
