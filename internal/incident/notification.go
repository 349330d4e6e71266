package incident

import "cmp"

// notification is the adapter of Sysdig Secure's notification channel of type
// Webhook, in the "V2" form that names policies "Policy V2 …": one object with
// alert, event and entities, each entity with its policyEvents and policies.
// Sysdig documents the channel but not the shape; it is the one of the events
// recorded in the test data of Sysdig's Cortex XSOAR pack 2.0. Timestamps are
// microseconds. The channel tells of the first event per policy and rule in
// five minutes, and one message may tell of several: every policy event of
// every entity is an incident of its own.
func notification() adapter {
	return adapter{
		name: "sysdig-notification",
		recognises: func(o object) bool {
			return o.object("alert") != nil && o["entities"] != nil
		},
		events: notificationEvents,
	}
}

func notificationEvents(o object) []Event {
	var events []Event
	for _, e := range o.list("entities") {
		entity, _ := e.(map[string]any)
		for _, p := range object(entity).list("policyEvents") {
			policyEvent, ok := p.(map[string]any)
			if !ok {
				events = append(events, Event{Ignored: "a policy event that is not an object"})
				continue
			}
			events = append(events, Event{Incident: notificationIncident(o, entity, policyEvent)})
		}
	}
	if len(events) == 0 {
		// A test message, or an alert of Sysdig Monitor on the same channel.
		return []Event{{Ignored: "a notification without policy events"}}
	}
	return events
}

func notificationIncident(message, entity, event object) Incident {
	i := Incident{
		ID:         cmp.Or(event.text("id"), event.digest()),
		Source:     message.text("source"),
		Tenant:     Tenant{ID: cmp.Or(event.text("customerId"), message.text("customerId"))},
		Rule:       Rule{Name: event.text("ruleName"), Type: event.text("ruleType"), Tags: event.texts("ruleTags")},
		Policy:     Policy{ID: event.text("policyId"), Name: cmp.Or(policyName(entity, event.text("policyId")), event.text("name"))},
		Output:     event.text("output"),
		EventURL:   message.object("event").text("url"),
		OccurredAt: occurredAt(event),
		Host:       Host{MAC: NormaliseMAC(cmp.Or(event.text("hostMac"), event.text("machineId"))), AgentID: event.text("agentId")},
		Container:  Container{ID: event.text("containerId")},
		Actions:    policyActions(event.list("actionResults")),
	}
	if i.OccurredAt.IsZero() {
		i.OccurredAt = occurredAt(message)
	}
	var known bool
	if i.Severity, known = severityOf(event); !known {
		i.Severity, _ = severityOf(message.object("alert"))
	}
	i.Policy.Version, _ = event.integer("policyVersion")
	i.describe(event.textMap("eventLabels"), event.textMap("fields"))
	i.Derive()
	return i
}

// policyName is the name of the entity's policy with that ID.
func policyName(entity object, id string) string {
	for _, p := range entity.list("policies") {
		policy, _ := p.(map[string]any)
		if object(policy).text("id") == id {
			return object(policy).text("name")
		}
	}
	return ""
}
