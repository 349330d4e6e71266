package incident

import (
	"fmt"
	"slices"
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
			return []Event{{Incident: forwarderIncident(o)}}
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

func forwarderIncident(o object) Incident {
	content := o.object("content")
	i := Incident{
		ID:         o.identity(),
		Source:     o.text("source"),
		Tenant:     Tenant{ID: o.text("customerId")},
		Rule:       Rule{Name: content.text("ruleName"), Type: content.text("ruleType"), Tags: content.texts("ruleTags")},
		Policy:     Policy{ID: content.text("policyId"), Name: o.text("name")},
		Output:     content.text("output"),
		OccurredAt: occurredAt(o),
		Host:       sysdigHost(o),
		Container:  Container{ID: o.text("containerId")},
		Actions:    policyActions(o.list("actions")),
	}
	i.Severity, _ = severityOf(o)
	i.Policy.Version, _ = content.integer("policyVersion")
	i.describe(o.textMap("labels"), content.textMap("fields"))
	i.Derive()
	return i
}

// sysdigHost is what the envelope of a Sysdig event says of the host.
func sysdigHost(o object) Host {
	var h Host
	for _, key := range []string{"machineId", "hostMac"} {
		if mac := o.text(key); h.MAC == "" {
			h.MAC = NormaliseMAC(mac)
		}
	}
	// Sysdig writes agent 0 where no agent saw the event.
	if agent := o.text("agentId"); agent != "0" {
		h.AgentID = agent
	}
	return h
}
