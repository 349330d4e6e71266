package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"firebreak/internal/sysdig/sysdigtest"
)

// event is what Sysdig's event forwarder would send, and what to say about it.
type event struct {
	body any
	said string
}

// container is a container of the simulated Sysdig.
type container struct {
	id   string
	host sysdigtest.Host
}

// demoHosts are two hosts with more containers than anybody demonstrates with:
// each is killed once.
func demoHosts() []sysdigtest.Host {
	hosts := []sysdigtest.Host{
		{Name: "node-1", MAC: "42:01:0a:80:00:05", ID: digest("node-1"), AgentID: 58014837, Cluster: "demo"},
		{Name: "node-2", MAC: "42:01:0a:80:00:06", ID: digest("node-2"), AgentID: 58014838, Cluster: "demo"},
	}
	for i := range hosts {
		for n := range 1000 {
			hosts[i].Containers = append(hosts[i].Containers, digest(fmt.Sprint(hosts[i].Name, n))[:12])
		}
	}
	return hosts
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// freeContainer is a container of the first host that nobody has killed yet.
func (s *story) freeContainer() container {
	ledger, host := s.stack.Sysdig.Ledger(), s.stack.Sysdig.Hosts()[0]
	for _, id := range host.Containers {
		if ledger.Killed(id) == 0 {
			return container{id: id, host: host}
		}
	}
	return container{id: host.Containers[0], host: host}
}

func minerEvent(c container) event {
	e := forwarded(c, "Detect crypto miners using the Stratum protocol", 0,
		"Possible miner running (proc.name=xmrig proc.cmdline=xmrig -o stratum+tcp://pool.example.com:3333)",
		map[string]string{"proc.name": "xmrig", "proc.cmdline": "xmrig -o stratum+tcp://pool.example.com:3333", "proc.exepath": "/tmp/xmrig"})
	e.said = fmt.Sprintf("A crypto-miner runs in container %s on %s", c.id, c.host.Name)
	return e
}

func toolEvent() event {
	host := demoHosts()[1]
	c := container{id: host.Containers[0], host: host}
	e := forwarded(c, "Suspicious network tool downloaded and launched in container", 3,
		"Network tool nmap downloaded and launched (proc.name=nmap proc.cmdline=nmap scanme.example.com)",
		map[string]string{"proc.name": "nmap", "proc.cmdline": "nmap scanme.example.com", "proc.exepath": "/usr/local/bin/nmap"})
	e.said = fmt.Sprintf("A network tool was downloaded and launched in container %s on %s", c.id, c.host.Name)
	return e
}

// forwarded is a batch of one event in the shape of Sysdig's event forwarder.
func forwarded(c container, rule string, severity int, output string, fields map[string]string) event {
	now := time.Now().UTC()
	fields["container.id"], fields["container.name"] = c.id, "web"
	fields["container.image.repository"] = "docker.io/example/web"
	fields["proc.pid"], fields["proc.pname"], fields["user.name"] = "2140169", "sh", "root"
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	body := []any{map[string]any{
		"id": hex.EncodeToString(id), "type": "policy", "originator": "policy", "category": "runtime", "source": "syscall",
		"name": "Sysdig Runtime Threat Detection", "severity": severity,
		"timestamp":   json.Number(fmt.Sprint(now.UnixNano())),
		"containerId": c.id, "machineId": c.host.MAC, "agentId": c.host.AgentID,
		"content": map[string]any{
			"policyId": 10011704, "policyVersion": 35, "policyOrigin": "Sysdig",
			"ruleName": rule, "ruleType": "RULE_TYPE_FALCO", "ruleTags": []string{"container", "process"},
			"output": output, "fields": fields,
		},
		"labels": map[string]string{
			"host.hostName": c.host.Name, "host.mac": c.host.MAC, "container.name": "web",
			"container.image.repo": "docker.io/example/web", "container.image.tag": "latest",
			"kubernetes.cluster.name": c.host.Cluster, "kubernetes.namespace.name": "shop",
			"kubernetes.pod.name": "web-6d4cf56db6-x2x4q", "kubernetes.workload.name": "web", "kubernetes.workload.type": "deployment",
		},
	}}
	return event{body: body}
}
