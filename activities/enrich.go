package activities

import (
	"context"
	"fmt"
	"strings"

	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
)

// EnrichInput names a host by what is known of it.
type EnrichInput struct {
	HostName string `json:"host_name,omitzero"`
	HostID   string `json:"host_id,omitzero"`
	MAC      string `json:"mac,omitzero"`
	// Tenant is the Sysdig account, "" for the one without a name.
	Tenant string `json:"tenant,omitzero"`
}

// Enrichment is what Sysdig knows besides. Absent values stay absent.
type Enrichment struct {
	Host   incident.Host   `json:"host,omitzero"`
	Tenant incident.Tenant `json:"tenant,omitzero"`
	// Note says where it comes from, or why there is nothing.
	Note string `json:"note"`
}

// Enrich looks the host up among the connected agents, by ID, MAC address or
// name in this order, and the customer the token belongs to. It only reads. A
// token that may not see the customer costs the customer only: the agent names
// it too.
func (a *Activities) Enrich(ctx context.Context, in EnrichInput) (Enrichment, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return Enrichment{}, err
	}
	agents, err := account.ConnectedAgents(ctx)
	if err != nil {
		return Enrichment{}, toTemporal("list connected agents", err)
	}
	var found Enrichment
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
	for _, by := range []struct {
		name, value string
		of          func(*sysdig.Agent) string
	}{
		{"host ID", in.HostID, func(a *sysdig.Agent) string { return a.HostID }},
		{"MAC address", incident.NormaliseMAC(in.MAC), func(a *sysdig.Agent) string { return incident.NormaliseMAC(a.MachineID) }},
		{"host name", strings.ToLower(in.HostName), func(a *sysdig.Agent) string { return strings.ToLower(a.HostName) }},
	} {
		if by.value == "" {
			continue
		}
		var match *sysdig.Agent
		count := 0
		for i := range agents {
			if by.of(&agents[i]) == by.value {
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
