// Package incident is the domain: what a runtime security event means to
// Firebreak once it has left its sender's format. Adapters turn payloads into
// Incidents; routes choose the playbook of an Incident. The package knows
// neither Temporal nor the Sysdig API, and does no I/O.
package incident

import (
	"fmt"
	"strings"
	"time"
)

// Incident is one runtime security event, in one shape whoever sent it. Absent
// values are zero: an adapter never invents one, and maps "<NA>", "" and the
// container ID "host" to absence.
type Incident struct {
	// ID is the sender's event ID; an event ID counts once. An adapter whose
	// sender has none (Falco) derives one from the event's content.
	ID string `json:"id"`
	// Source is the event source as the sender names it, for example "syscall".
	Source string `json:"source,omitzero"`
	Tenant Tenant `json:"tenant,omitzero"`
	// SelfReport reports that a product reports about itself, not about a threat:
	// Falco about dropped system calls or its metrics, falcosidekick about its test. It opens no
	// incident, unless a route has [Route.SelfReports].
	SelfReport bool `json:"self_report,omitzero"`
	Rule       Rule `json:"rule,omitzero"`
	// Mitre is derived from the rule's tags by [Incident.Derive].
	Mitre  Mitre  `json:"mitre,omitzero"`
	Policy Policy `json:"policy,omitzero"`
	// Severity is Sysdig's: 0 is the worst, 7 the mildest.
	Severity Severity `json:"severity"`
	// SeverityLabel and Priority are derived from Severity by [Incident.Derive].
	SeverityLabel string   `json:"severity_label"`
	Priority      Priority `json:"priority"`
	// Output is the rule's message. It is text that an attacker can shape.
	Output   string `json:"output,omitzero"`
	EventURL string `json:"event_url,omitzero"`
	// OccurredAt is when it happened on the host, in UTC, not when it arrived.
	OccurredAt time.Time `json:"occurred_at,omitzero"`
	Host       Host      `json:"host,omitzero"`
	// HostLevel reports that the event says that it happened on the host itself, in
	// no container. It is false when the event says nothing about its container: see
	// [Incident.ContainerUnknown].
	HostLevel  bool       `json:"host_level,omitzero"`
	Container  Container  `json:"container,omitzero"`
	Kubernetes Kubernetes `json:"kubernetes,omitzero"`
	Cloud      Cloud      `json:"cloud,omitzero"`
	Process    Process    `json:"process,omitzero"`
	File       File       `json:"file,omitzero"`
	User       string     `json:"user,omitzero"`
	// Labels and Fields are the sender's own, untranslated: labels describe the
	// workload, fields the event.
	Labels map[string]string `json:"labels,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
	// Actions are those Sysdig already took by policy.
	Actions []PolicyAction `json:"actions,omitempty"`
}

// Tenant is the customer the event belongs to. ID is Sysdig's customer ID.
type Tenant struct {
	ID   string `json:"id,omitzero"`
	Name string `json:"name,omitzero"`
}

// Rule is the detection rule that fired.
type Rule struct {
	Name string   `json:"name,omitzero"`
	Type string   `json:"type,omitzero"`
	Tags []string `json:"tags,omitempty"`
}

// Mitre are the tactics and techniques of MITRE ATT&CK that the rule's tags name.
type Mitre struct {
	// Tactics by name, such as "credential_access".
	Tactics []string `json:"tactics,omitempty"`
	// Techniques by ID, such as "T1496" or "T1552.001".
	Techniques []string `json:"techniques,omitempty"`
}

// Policy is the Sysdig policy that holds the rule.
type Policy struct {
	ID      string `json:"id,omitzero"`
	Name    string `json:"name,omitzero"`
	Version int64  `json:"version,omitzero"`
}

// Host is the machine it happened on. ID is what response actions take as
// host.id, AgentID what captures take as agent.id; MAC is normalised to lower
// case with colons.
type Host struct {
	ID      string `json:"id,omitzero"`
	Name    string `json:"name,omitzero"`
	MAC     string `json:"mac,omitzero"`
	AgentID string `json:"agent_id,omitzero"`
}

// Container is the container that the event happened in. Its ID is the short,
// 12-digit one, or Fargate's. It is absent for an event on the host itself, and
// when the container is unknown: [Incident.HostLevel] tells the two apart.
type Container struct {
	ID      string `json:"id,omitzero"`
	Name    string `json:"name,omitzero"`
	Image   string `json:"image,omitzero"`
	Tag     string `json:"tag,omitzero"`
	ImageID string `json:"image_id,omitzero"`
}

// Kubernetes says where in a cluster the container runs.
type Kubernetes struct {
	Cluster      string `json:"cluster,omitzero"`
	Namespace    string `json:"namespace,omitzero"`
	Pod          string `json:"pod,omitzero"`
	Node         string `json:"node,omitzero"`
	WorkloadName string `json:"workload_name,omitzero"`
	WorkloadType string `json:"workload_type,omitzero"`
	// Resource is what an audit event is about where that is no pod, as
	// "clusterrolebindings/admins".
	Resource string `json:"resource,omitzero"`
}

// Cloud is the cloud account and instance, or the account of another service, such
// as an organisation at GitHub.
type Cloud struct {
	Provider string `json:"provider,omitzero"`
	Account  string `json:"account,omitzero"`
	Region   string `json:"region,omitzero"`
	Instance string `json:"instance,omitzero"`
	// Resource is what an event of the account is about, for example a bucket or a
	// repository.
	Resource string `json:"resource,omitzero"`
}

// Process is the offending process. PID is its number on the host, which
// KILL_PROCESS takes; 0 is absence. StartTime is when the process started, in Unix
// nanoseconds (proc.pid.ts); 0 is absence. A PID without it may belong to another
// process by now.
type Process struct {
	PID       int64  `json:"pid,omitzero"`
	StartTime int64  `json:"start_time,omitzero"`
	Name      string `json:"name,omitzero"`
	Cmdline   string `json:"cmdline,omitzero"`
	Cwd       string `json:"cwd,omitzero"`
	Exe       string `json:"exe,omitzero"`
	Parent    string `json:"parent,omitzero"`
	SHA256    string `json:"sha256,omitzero"`
}

// File is the file the event is about.
type File struct {
	Path string `json:"path,omitzero"`
}

// PolicyAction is something Sysdig did by itself, by policy.
type PolicyAction struct {
	Type       string `json:"type"`
	Successful bool   `json:"successful"`
	Error      string `json:"error,omitzero"`
	Token      string `json:"token,omitzero"`
}

// Severity is Sysdig's policy severity: 0–3 high, 4–5 medium, 6 low, 7 info
// (facts: Sysdig docs "Event Forwarding").
type Severity int

// The bounds of Severity.
const (
	WorstSeverity   Severity = 0
	MildestSeverity Severity = 7
)

// Valid reports whether s is one of Sysdig's severities.
func (s Severity) Valid() bool { return s >= WorstSeverity && s <= MildestSeverity }

// Label is Sysdig's word for the severity.
func (s Severity) Label() string {
	switch {
	case s <= 3:
		return "high"
	case s <= 5:
		return "medium"
	case s == 6:
		return "low"
	default:
		return "info"
	}
}

// Priority is how urgent an incident is to the people who answer it.
type Priority string

// The priorities, in the scale of Sysdig's Cortex XSOAR mapper.
const (
	Critical Priority = "critical" // severity 0–1
	High     Priority = "high"     // severity 2–3
	Medium   Priority = "medium"   // severity 4–5
	Low      Priority = "low"      // severity 6–7
)

// Priority derives the priority from the severity.
func (s Severity) Priority() Priority {
	switch {
	case s <= 1:
		return Critical
	case s <= 3:
		return High
	case s <= 5:
		return Medium
	default:
		return Low
	}
}

// Key is the Temporal priority key of the priority: 1 is served first.
func (p Priority) Key() int {
	switch p {
	case Critical:
		return 1
	case High:
		return 2
	case Medium:
		return 3
	default:
		return 4
	}
}

// Derive fills the values that follow from others. Adapters call it last.
func (i *Incident) Derive() {
	i.Mitre = mitreOf(i.Rule.Tags)
	i.SeverityLabel = i.Severity.Label()
	i.Priority = i.Severity.Priority()
}

// ContainerUnknown reports whether the event does not say in which container it
// happened, or whether it happened in one at all. Such an event is neither a
// container's nor the host's: no action on either is offered for it.
func (i *Incident) ContainerUnknown() bool { return i.Container.ID == "" && !i.HostLevel }

// Target is what the incident is about, for people: the container and its host, the
// host, the cloud account and user, the pod or another resource, or the user.
func (i *Incident) Target() string {
	switch {
	case i.Container.ID != "" && i.Host.Name != "":
		return fmt.Sprintf("container %s on %s", i.Container.ID, i.Host.Name)
	case i.Container.ID != "":
		return "container " + i.Container.ID
	case i.Host.Name != "":
		return "host " + i.Host.Name
	case i.Cloud.Account != "" && i.User != "":
		return fmt.Sprintf("%s in account %s", i.User, i.Cloud.Account)
	case i.Kubernetes.Pod != "":
		return "pod " + strings.TrimPrefix(i.Kubernetes.Namespace+"/"+i.Kubernetes.Pod, "/")
	case i.Kubernetes.Resource != "":
		return strings.TrimPrefix(i.Kubernetes.Namespace+" "+i.Kubernetes.Resource, " ")
	case i.Cloud.Account != "":
		return "account " + i.Cloud.Account
	case i.Cloud.Resource != "":
		return i.Cloud.Resource
	case i.User != "":
		return "user " + i.User
	default:
		return "event " + i.ID
	}
}
