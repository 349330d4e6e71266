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
//
// The form of 2018 ("Policy 59: …", in Sysdig's documentation of that time) is the
// same but for this: labels and fields are arrays of {"key","value"} objects, the
// rule's name is only among the fields, as falco.rule, and the host's and the
// container's names are the two elements of metrics.
//
// An empty containerId says nothing here. No recorded notification is about a host
// itself, so it is not known whether the channel also writes one for a container
// whose ID it does not know.
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
			i, ranked := notificationIncident(o, policyEvent, policies)
			events = append(events, event(i, ranked))
		}
	}
	if len(events) == 0 {
		// A test message, or an alert of Sysdig Monitor on the same channel.
		return []Event{{Ignored: "a notification without policy events"}}
	}
	return events
}

// notificationIncident maps one policy event of a message, and reports whether its
// severity is stated.
func notificationIncident(message, event object, policies map[string]string) (i Incident, ranked bool) {
	labels, fields := event.properties("eventLabels"), newProperties(event.properties("fields"))
	i = Incident{
		Source:     message.id("source"),
		Tenant:     Tenant{ID: shaped(number, cmp.Or(event.id("customerId"), message.id("customerId")))},
		Rule:       Rule{Name: cmp.Or(event.id("ruleName"), fields.id("falco.rule")), Type: event.id("ruleType"), Tags: event.texts("ruleTags")},
		Policy:     Policy{ID: event.id("policyId"), Name: cmp.Or(policies[event.id("policyId")], event.id("name"))},
		Output:     event.text("output"),
		EventURL:   message.object("event").text("url"),
		OccurredAt: occurredAt(event),
		Host:       sysdigHost(event),
		Actions:    policyActions(event.list("actionResults")),
	}
	if i.OccurredAt.IsZero() {
		i.OccurredAt = occurredAt(message)
	}
	if i.Severity, ranked = severityOf(event); !ranked {
		i.Severity, ranked = severityOf(message.object("alert"))
	}
	i.Policy.Version, _ = event.integer("policyVersion")
	says := envelope{containerID: event.text("containerId")}
	if metrics := event.list("metrics"); len(metrics) == 2 {
		says.hostName = text(metrics[0])
		if labels["container.name"] == "" {
			labels["container.name"] = text(metrics[1])
		}
	}
	i.describe(newProperties(labels), fields, says)
	i.ID = sysdigID(event, &i)
	i.Derive()
	return i, ranked
}

// policyNames are the names of an entity's policies by their IDs.
func policyNames(entity object) map[string]string {
	names := map[string]string{}
	for _, p := range entity.list("policies") {
		policy, _ := p.(map[string]any)
		if id := object(policy).id("id"); names[id] == "" {
			names[id] = object(policy).id("name")
		}
	}
	return names
}
