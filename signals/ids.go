package signals

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"firebreak/internal/incident"
)

// maxPart bounds each part of a workflow ID, in bytes: the server takes 1,000
// for the whole, a file system 255 for a folder of evidence.
const maxPart = 80

// maxFairnessKey is the longest fairness key that the server accepts, in bytes.
const maxFairnessKey = 64

// FairnessKey is the fairness key of a tenant's workflows. A server with fairness
// (matching.enableFairness) divides the workers among the keys of one priority, so
// that the flood of one tenant does not delay another one. The key is the tenant's
// name, or a digest of a name that the server would reject as too long. Without a
// tenant it is empty: these workflows share one turn.
//
// Activities inherit the key from their workflow, and the next run from the one
// before it. The guard has none: it belongs to all tenants.
func FairnessKey(tenant string) string {
	if len(tenant) <= maxFairnessKey {
		return tenant
	}
	digest := sha256.Sum256([]byte(tenant))
	return hex.EncodeToString(digest[:])
}

// HostLevel stands for the container in the workflow ID of an event on the
// host itself.
const HostLevel = "host"

// Unknown stands for the container in the workflow ID of an event that does not say
// in which container it happened, or whether it happened in one at all, and for any
// other absent field.
const Unknown = "unknown"

// WorkflowID is the ID under which the events of one target meet: the playbook
// and the values of the route's correlate_by, for example
// "crypto-miner:node-1:6949e5f10829". The container of an event on the host itself
// is "host", and an unknown container is "unknown" with what else is known of it, so
// that the events of two pods do not meet: "unknown@web", "unknown@shop@web-1". A
// missing host name falls back to the host's ID, then its MAC address. An event that
// has none of the fields is correlated by what it is about, see subject.
//
// Incidents of respond have the route's name behind the playbook's, for two
// routes may answer two detections on one target. Where there are several Sysdig
// tenants, that of the event comes next, as "tenant=acme": hosts of two customers
// may have one name, and no host can take a tenant's.
func WorkflowID(route *incident.Route, tenant string, inc *incident.Incident) string {
	parts := []string{route.Playbook}
	if route.Playbook == PlaybookRespond {
		parts = append(parts, part(route.Name))
	}
	if tenant != "" {
		parts = append(parts, tenantPart(tenant))
	}
	prefix := strings.Join(parts, ":")
	known := false
	for _, path := range route.WithDefaults().CorrelateBy {
		value, _ := inc.Field(path)
		if value == "" && path == "host.name" {
			value = cmp.Or(inc.Host.ID, inc.Host.MAC)
		}
		known = known || value != ""
		switch {
		case value != "":
			parts = append(parts, part(value))
		case path == "container.id":
			parts = append(parts, noContainer(inc))
		default:
			parts = append(parts, Unknown)
		}
	}
	if known {
		return strings.Join(parts, ":")
	}
	return prefix + ":" + subject(inc)
}

// noContainer stands for the container of an event that has no container ID.
func noContainer(inc *incident.Incident) string {
	switch {
	case inc.HostLevel:
		return HostLevel
	case inc.Kubernetes.Pod != "":
		return Unknown + "@" + part(inc.Kubernetes.Namespace+"@"+inc.Kubernetes.Pod)
	case inc.Container.Name != "":
		return Unknown + "@" + part(inc.Container.Name)
	default:
		return Unknown
	}
}

// subject tells events apart that name neither a host nor a container: by pod or
// another resource of a cluster, then by account and user, by user, by the resource of
// an account such as a repository, and at last by the event ID, which meets no other.
// The user of a process does not count: root of one machine is not root of another.
func subject(inc *incident.Incident) string {
	k, c := &inc.Kubernetes, &inc.Cloud
	ofProcess := inc.HostLevel || inc.Process != (incident.Process{})
	switch {
	case k.Pod != "" || k.Resource != "" || k.WorkloadName != "":
		parts := []string{part(cmp.Or(k.Namespace, Unknown)), part(cmp.Or(k.Pod, k.Resource, k.WorkloadName))}
		if k.Cluster != "" {
			parts = append([]string{part(k.Cluster)}, parts...)
		}
		return strings.Join(parts, ":")
	case c.Account != "":
		return part(c.Account) + ":" + part(cmp.Or(inc.User, Unknown))
	case inc.User != "" && !ofProcess:
		return part(cmp.Or(c.Provider, "user")) + ":" + part(inc.User)
	case c.Resource != "":
		return part(cmp.Or(c.Provider, "resource")) + ":" + part(c.Resource)
	default:
		return "event:" + part(inc.ID)
	}
}

// tenantPart tells a tenant in a workflow ID. No other part has the sign "=": a
// host that calls itself like a tenant, with a colon or without, does not meet its
// incidents.
func tenantPart(tenant string) string { return "tenant=" + part(tenant) }

// ManualID is the readable part of a manual action's workflow ID, for example
// "action:KILL_CONTAINER:node-1:6949e5f10829".
func ManualID(action string, target ...string) string {
	parts := []string{part(action)}
	for _, value := range target {
		parts = append(parts, part(value))
	}
	return manualPrefix + strings.Join(parts, ":")
}

// manualPrefix begins the workflow IDs of manual actions.
const manualPrefix = "action:"

// part makes a value safe for a workflow ID, a shell and a file system. A value
// that had to be changed gets a digest of the original, so that two values
// never meet by accident.
func part(value string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-@:", r):
			return r
		default:
			return '_'
		}
	}, value)
	if len(safe) > maxPart {
		safe = safe[:maxPart]
	}
	if safe == value && strings.Trim(safe, ".") != "" {
		return safe
	}
	return safe + "_" + digest(value)[:8]
}

// NewRequest describes a decision to ask for. Its ID is a digest of action,
// target and parameters, and of how often it was asked before, so that a
// decision about an earlier request never counts for a later one.
func NewRequest(action, target string, parameters map[string]any, ask int) (Request, error) {
	// encoding/json sorts the keys of a map: the digest is stable.
	content, err := json.Marshal([]any{action, target, parameters, ask})
	if err != nil {
		return Request{}, fmt.Errorf("digest the request %s: %w", action, err)
	}
	return Request{ID: digest(string(content))[:12], Action: action, Parameters: parameters, Have: []string{}}, nil
}

// CallerID is the ID under which Sysdig knows one intended execution, or another
// vendor one intended call of a hook, however often it is submitted or looked up:
// at most 128 characters, as Sysdig's
// public OpenAPI demands. The run is the first of its chain, so that a workflow
// that is reset finds what it already did.
func CallerID(workflowID, firstRunID, request string) string {
	return "firebreak-" + digest(workflowID + "\n" + firstRunID + "\n" + request)[:32]
}

// CaptureName is the name of one intended capture; like a CallerID it is what a
// lost capture is found by.
func CaptureName(workflowID, firstRunID, request string) string {
	return "firebreak-" + digest(workflowID + "\n" + firstRunID + "\n" + request)[:12]
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
