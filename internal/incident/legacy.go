package incident

import "cmp"

// legacy is the adapter of the Event Forwarder's "Legacy Secure Policy Event
// Payload", deprecated on January 18, 2023, and documented under that name in
// Sysdig's "Event Forwarding". Everything is at the top level: there is neither
// type nor content, fields and eventLabels are arrays of {"key","value"}
// objects, the rule's name is only in fields as falco.rule, and timestamp is
// microseconds beside a timestampNs.
func legacy() adapter {
	return adapter{
		name: "sysdig-legacy",
		recognises: func(o object) bool {
			return o.has("policyId") && (o.list("fields") != nil || o.list("eventLabels") != nil) &&
				!o.has("type") && !o.has("content") && !o.has("entities")
		},
		events: func(o object) []Event { return []Event{{Incident: legacyIncident(o)}} },
	}
}

func legacyIncident(o object) Incident {
	fields := o.pairs("fields")
	i := Incident{
		ID:         o.identity(),
		Tenant:     Tenant{ID: o.text("customerId")},
		Rule:       Rule{Name: cmp.Or(o.text("ruleName"), fields["falco.rule"]), Type: o.text("ruleType"), Tags: o.texts("ruleTags")},
		Policy:     Policy{ID: o.text("policyId"), Name: o.text("name")},
		Output:     o.text("output"),
		OccurredAt: occurredAt(o),
		Host:       sysdigHost(o),
		Container:  Container{ID: o.text("containerId")},
		Actions:    policyActions(o.list("actionResults")),
	}
	if exact, ok := o.integer("timestampNs"); ok && exact > 0 {
		i.OccurredAt = unixTime(exact)
	}
	i.Severity, _ = severityOf(o)
	i.Policy.Version, _ = o.integer("policyVersion")
	i.describe(o.pairs("eventLabels"), fields)
	i.Derive()
	return i
}
