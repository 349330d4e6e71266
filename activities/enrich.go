package activities

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"go.temporal.io/sdk/activity"

	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
)

// EnrichInput names a host by what is known of it.
type EnrichInput struct {
	HostName string `json:"host_name,omitzero"`
	HostID   string `json:"host_id,omitzero"`
	MAC      string `json:"mac,omitzero"`
	// EventID is the event's at Sysdig, "" for one that is not Sysdig's.
	EventID string `json:"event_id,omitzero"`
	// Tenant is the Sysdig account, "" for the one without a name.
	Tenant string `json:"tenant,omitzero"`
}

// Enrichment is what Sysdig knows besides. Absent values stay absent.
type Enrichment struct {
	Host   incident.Host   `json:"host,omitzero"`
	Tenant incident.Tenant `json:"tenant,omitzero"`
	// Event is the event as Sysdig's events API has it, nil where it has none.
	Event *incident.Incident `json:"event,omitempty"`
	// Note says where it comes from, or why there is nothing.
	Note string `json:"note"`
}

// withoutEvent is the attempt that does without the event, where the others could
// not read it: the host matters more.
const withoutEvent = 3

// Enrich looks the host up among the connected agents, by ID, MAC address, name
// or the name with and without its domain, in this order, and the customer the
// token belongs to; and the event itself, for a notification or a SIEM passes on
// less than Sysdig knows. It only reads. A token that may not see the customer or
// the event costs no more than that: the agent names the customer, too.
func (a *Activities) Enrich(ctx context.Context, in EnrichInput) (Enrichment, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return Enrichment{}, err
	}
	event, err := a.readEvent(ctx, account, in.EventID)
	switch {
	case err != nil && activity.GetInfo(ctx).Attempt < withoutEvent:
		return Enrichment{}, err
	case err != nil:
		a.Log.WarnContext(ctx, "Event not readable.", "error", err)
	}
	if event != nil {
		in.HostID, in.MAC = cmp.Or(in.HostID, event.Host.ID), cmp.Or(in.MAC, event.Host.MAC)
		in.HostName = cmp.Or(in.HostName, event.Host.Name)
	}
	agents, err := account.ConnectedAgents(ctx)
	if err != nil {
		return Enrichment{}, toTemporal("list connected agents", err)
	}
	found := Enrichment{Event: event}
	if agent, by := matchAgent(agents, in); agent != nil {
		found.Host = incident.Host{
			ID: agent.HostID, Name: agent.HostName, MAC: incident.NormaliseMAC(agent.MachineID), AgentID: agent.ID,
		}
		found.Tenant.ID = agent.Customer
		found.Note = fmt.Sprintf("connected agent %s, found by %s", agent.ID, by)
	} else {
		found.Note = fmt.Sprintf("none of the %d connected agents is this host", len(agents))
	}
	user, err := account.Me(ctx)
	switch {
	case err == nil:
		if found.Tenant.ID == "" {
			found.Tenant.ID = user.CustomerID
		}
		found.Tenant.Name = user.CustomerName
	case !isFinal(toTemporal("read customer", err)):
		return Enrichment{}, toTemporal("read customer", err)
	default:
		a.Log.WarnContext(ctx, "Customer not readable.", "error", err)
	}
	return found, nil
}

// matchAgent finds the agent of a host. An empty value matches nothing, and a
// value that several agents share decides nothing: acting on the wrong host is
// worse than asking.
func matchAgent(agents []sysdig.Agent, in EnrichInput) (*sysdig.Agent, string) {
	mac := incident.NormaliseMAC(in.MAC)
	for _, by := range []struct {
		name, value string
		matches     func(*sysdig.Agent) bool
	}{
		{"host ID", in.HostID, func(a *sysdig.Agent) bool { return a.HostID == in.HostID }},
		{"MAC address", mac, func(a *sysdig.Agent) bool { return incident.NormaliseMAC(a.MachineID) == mac }},
		{"host name", in.HostName, func(a *sysdig.Agent) bool { return strings.EqualFold(a.HostName, in.HostName) }},
		{"host name but for its domain", in.HostName, func(a *sysdig.Agent) bool { return sameHost(a.HostName, in.HostName) }},
	} {
		if by.value == "" {
			continue
		}
		var match *sysdig.Agent
		count := 0
		for i := range agents {
			if by.matches(&agents[i]) {
				match = &agents[i]
				count++
			}
		}
		if count == 1 {
			return match, by.name
		}
	}
	return nil, ""
}

// sameHost reports whether two names are those of one host, if not both name its
// domain: a bare name fits any domain, two domains must be the same.
func sameHost(a, b string) bool {
	shortA, domainA, _ := strings.Cut(a, ".")
	shortB, domainB, _ := strings.Cut(b, ".")
	return shortA != "" && strings.EqualFold(shortA, shortB) &&
		(domainA == "" || domainB == "" || strings.EqualFold(domainA, domainB))
}
