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
			n := countPolicyEvents(o)
			return o.object("alert") != nil && o.has("entities") &&
				(n > 0 || o.has("state") || o.has("timespan")) && n <= maxFound
		},
		events: notificationEvents,
	}
}

// countPolicyEvents tells a notification from any other document with an alert
// and entities, words that SIEMs use for things of their own.
func countPolicyEvents(o object) int {
	n := 0
	for _, e := range o.list("entities") {
		entity, _ := e.(map[string]any)
		n += len(object(entity).list("policyEvents"))
	}
	return n
}

func notificationEvents(o object) []Event {
	var events []Event
	for _, e := range o.list("entities") {
		entity, _ := e.(map[string]any)
		policies := policyNames(entity)
		for _, p := range object(entity).list("policyEvents") {
			policyEvent, ok := p.(map[string]any)
			if !ok {
				events = append(events, Event{Ignored: "a policy event that is not an object"})
				continue
			}
			events = append(events, Event{Incident: notificationIncident(o, policyEvent, policies)})
		}
	}
	if len(events) == 0 {
		// A test message, or an alert of Sysdig Monitor on the same channel.
		return []Event{{Ignored: "a notification without policy events"}}
	}
	return events
}

func notificationIncident(message, event object, policies map[string]string) Incident {
	i := Incident{
		ID:         event.identity(),
		Source:     message.text("source"),
		Tenant:     Tenant{ID: cmp.Or(event.text("customerId"), message.text("customerId"))},
		Rule:       Rule{Name: event.text("ruleName"), Type: event.text("ruleType"), Tags: event.texts("ruleTags")},
		Policy:     Policy{ID: event.text("policyId"), Name: cmp.Or(policies[event.text("policyId")], event.text("name"))},
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

// policyNames are the names of an entity's policies by their IDs.
func policyNames(entity object) map[string]string {
	names := map[string]string{}
	for _, p := range entity.list("policies") {
		policy, _ := p.(map[string]any)
		if id := object(policy).text("id"); names[id] == "" {
			names[id] = object(policy).text("name")
		}
	}
	return names
}
