package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// forwarder is the adapter of Sysdig Secure's Event Forwarder, integration
// type Webhook, payload since January 2023. The shape is documented in Sysdig's
// "Event Forwarding" and "Forwarding to Webhook": an envelope (id, type,
// timestamp, originator, agentId, containerId, machineId), the detection under
// content, and flat labels. All of content.fields are strings, and timestamps
// are nanoseconds unless the integration says otherwise. Events forwarded by
// the agent itself (agent 12.18 and later) have the same envelope without
// agentId and description, and with fewer labels.
//
// The other channels reach the same URL when they are switched on: platform
// audit, benchmarks and host scanning in the same envelope with another type,
// activity audit with its own keys beside type and agentId. Their severity 0
// means nothing, so only type "policy" is an incident. Any other type is
// Sysdig's if it comes with timestampRFC3339Nano, a key that only the
// forwarder writes: the channel of Monitor events has no documented shape.
//
// It is type at the top that tells this sender from Sysdig's events API, whose
// items have it under content (see secureEvent).
func forwarder() adapter {
	return adapter{
		name:       "sysdig-forwarder",
		recognises: forwards,
		events: func(o object) []Event {
			if kind := o.text("type"); kind != policyType {
				return []Event{{Ignored: fmt.Sprintf("type %q: only policy events are incidents", kind)}}
			}
			_, ranked := severityOf(o)
			return []Event{event(forwarderIncident(o, o["containerId"] == ""), ranked)}
		},
	}
}

// policyType is the type of a detection.
const policyType = "policy"

// activityTypes are the types of the activity audit.
var activityTypes = []string{"command", "connection", "fileaccess", "kubernetes"}

func forwards(o object) bool {
	kind, typed := o["type"].(string)
	if !typed || o.has("entities") {
		return false
	}
	if o.object("content") != nil {
		return o.has("originator") || o.has("machineId") || o.has("agentId") || o.has("timestampRFC3339Nano")
	}
	return kind != policyType &&
		(o.has("timestampRFC3339Nano") || o.has("agentId") && slices.Contains(activityTypes, kind))
}

// forwarderIncident is the incident of an event that has the forwarder's envelope.
// noContainer reports that this envelope states that there is no container: the
// forwarder's does by an empty containerId, which is not the same as none.
func forwarderIncident(o object, noContainer bool) Incident {
	content := o.object("content")
	i := Incident{
		Source:     o.id("source"),
		Tenant:     Tenant{ID: shaped(number, o.id("customerId"))},
		Rule:       Rule{Name: content.id("ruleName"), Type: content.id("ruleType"), Tags: content.texts("ruleTags")},
		Policy:     Policy{ID: content.id("policyId"), Name: o.id("name")},
		Output:     content.text("output"),
		OccurredAt: occurredAt(o),
		Host:       sysdigHost(o),
		Actions:    policyActions(o.list("actions")),
	}
	fields := newProperties(content.properties("fields"))
	i.Rule.Name = cmp.Or(i.Rule.Name, fields.id("falco.rule"), content.id("internalRuleName"))
	i.Severity, _ = severityOf(o)
	i.Policy.Version, _ = content.integer("policyVersion")
	i.describe(newProperties(o.properties("labels")), fields, envelope{
		containerID: o.text("containerId"), noContainer: noContainer, inContainer: inContainer(o),
	})
	i.ID = sysdigID(o, &i)
	i.Derive()
	return i
}

// inContainer reports whether sourceDetails say that it happened in a container: the
// forwarder names the key sourceSubType, the events API subType.
func inContainer(o object) bool {
	details := o.object("sourceDetails")
	return strings.EqualFold(cmp.Or(details.id("sourceSubType"), details.id("subType")), "container")
}

// sysdigHost is what the envelope of a Sysdig event says of the host. Sysdig writes
// agent 0 where no agent saw the event.
func sysdigHost(o object) Host {
	return Host{
		MAC:     cmp.Or(shaped(macAddress, o.text("machineId")), shaped(macAddress, o.text("hostMac"))),
		AgentID: shaped(number, o.id("agentId")),
	}
}
