package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
)

// ErrHost: the host that the request names is not the one that Sysdig would act
// on. Nothing was asked of Sysdig. The request has to be asked again.
const ErrHost = "another-host"

// LocateHost finds the host among the connected agents of its account. It only
// reads, mostly from memory.
//
// One identifier alone does not prove which host an event is about: cloned machines
// share a MAC address. An agent is the host if at least one identifier agrees (host
// ID, MAC address, name, agent ID), none contradicts it, and no other agent fits as
// well.
//
//   - A host ID, MAC address or name that differs is a contradiction. A bare name
//     agrees with its full name, and a MAC address with every spelling of itself.
//   - An agent ID that differs alone, while MAC address and name agree or the host ID
//     does, is a reconnect: the agent came back with another ID. If its host ID
//     differs too, that is part of the reconnect, for both are given out by Sysdig.
//     Neither holds if the old ID is still connected.
//   - An identifier that only another agent has is a contradiction.
//
// A host ID or agent ID that an analyst supplied outranks the other identifiers: the
// agent that has it is the host, and the result says which values disagree.
func (a *Activities) LocateHost(ctx context.Context, in EnrichInput) (Enrichment, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return Enrichment{}, err
	}
	found, err := a.locate(ctx, account, in.host(), nil, in.Vouched)
	if err != nil {
		return Enrichment{}, toTemporal("list connected agents", err)
	}
	return found, nil
}

// locate finds a host, which Sysdig's own account of the event may describe too.
func (a *Activities) locate(ctx context.Context, account *sysdig.Client, host incident.Host, event *incident.Incident, vouched bool) (Enrichment, error) {
	if event != nil && !vouched {
		if differences := host.Differences(event.Host); len(differences) > 0 {
			return conflict("the event at Sysdig is of another host: " + differing(differences, "as received", "at Sysdig")), nil
		}
		host = incident.Host{
			ID: cmp.Or(host.ID, event.Host.ID), Name: cmp.Or(host.Name, event.Host.Name),
			MAC: cmp.Or(host.MAC, event.Host.MAC), AgentID: cmp.Or(host.AgentID, event.Host.AgentID),
		}
	}
	agents, err := account.Directory().Agents(ctx)
	if err != nil {
		return Enrichment{}, err
	}
	if vouched {
		return vouchedFor(agents, host), nil
	}
	return match(agents, host), nil
}

// candidate is an agent that shares an identifier with a host.
type candidate struct {
	sysdig.Agent
	host incident.Host
	// by are the identifiers that agree, and against those that disagree.
	by      []string
	against []incident.Difference
	// whole says that the names are equal, not only without their domain.
	whole bool
}

// The words for identifiers, by the field that has them.
var identifiers = map[string]string{
	"host.id": "host ID", "host.mac": "MAC address", "host.name": "host name", "host.agent_id": "agent ID",
}

// identify compares an agent with a host.
func identify(agent sysdig.Agent, host incident.Host) candidate {
	c := candidate{Agent: agent, host: hostOf(agent)}
	c.against = host.Differences(c.host)
	for _, of := range []struct {
		field string
		same  bool
	}{
		{"host.id", host.ID != "" && strings.EqualFold(host.ID, c.host.ID)},
		{"host.mac", host.MAC != "" && incident.SameMAC(host.MAC, c.host.MAC)},
		{"host.name", incident.SameHostName(host.Name, c.host.Name)},
		{"host.agent_id", host.AgentID != "" && host.AgentID == agent.ID},
	} {
		if of.same {
			c.by = append(c.by, of.field)
		}
	}
	c.whole = host.Name != "" && strings.EqualFold(host.Name, agent.HostName)
	return c
}

func hostOf(agent sysdig.Agent) incident.Host {
	return incident.Host{ID: agent.HostID, Name: agent.HostName, MAC: incident.NormaliseMAC(agent.MachineID), AgentID: agent.ID}
}

func (c *candidate) agrees(field string) bool { return slices.Contains(c.by, field) }

// judge completes what disagrees, once all candidates are known.
func (c *candidate) judge(host incident.Host, all []candidate) {
	held := func(field string) bool {
		return slices.ContainsFunc(all, func(other candidate) bool { return other.agrees(field) })
	}
	sameMachine := c.agrees("host.mac") && c.agrees("host.name")
	changed := host.AgentID != "" && c.ID != "" && host.AgentID != c.ID
	reconnected := changed && !held("host.agent_id")
	if reconnected && sameMachine && !held("host.id") {
		c.against = slices.DeleteFunc(c.against, func(d incident.Difference) bool { return d.Field == "host.id" })
	}
	if changed && !(reconnected && (sameMachine || c.agrees("host.id"))) {
		c.against = append(c.against, incident.Difference{Field: "host.agent_id", Ours: host.AgentID, Theirs: c.ID})
	}
	// What the agent lacks and another one has.
	for _, of := range []struct{ field, ours, theirs string }{
		{"host.id", host.ID, c.host.ID}, {"host.mac", host.MAC, c.host.MAC}, {"host.name", host.Name, c.host.Name}, {"host.agent_id", host.AgentID, c.ID},
	} {
		if of.ours != "" && of.theirs == "" && !c.agrees(of.field) && held(of.field) {
			c.against = append(c.against, incident.Difference{Field: of.field, Ours: of.ours, Theirs: "none"})
		}
	}
}

// candidates lists the agents that share an identifier with a host.
func candidates(agents *sysdig.Agents, host incident.Host) []candidate {
	var all []candidate
	seen := map[sysdig.Agent]bool{}
	for _, found := range [][]sysdig.Agent{
		agents.ByHostID(host.ID), agents.ByMachineID(host.MAC), agents.ByHostName(host.Name), agents.ByID(host.AgentID),
	} {
		for _, agent := range found {
			if c := identify(agent, host); len(c.by) > 0 && !seen[agent] {
				seen[agent] = true
				all = append(all, c)
			}
		}
	}
	for i := range all {
		all[i].judge(host, all)
	}
	return all
}

// match finds the one agent that is the host.
func match(agents *sysdig.Agents, host incident.Host) Enrichment {
	all := candidates(agents, host)
	var fit []candidate
	for _, c := range all {
		if len(c.against) == 0 {
			fit = append(fit, c)
		}
	}
	// Of several that fit, those are meant that agree in more.
	for _, better := range []func(candidate) bool{
		func(c candidate) bool { return c.agrees("host.id") },
		func(c candidate) bool { return c.agrees("host.agent_id") },
		func(c candidate) bool { return c.agrees("host.mac") },
		func(c candidate) bool { return c.whole },
	} {
		if slices.ContainsFunc(fit, better) {
			fit = slices.DeleteFunc(fit, func(c candidate) bool { return !better(c) })
		}
	}
	switch {
	case len(fit) == 1:
		return located(fit[0], "found by "+identifiers[fit[0].by[0]])
	case len(fit) > 1:
		return Enrichment{Note: fmt.Sprintf("%d of the connected agents have that %s", len(fit), identifiers[fit[0].by[0]])}
	case len(all) == 0:
		return Enrichment{Note: fmt.Sprintf("none of the %d connected agents is this host", agents.Len())}
	}
	return conflict(quarrel(all))
}

// vouchedFor finds the agent that has the host ID, or else the agent ID, which an
// analyst supplied.
func vouchedFor(agents *sysdig.Agents, host incident.Host) Enrichment {
	byHost, byAgent := agents.ByHostID(host.ID), agents.ByID(host.AgentID)
	switch {
	case len(byHost) == 1 && len(byAgent) == 1 && byHost[0] != byAgent[0]:
		return conflict(fmt.Sprintf("host ID %s is that of %s, agent ID %s that of %s", host.ID, named(byHost[0]), host.AgentID, named(byAgent[0])))
	case len(byHost) == 1:
		return located(identify(byHost[0], host), "as an analyst supplied its host ID")
	case len(byAgent) == 1:
		return located(identify(byAgent[0], host), "as an analyst supplied its agent ID")
	default:
		return Enrichment{Note: fmt.Sprintf("none of the %d connected agents has the ID that an analyst supplied", agents.Len())}
	}
}

func located(c candidate, how string) Enrichment {
	return Enrichment{
		Host: c.host, Tenant: incident.Tenant{ID: c.Customer}, Cluster: c.ClusterName, Note: fmt.Sprintf("connected agent %s, %s", c.ID, how),
		machineID: c.MachineID,
	}
}

func conflict(text string) Enrichment { return Enrichment{Conflict: text, Note: text} }

// maxQuarrel bounds the number of agents that a contradiction names.
const maxQuarrel = 3

// quarrel names the values in which agents that share an identifier with the host
// differ from it, those first that agree in most.
func quarrel(all []candidate) string {
	slices.SortStableFunc(all, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(len(x.against), len(y.against)), cmp.Compare(len(y.by), len(x.by)))
	})
	var texts []string
	for _, c := range all[:min(len(all), maxQuarrel)] {
		var by []string
		for _, field := range c.by {
			by = append(by, identifiers[field])
		}
		texts = append(texts, fmt.Sprintf("%s has the same %s, but is another host: %s",
			named(c.Agent), strings.Join(by, " and "), differing(c.against, "of the event", "of the agent")))
	}
	if more := len(all) - maxQuarrel; more > 0 {
		texts = append(texts, fmt.Sprintf("%d more agents likewise", more))
	}
	return strings.Join(texts, "; ")
}

// differing lists differences with both values.
func differing(all []incident.Difference, ours, theirs string) string {
	var texts []string
	for _, d := range all {
		texts = append(texts, fmt.Sprintf("%s %s %s, %s %s", identifiers[d.Field], d.Ours, ours, d.Theirs, theirs))
	}
	return strings.Join(texts, ", ")
}

func named(agent sysdig.Agent) string {
	return fmt.Sprintf("connected agent %s (%s)", agent.ID, cmp.Or(agent.HostName, agent.MachineID, agent.HostID))
}

// checkHostTimeout bounds the look-up before an action: a threat does not wait for
// a list that does not come.
const checkHostTimeout = 15 * time.Second

// Address is the host that a request names, for a last look before Sysdig is asked
// to act on it: an approval can take hours, in which the agent may have come back
// with another ID.
type Address struct {
	Host incident.Host `json:"host,omitzero"`
	// Vouched says that an analyst supplied the host ID or the agent ID.
	Vouched bool `json:"vouched,omitzero"`
}

// check finds the host again. It returns an error of type ErrHost if the request
// would reach another host than it names. If the list cannot be read, the host is
// not found and the action goes on: what the request names was compared with the
// list before it was asked for, or is what Sysdig's own event said.
func (a *Activities) check(ctx context.Context, account *sysdig.Client, at Address) (Enrichment, error) {
	if at.Host == (incident.Host{}) {
		return Enrichment{}, nil
	}
	within, cancel := context.WithTimeout(ctx, checkHostTimeout)
	defer cancel()
	found, err := a.locate(within, account, at.Host, nil, at.Vouched)
	switch {
	case err != nil && ctx.Err() != nil:
		return Enrichment{}, context.Cause(ctx)
	case err != nil:
		a.Log.WarnContext(ctx, "Connected agents not readable, acting on the host that the request names.", "host", at.Host.Name, "error", err)
		return Enrichment{}, nil
	}
	text := found.Conflict
	if text == "" {
		if differences := at.Host.Differences(found.Host); len(differences) > 0 {
			text = "the host has changed since the request was asked: " + differing(differences, "then", "now")
		}
	}
	if text != "" {
		return Enrichment{}, temporal.NewNonRetryableApplicationError(text, ErrHost, nil)
	}
	return found, nil
}
