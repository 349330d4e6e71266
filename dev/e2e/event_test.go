package e2e_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
)

const (
	minerRule = "Detect crypto miners using the Stratum protocol"
	toolRule  = "Suspicious network tool downloaded and launched in container"
)

// newHost is a host with one container, neither of which any other test has.
func newHost() sysdigtest.Host {
	name := random(4)
	return sysdigtest.Host{
		Name: "node-" + name, MAC: "42:01:0a:80:00:05", ID: random(32), AgentID: 58014837, Cluster: "test",
		Containers: []string{random(6)},
	}
}

// newTargets are the containers of one host, neither of which any other test
// has: each as the host with this container alone.
func newTargets(containers int) []sysdigtest.Host {
	host := newHost()
	targets := make([]sysdigtest.Host, containers)
	for i := range targets {
		targets[i] = host
		targets[i].Containers = []string{random(6)}
	}
	return targets
}

// hostOf is the host of some targets, with all of them.
func hostOf(targets []sysdigtest.Host) sysdigtest.Host {
	host := targets[0]
	host.Containers = nil
	for _, target := range targets {
		host.Containers = append(host.Containers, target.Containers...)
	}
	return host
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// event is what Sysdig's event forwarder sends.
type event map[string]any

// newEvent is a detection in the host's container, which happens now.
func newEvent(t *testing.T, host sysdigtest.Host, rule string) event {
	t.Helper()
	raw, err := os.ReadFile("testdata/crypto-miner.json")
	require.NoError(t, err)
	var batch []event
	require.NoError(t, json.Unmarshal(raw, &batch))
	e := batch[0]
	e["id"], e["timestamp"] = random(16), time.Now().UnixNano()
	delete(e, "timestampRFC3339Nano")
	e["agentId"], e["machineId"], e["hostMac"] = host.AgentID, host.MAC, host.MAC
	e["containerId"] = host.Containers[0]
	content := e["content"].(map[string]any)
	content["ruleName"], content["output"] = rule, rule
	content["fields"].(map[string]any)["container.id"] = host.Containers[0]
	labels := e["labels"].(map[string]any)
	labels["host.hostName"], labels["host.mac"] = host.Name, host.MAC
	return e
}

// small is the event without most of what playbooks only hand on.
func (e event) small() event {
	maps.DeleteFunc(e["labels"].(map[string]any), func(name string, _ any) bool {
		return !strings.HasPrefix(name, "host.") && !strings.HasPrefix(name, "kubernetes.workload.")
	})
	maps.DeleteFunc(e["content"].(map[string]any)["fields"].(map[string]any), func(name string, _ any) bool {
		return name != "proc.pid" && name != "proc.name" && name != "container.id"
	})
	return e
}
