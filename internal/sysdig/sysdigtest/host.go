package sysdigtest

import (
	"maps"
	"slices"
)

// Host is a host with a connected agent.
type Host struct {
	Name string
	// MAC is what agents report as machineId: the MAC address, with the agent's
	// machine_id_prefix before it if one is set (Sysdig's agent).
	MAC string
	// ID is what response actions call host.id and the list of connected agents
	// opaqueUid.
	ID      string
	AgentID int64
	Cluster string
	// Attributes are listed beside clusterName, as text. The real list has more than
	// one (the Cortex XSOAR pack reads only clusterName).
	Attributes map[string]string
	// Containers are the IDs of the containers that run on it.
	Containers []string
}

// DefaultHosts are two hosts, each with the container that one of the example
// crypto-miner events of the tests and the demonstration is about.
func DefaultHosts() []Host {
	return []Host{
		{
			Name:       "gke-cluster-gcp-demo-san-default-pool-66250c41-vd1o",
			MAC:        "42:01:0a:80:00:05",
			ID:         "eeee000011112222333344445555666677778888999900001111222233334444",
			AgentID:    58014837,
			Cluster:    "gke-alliances-demo-6",
			Containers: []string{"6949e5f10829"},
		},
		{
			Name:       "ip-10-0-0-3.ec2.internal",
			MAC:        "aa:bb:cc:dd:ee:04",
			ID:         "dddd000011112222333344445555666677778888999900001111222233334444",
			AgentID:    99004,
			Cluster:    "demo-eks-cluster",
			Containers: []string{"aaa000000006"},
		},
	}
}

func (s *Server) hostByID(id string) (Host, bool) {
	return s.host(func(h Host) bool { return h.ID == id })
}

func (s *Server) host(match func(Host) bool) (Host, bool) {
	i := slices.IndexFunc(s.opts.Hosts, match)
	if i < 0 {
		return Host{}, false
	}
	return s.opts.Hosts[i], true
}

// agents answers GET /api/agents/connected.
func (s *Server) agents(*input) (any, *problem) {
	type agent struct {
		ID         int64             `json:"id"`
		Customer   int64             `json:"customer"`
		HostName   string            `json:"hostName"`
		MachineID  string            `json:"machineId"`
		OpaqueUID  string            `json:"opaqueUid"`
		Attributes map[string]string `json:"attributes"`
	}
	list := make([]agent, len(s.opts.Hosts))
	for i, h := range s.opts.Hosts {
		attributes := map[string]string{}
		maps.Copy(attributes, h.Attributes)
		attributes["clusterName"] = h.Cluster
		list[i] = agent{h.AgentID, s.opts.CustomerID, h.Name, h.MAC, h.ID, attributes}
	}
	return map[string]any{"agents": list}, nil
}

// me answers GET /api/users/me.
func (s *Server) me(*input) (any, *problem) {
	return map[string]any{"user": map[string]any{
		"id":           userID,
		"username":     "firebreak",
		"customer":     map[string]any{"id": s.opts.CustomerID, "name": s.opts.CustomerName},
		"customerId":   s.opts.CustomerID,
		"customerName": s.opts.CustomerName,
	}}, nil
}

// userID is the owner of the token.
const userID = 12345
