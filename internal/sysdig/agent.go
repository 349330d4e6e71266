package sysdig

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Agent is a host whose Sysdig agent is connected.
type Agent struct {
	// ID is the agent's, as captures name it.
	ID string
	// Customer is the customer ID.
	Customer string
	HostName string
	// MachineID is the host's MAC address, as Sysdig spells it.
	MachineID string
	// HostID is what response actions call host.id. Sysdig names it opaqueUid
	// here; the Cortex XSOAR pack equates the two.
	HostID      string
	ClusterName string
}

// ConnectedAgents returns the hosts that Sysdig can act on now (GET
// /api/agents/connected on the application host, the Cortex XSOAR pack and
// sysdig-sdk-python).
func (c *Client) ConnectedAgents(ctx context.Context) ([]Agent, error) {
	var a agentsAnswer
	if err := c.call(ctx, request{method: http.MethodGet, base: c.app, path: "/api/agents/connected"}, &a); err != nil {
		return nil, fmt.Errorf("list connected agents: %w", err)
	}
	agents := make([]Agent, len(a.Agents.items))
	for i, item := range a.Agents.items {
		agents[i] = Agent{
			ID:          string(item.ID),
			Customer:    string(item.Customer),
			HostName:    string(cmp.Or(item.HostName, item.Attributes.HostName)),
			MachineID:   string(item.MachineID),
			HostID:      string(item.OpaqueUID),
			ClusterName: string(item.Attributes.ClusterName),
		}
	}
	return agents, nil
}

// agentsAnswer is {"agents": […]} or the bare array: the pack accepts both.
type agentsAnswer struct {
	Agents list[agentItem] `json:"agents"`
}

func (a *agentsAnswer) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte("[")) {
		return json.Unmarshal(raw, &a.Agents)
	}
	type wrapped agentsAnswer // without this method
	return json.Unmarshal(raw, (*wrapped)(a))
}

func (a *agentsAnswer) check() error {
	if !a.Agents.present {
		return errors.New(`no "agents"`)
	}
	return nil
}

type agentItem struct {
	ID         text `json:"id"`
	Customer   text `json:"customer"`
	HostName   text `json:"hostName"`
	MachineID  text `json:"machineId"`
	OpaqueUID  text `json:"opaqueUid"`
	Attributes struct {
		HostName    text `json:"hostName"`
		ClusterName text `json:"clusterName"`
	} `json:"attributes"`
}
