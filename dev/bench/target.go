package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"firebreak/internal/sysdig/sysdigtest"
)

// The rules that events are of; see routes.
const (
	ruleAutomatic = "Automatic"
	ruleApproved  = "Approved"
)

// target is a container to kill, once, and its host.
type target struct{ host, hostID, mac, container string }

// perHost is how many containers a host runs: as many as a large one does.
const perHost = 250

// hosts are simulated hosts that run count containers of their own.
func hosts(name string, count int) []sysdigtest.Host {
	var all []sysdigtest.Host
	for n := range count {
		if n%perHost == 0 {
			host := fmt.Sprintf("%s-%d", name, len(all))
			id := digest(host)
			all = append(all, sysdigtest.Host{
				Name: host, ID: id, MAC: fmt.Sprintf("42:01:%s:%s:%s:%s", id[:2], id[2:4], id[4:6], id[6:8]),
				AgentID: int64(1000 + len(all)), Cluster: "bench",
			})
		}
		host := &all[len(all)-1]
		host.Containers = append(host.Containers, digest(fmt.Sprint(host.Name, "/", n))[:12])
	}
	return all
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// targets lists the containers of some hosts.
func targets(hosts []sysdigtest.Host) []target {
	var all []target
	for _, host := range hosts {
		for _, container := range host.Containers {
			all = append(all, target{host.Name, host.ID, host.MAC, container})
		}
	}
	return all
}

// eventID is the ID of the target's n-th event.
func (t target) eventID(n int) string {
	return digest(fmt.Sprint(t.host, "/", t.container, "/", n))[:32]
}

// event is a batch of one event, the target's n-th, in the shape and of the size
// that Sysdig's event forwarder sends. It says all that the action needs: what
// is measured is not how long Sysdig takes to enrich it.
func (t target) event(rule string, n int) ([]byte, error) {
	now := time.Now()
	body, err := json.Marshal([]any{map[string]any{
		"id": t.eventID(n), "type": "policy", "originator": "policy", "category": "runtime", "source": "syscall",
		"name": "Sysdig Runtime Threat Detection", "description": "A miner was detected", "severity": 0,
		"timestamp": now.UnixNano(), "timestampRFC3339Nano": now.UTC().Format(time.RFC3339Nano),
		"agentId": 58014837, "containerId": t.container, "machineId": t.mac,
		"content": map[string]any{
			"policyId": 10011704, "policyVersion": 35, "policyOrigin": "Sysdig", "falsePositive": false, "matchedOnDefault": false,
			"ruleName": rule, "ruleType": "RULE_TYPE_FALCO",
			"ruleTags": []string{"host", "container", "process", "MITRE", "MITRE_TA0040_impact", "MITRE_T1496_resource_hijacking"},
			"output":   "Possible miner running (proc.name=xmrig proc.cmdline=xmrig -o stratum+tcp://pool.example.com:3333 container.id=" + t.container + ")",
			"fields": map[string]string{
				"container.id": t.container, "container.image.repository": "docker.io/example/web", "container.name": "web",
				"evt.type": "execve", "falco.rule": rule, "fd.name": "<NA>", "group.gid": "0", "group.name": "root",
				"proc.cmdline": "xmrig -o stratum+tcp://pool.example.com:3333", "proc.cwd": "/tmp/", "proc.exepath": "/tmp/xmrig",
				"proc.name": "xmrig", "proc.pcmdline": "sh -c /tmp/xmrig", "proc.pid": "2140169", "proc.pname": "sh",
				"proc.ppid": "2140088", "proc.sid": "1", "user.loginname": "<NA>", "user.loginuid": "-1", "user.name": "root", "user.uid": "0",
			},
		},
		"labels": map[string]string{
			"cloudProvider.account.id": "289645096542", "cloudProvider.name": "gcp", "cloudProvider.region": "us-central1",
			"container.image.digest": "sha256:" + digest("image"), "container.image.id": "15a18c24b1ee",
			"container.image.repo": "docker.io/example/web", "container.image.tag": "latest", "container.name": "web",
			"container.label.io.kubernetes.container.name": "web", "container.label.io.kubernetes.pod.name": "web-c65cf6446-5s8kk",
			"container.label.io.kubernetes.pod.namespace": "default",
			"gcp.availabilityZone":                        "us-central1-c", "gcp.instanceId": "648229130641697246", "gcp.instanceName": t.host,
			"gcp.machineType": "e2-standard-4", "gcp.projectId": "289645096542", "gcp.projectName": "example", "gcp.region": "us-central1",
			"host.hostName": t.host, "host.id": t.hostID, "host.mac": t.mac,
			"kubernetes.cluster.name": "bench", "kubernetes.deployment.name": "web", "kubernetes.namespace.name": "default",
			"kubernetes.node.name": t.host, "kubernetes.pod.name": "web-c65cf6446-5s8kk", "kubernetes.replicaSet.name": "web-c65cf6446",
			"kubernetes.workload.name": "web", "kubernetes.workload.type": "deployment",
			"process.name": "xmrig -o stratum+tcp://pool.example.com:3333",
		},
	}})
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return body, nil
}
