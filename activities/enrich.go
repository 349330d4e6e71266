package activities

import (
	"cmp"
	"context"

	"go.temporal.io/sdk/activity"

	"firebreak/internal/incident"
)

// EnrichInput names a host by what is known of it.
type EnrichInput struct {
	HostName string `json:"host_name,omitzero"`
	HostID   string `json:"host_id,omitzero"`
	MAC      string `json:"mac,omitzero"`
	AgentID  string `json:"agent_id,omitzero"`
	// Vouched says that an analyst supplied the host ID or the agent ID.
	Vouched bool `json:"vouched,omitzero"`
	// EventID is the event's at Sysdig, "" for one that is not Sysdig's.
	EventID string `json:"event_id,omitzero"`
	// Tenant is the Sysdig account, "" for the one without a name.
	Tenant string `json:"tenant,omitzero"`
}

func (in *EnrichInput) host() incident.Host {
	return incident.Host{ID: in.HostID, Name: in.HostName, MAC: in.MAC, AgentID: in.AgentID}
}

// Enrichment is what Sysdig knows of a host and its event. Absent values stay
// absent.
type Enrichment struct {
	// Host, Tenant.ID and Cluster are those of the connected agent that is this host.
	// Host is zero if no agent is.
	Host    incident.Host   `json:"host,omitzero"`
	Tenant  incident.Tenant `json:"tenant,omitzero"`
	Cluster string          `json:"cluster,omitzero"`
	// Conflict names the values that disagree, if the identifiers of the host
	// contradict each other or the connected agents; "" if they do not.
	Conflict string `json:"conflict,omitzero"`
	// Event is the event as Sysdig's events API has it, nil where it has none.
	Event *incident.Incident `json:"event,omitempty"`
	// Note says how the host was found, or why it was not.
	Note string `json:"note"`

	// machineID is the agent's machine ID as Sysdig spells it.
	machineID string
}

// withoutEvent is the attempt that does without the event, where the others could
// not read it: the host matters more.
const withoutEvent = 3

// Enrich finds the host among the connected agents, see [Activities.LocateHost],
// and the customer that the token belongs to; and the event itself, for a
// notification or a SIEM passes on less than Sysdig knows. It only reads. A token
// that may not see the customer or the event costs no more than that: the agent
// names the customer, too.
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
	found, err := a.locate(ctx, account, in.host(), event, in.Vouched)
	if err != nil {
		return Enrichment{}, toTemporal("list connected agents", err)
	}
	found.Event = event
	user, err := account.Directory().Owner(ctx)
	switch {
	case err == nil:
		found.Tenant.ID = cmp.Or(found.Tenant.ID, user.CustomerID)
		found.Tenant.Name = user.CustomerName
	case !isFinal(toTemporal("read customer", err)):
		return Enrichment{}, toTemporal("read customer", err)
	default:
		a.Log.WarnContext(ctx, "Customer not readable.", "error", err)
	}
	return found, nil
}
