package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// secureEvent is the adapter of an item of Sysdig's Secure events API, GET
// /secure/events/v1/events and .../{id}, as Sysdig's OpenAPI description of it
// has it and Elastic's Sysdig integration polls it: id, timestamp in
// nanoseconds, originator, severity, labels, and content, whose type says what
// else it holds. Neither the agent nor the container and the machine are at
// the top level. A whole response, {"data":[…],"page":{…}}, is taken apart by
// unwrap.
//
// Its type is under content and not at the top: that tells it from a message
// of the Event Forwarder. It must have its id and its timestamp as a number,
// for Elastic's own, renamed copy of an event has neither and lacks half of
// what an incident needs.
func secureEvent() adapter {
	return adapter{
		name: "sysdig-event",
		recognises: func(o object) bool {
			_, typed := o.object("content")["type"].(string)
			_, timed := o.integer("timestamp")
			return typed && timed && o.text("id") != "" && !o.has("type") && !o.has("entities")
		},
		events: func(o object) []Event {
			if originator := o.text("originator"); slices.Contains(noDetection, originator) {
				return []Event{{Ignored: fmt.Sprintf("originator %q: a report, not a detection", originator)}}
			}
			return []Event{{Incident: secureEventIncident(o)}}
		},
	}
}

// noDetection are the originators that Sysdig's own tools leave out of the
// events feed.
var noDetection = []string{"benchmarks", "compliance", "cloudsec", "scanning", "hostscanning"}

// NoDetection lists them.
func NoDetection() []string { return slices.Clone(noDetection) }

// secureEventIncident is the incident of an item. Its envelope is that of the
// Event Forwarder, as far as it goes.
func secureEventIncident(o object) Incident {
	i, content := forwarderIncident(o), o.object("content")
	// A machine-learning detection has no rule, only its kind.
	i.Rule.Name = cmp.Or(i.Rule.Name, content.text("type"))
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
	i.Process.Name = cmp.Or(i.Process.Name, content.text("command"))
	i.Process.Exe = cmp.Or(i.Process.Exe, content.text("exe"))
	k := &i.Kubernetes
	k.Cluster = cmp.Or(k.Cluster, content.text("clusterName"))
	k.Namespace = cmp.Or(k.Namespace, content.text("namespace"))
	if name := content.text("resourceName"); k.WorkloadName == "" && name != "" {
		k.WorkloadName, k.WorkloadType = name, strings.ToLower(content.text("resourceKind"))
	}
}
