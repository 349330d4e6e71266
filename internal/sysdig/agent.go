package sysdig

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Agent is a host whose Sysdig agent is connected.
type Agent struct {
	// ID is the agent's, as captures name it.
	ID string
	// Customer is the customer ID.
	Customer string
	HostName string
	// MachineID is the host's MAC address, as Sysdig spells it, with the agent's
	// machine_id_prefix before it if one is set.
	MachineID string
	// HostID is what response actions call host.id. Sysdig names it opaqueUid
	// here; the Cortex XSOAR pack equates the two.
	HostID      string
	ClusterName string
}

// ConnectedAgents returns the hosts that Sysdig can act on now (GET
// /api/agents/connected on the application host, the Cortex XSOAR pack and
// sysdig-sdk-python). It asks Sysdig every time; see [Client.Directory].
func (c *Client) ConnectedAgents(ctx context.Context) ([]Agent, error) {
	agents := []Agent{}
	if err := c.eachAgent(ctx, func(a Agent) { agents = append(agents, a) }); err != nil {
		return nil, err
	}
	return agents, nil
}

// eachAgent calls add for each connected agent. It decodes the list as it arrives:
// each entry of a large account's 20,000 has about 1 KiB.
func (c *Client) eachAgent(ctx context.Context, add func(Agent)) error {
	req := request{method: http.MethodGet, base: c.app, path: "/api/agents/connected"}
	if err := c.read(ctx, req, func(body io.Reader) error { return decodeAgents(body, add) }); err != nil {
		return fmt.Errorf("list connected agents: %w", err)
	}
	return nil
}

// maxAgents bounds the list. It is far above the largest account.
const maxAgents = 1 << 19

// decodeAgents reads {"agents": […]} or the bare array: the pack accepts both. A
// null is an empty list, as servers written in Go send it; a list that is missing
// is an error.
func decodeAgents(r io.Reader, add func(Agent)) error {
	dec := json.NewDecoder(r)
	token, err := dec.Token()
	switch {
	case err != nil:
		return err
	case token == json.Delim('['):
		return decodeEach(dec, add)
	case token != json.Delim('{'):
		return errors.New("neither an object nor an array")
	}
	found := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if key != "agents" {
			if err := skip(dec); err != nil {
				return err
			}
			continue
		}
		found = true
		switch token, err := dec.Token(); {
		case err != nil:
			return err
		case token == nil:
		case token != json.Delim('['):
			return errors.New(`"agents" is not an array`)
		default:
			if err := decodeEach(dec, add); err != nil {
				return err
			}
		}
	}
	if _, err := dec.Token(); err != nil {
		return err // the answer breaks off
	}
	if !found {
		return errors.New(`no "agents"`)
	}
	return nil
}

// decodeEach reads the entries of an array whose bracket was read, and the closing
// bracket.
func decodeEach(dec *json.Decoder, add func(Agent)) error {
	for n := 0; dec.More(); n++ {
		if n == maxAgents {
			return fmt.Errorf("more than %d agents", maxAgents)
		}
		var item agentItem
		if err := dec.Decode(&item); err != nil {
			return err
		}
		add(Agent{
			ID:          string(item.ID),
			Customer:    string(item.Customer),
			HostName:    string(cmp.Or(item.HostName, item.Attributes.HostName)),
			MachineID:   string(item.MachineID),
			HostID:      string(item.OpaqueUID),
			ClusterName: string(item.Attributes.ClusterName),
		})
	}
	_, err := dec.Token()
	return err
}

// skip reads one value without keeping it.
func skip(dec *json.Decoder) error {
	for depth := 0; ; {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
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
