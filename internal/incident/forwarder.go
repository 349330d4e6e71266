package incident

import (
	"cmp"
	"fmt"
)

// forwarder is the adapter of Sysdig Secure's Event Forwarder, integration
// type Webhook, channel "policy runtime events", payload since January 2023.
// The shape is documented in Sysdig's "Event Forwarding" and "Forwarding to
// Webhook": an envelope (id, type, timestamp, originator, agentId, containerId,
// machineId), the detection under content, and flat labels. All of
// content.fields are strings, and timestamps are nanoseconds unless the
// integration says otherwise. Events forwarded by the agent itself have the
// same envelope without agentId and description.
//
// The other channels (platform audit, activity audit, benchmarks) reach the
// same URL in the same envelope when they are switched on; their severity 0
// means nothing, so only type "policy" is an incident.
func forwarder() adapter {
	return adapter{
		name: "sysdig-forwarder",
		recognises: func(o object) bool {
			_, typed := o["type"].(string)
			return typed && o.object("content") != nil &&
				(o.has("originator") || o.has("machineId") || o.has("agentId") || o.has("timestampRFC3339Nano"))
		},
		events: func(o object) []Event {
			if kind := o.text("type"); kind != "policy" {
				return []Event{{Ignored: fmt.Sprintf("type %q: only policy events are incidents", kind)}}
			}
			return []Event{{Incident: forwarderIncident(o)}}
		},
	}
}

func forwarderIncident(o object) Incident {
	content := o.object("content")
	i := Incident{
		ID:         cmp.Or(o.text("id"), o.digest()),
		Source:     o.text("source"),
		Tenant:     Tenant{ID: o.text("customerId")},
		Rule:       Rule{Name: content.text("ruleName"), Type: content.text("ruleType"), Tags: content.texts("ruleTags")},
		Policy:     Policy{ID: content.text("policyId"), Name: o.text("name")},
		Output:     content.text("output"),
		OccurredAt: occurredAt(o),
		Host:       Host{MAC: NormaliseMAC(cmp.Or(o.text("machineId"), o.text("hostMac")))},
		Container:  Container{ID: o.text("containerId")},
		Actions:    policyActions(o.list("actions")),
	}
	i.Severity, _ = severityOf(o)
	i.Policy.Version, _ = content.integer("policyVersion")
	// Sysdig writes agent 0 where no agent saw the event.
	if agent := o.text("agentId"); agent != "0" {
		i.Host.AgentID = agent
	}
	i.describe(o.textMap("labels"), content.textMap("fields"))
	i.Derive()
	return i
}
