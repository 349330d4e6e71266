package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// An action reaches the host whose ID it names, and a capture the agent. Both come
// from the event, from Sysdig's list of connected agents, or from an analyst. They
// are compared with everything else that the event says of its host, and if
// anything contradicts, they count as missing: an analyst is asked, and the war
// room names the values that disagree. Before a request is asked that is done here;
// before it is carried out, the activity does it once more.

// hostStanding is how sure it is which host an incident is about.
type hostStanding string

const (
	// hostDisputed: identifiers contradict each other. Only an analyst can supply the
	// host ID and the agent ID.
	hostDisputed hostStanding = "disputed"
	// hostVouched: an analyst supplied the host ID or the agent ID.
	hostVouched hostStanding = "vouched"
	// hostReplaced: as hostVouched, and the host has another name, MAC address or host
	// ID than the event says. Nothing is done on it without a decision.
	hostReplaced hostStanding = "replaced"
)

// addressFields are the fields by which Sysdig reaches a host.
var addressFields = []string{"host.id", "host.agent_id"}

// addressesHost reports whether fields that an action needs address a host.
func addressesHost(fields []string) bool {
	return slices.ContainsFunc(addressFields, func(f string) bool { return slices.Contains(fields, f) })
}

// addressed are the fields that an action needs when nothing else gives its
// parameters. The host is among them also where the action can do without it.
func addressed(action *catalogue.Action, given map[string]string, inc *incident.Incident) []string {
	fields := action.Fields(given)
	p, takesHost := action.Parameter("host.id")
	if _, have := given["host.id"]; takesHost && !have && p.From == "host.id" && inc.Host.ID != "" && !slices.Contains(fields, "host.id") {
		fields = append(fields, "host.id")
	}
	return fields
}

// giveHost sets the host that a route's parameters name, so that it is compared
// with the event and the request names it. It reports whether they name one.
func (r *response) giveHost(ctx workflow.Context, action *catalogue.Action, given map[string]any) bool {
	p, addressed := action.Parameter("host.id")
	value, have := given["host.id"].(string)
	if !addressed || !have || p.From != "host.id" {
		return false
	}
	inc := &r.page.Incident
	if was := inc.Host.ID; was != "" && !strings.EqualFold(was, value) {
		r.log(ctx, actorFirebreak, signals.KindCheck, "host ID %s of the event, %s of the route's parameters", was, value)
	}
	if err := inc.SetField("host.id", value); err != nil {
		return false // Fill says what is wrong
	}
	delete(given, "host.id")
	return true
}

// fill fills absent fields from another account of the same target. While the host
// is in dispute, or is as an analyst says, no event supplies how it is reached.
func (r *response) fill(other *incident.Incident) []string {
	if r.host != "" {
		stripped := *other
		stripped.Host.ID, stripped.Host.AgentID = "", ""
		other = &stripped
	}
	return r.page.Incident.FillFrom(other)
}

// address is the host that requests name.
func (r *response) address() activities.Address {
	return activities.Address{Host: r.page.Incident.Host, Vouched: r.vouched()}
}

func (r *response) vouched() bool { return r.host == hostVouched || r.host == hostReplaced }

func (r *response) hostInput() activities.EnrichInput {
	host := r.page.Incident.Host
	return activities.EnrichInput{
		HostName: host.Name, HostID: host.ID, MAC: host.MAC, AgentID: host.AgentID, Vouched: r.vouched(), Tenant: r.in.Tenant,
	}
}

// locate compares the host, of which everything is known, with the connected
// agents. That costs no task, for the worker has the list in memory. If it cannot
// be read now, the incident goes on with what the event says, which is Sysdig's own
// statement, and the activity that acts looks once more.
func (r *response) locate(ctx workflow.Context) {
	var a *activities.Activities
	var found activities.Enrichment
	r.locating = true
	err := workflow.ExecuteLocalActivity(atOnce(ctx, "Compare the host with the connected agents"), a.LocateHost, r.hostInput()).Get(ctx, &found)
	r.locating = false
	if err != nil {
		r.log(ctx, actorSysdig, signals.KindCheck, "the host was not compared with the connected agents, going on with what is known of it: %s", describe(err))
		return
	}
	if found.Host == (incident.Host{}) && found.Conflict == "" {
		r.log(ctx, actorSysdig, signals.KindCheck, "%s: going on with what is known of it", found.Note)
		return
	}
	if filled := r.settleHost(ctx, &found); len(filled) > 0 {
		r.log(ctx, actorSysdig, signals.KindCheck, "%s: filled %s", found.Note, strings.Join(filled, ", "))
	}
}

// settleHost takes what Sysdig says of the host. What is no identity of the host
// (its agent ID, customer and cluster, and the host ID of an agent that came back)
// is as Sysdig says now, and the event's value stays in the war room. It returns the
// fields that were absent and are filled.
func (r *response) settleHost(ctx workflow.Context, found *activities.Enrichment) (filled []string) {
	inc := &r.page.Incident
	known := incident.Incident{Host: found.Host, Tenant: found.Tenant, Kubernetes: incident.Kubernetes{Cluster: found.Cluster}}
	switch {
	case found.Conflict != "":
		r.dispute(ctx, found.Conflict)
		fallthrough
	case found.Host == (incident.Host{}):
		return inc.FillFrom(&known) // the customer, whose token it is
	}
	if r.vouched() {
		r.replaceHost(ctx, found)
	}
	var changes []string
	take := func(what string, field *string, now string) {
		if now == "" || *field == now {
			return
		}
		if *field != "" {
			changes = append(changes, fmt.Sprintf("%s %s of the event, %s connected now", what, *field, now))
			*field = now
		}
	}
	if !strings.EqualFold(inc.Host.ID, found.Host.ID) {
		take("host ID", &inc.Host.ID, found.Host.ID)
	}
	take("agent ID", &inc.Host.AgentID, found.Host.AgentID)
	take("customer", &inc.Tenant.ID, found.Tenant.ID)
	take("cluster", &inc.Kubernetes.Cluster, found.Cluster)
	if len(changes) > 0 {
		r.log(ctx, actorSysdig, signals.KindCheck, "%s: %s", found.Note, strings.Join(changes, "; "))
	}
	return inc.FillFrom(&known)
}

// dispute makes what addresses the host count as missing.
func (r *response) dispute(ctx workflow.Context, why string) {
	r.log(ctx, actorSysdig, signals.KindCheck, "not sure which host this is: %s", why)
	host := &r.page.Incident.Host
	for _, of := range []struct{ what, value string }{{"host ID", host.ID}, {"agent ID", host.AgentID}} {
		if of.value != "" {
			r.log(ctx, actorFirebreak, signals.KindCheck, "%s %s is not used", of.what, of.value)
		}
	}
	host.ID, host.AgentID = "", ""
	r.host = hostDisputed
}

// replaceHost makes the incident name the host that an analyst supplied, so that no
// request names one host and reaches another.
func (r *response) replaceHost(ctx workflow.Context, found *activities.Enrichment) {
	inc := &r.page.Incident
	for _, d := range inc.Host.Differences(found.Host) {
		r.log(ctx, actorSysdig, signals.KindCheck, "%s: %s %s of the event, %s of the host that was supplied", found.Note, d.Field, d.Ours, d.Theirs)
		r.host = hostReplaced
	}
	if r.host == hostReplaced {
		inc.Host = found.Host
	}
}

// isElsewhere reports whether nothing was done because the request would have
// reached another host than it names.
func isElsewhere(err error) bool { return applicationErrorType(err) == activities.ErrHost }

// relocate finds the host once more after err, before the request is asked again.
func (r *response) relocate(ctx workflow.Context, err error, fields []string) verdict {
	if !isElsewhere(err) {
		return approved
	}
	return r.require(ctx, fields)
}
