package incident

import "cmp"

// legacy is the adapter of the Event Forwarder's "Legacy Secure Policy Event
// Payload", deprecated on January 18, 2023, and documented under that name in
// Sysdig's "Event Forwarding". Everything is at the top level: there is neither
// type nor content, fields and eventLabels are arrays of {"key","value"}
// objects, the rule's name is only in fields as falco.rule, and timestamp is
// microseconds beside a timestampNs.
//
// Senders on the way turn the arrays into objects. A policy event of a notification
// looks the same then, so an empty containerId says nothing in that form.
func legacy() adapter {
	return adapter{
		name: "sysdig-legacy",
		recognises: func(o object) bool {
			return o.has("policyId") && (o.list("fields") != nil || o.list("eventLabels") != nil || o.object("eventLabels") != nil) &&
				!o.has("type") && !o.has("content") && !o.has("entities")
		},
		events: func(o object) []Event {
			_, ranked := severityOf(o)
			return []Event{event(legacyIncident(o), ranked)}
		},
	}
}

func legacyIncident(o object) Incident {
	fields := newProperties(o.properties("fields"))
	i := Incident{
		Tenant:     Tenant{ID: shaped(number, o.id("customerId"))},
		Rule:       Rule{Name: cmp.Or(o.id("ruleName"), fields.id("falco.rule")), Type: o.id("ruleType"), Tags: o.texts("ruleTags")},
		Policy:     Policy{ID: o.id("policyId"), Name: o.id("name")},
		Output:     o.text("output"),
		OccurredAt: occurredAt(o),
		Host:       sysdigHost(o),
		Actions:    policyActions(o.list("actionResults")),
	}
	if exact, ok := o.integer("timestampNs"); ok && exact > 0 {
		i.OccurredAt = unixTime(exact)
	}
	i.Severity, _ = severityOf(o)
	i.Policy.Version, _ = o.integer("policyVersion")
	i.describe(newProperties(o.properties("eventLabels")), fields, envelope{containerID: o.text("containerId"), noContainer: o["containerId"] == "" && o.object("eventLabels") == nil})
	i.ID = sysdigID(o, &i)
	i.Derive()
	return i
}
