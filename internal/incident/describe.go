package incident

import (
	"cmp"
	"slices"
	"strings"
)

// envelope is what an event says outside of its labels and fields about where it
// happened.
type envelope struct {
	// containerID is the sender's, unchecked.
	containerID string
	// noContainer reports that the sender states that there is no container: the
	// Event Forwarder writes an empty container ID for an event on the host itself
	// (and for cloud events, which name no host).
	noContainer bool
	// inContainer reports that the sender states that there is one, also when its ID
	// is absent.
	inContainer bool
	// hostName is the host's name where the envelope has it.
	hostName string
	// elsewhere reports that the event did not happen on the host that reports it.
	elsewhere bool
}

// describe fills the incident from an event's labels and fields, which carry the
// same keys in every Sysdig payload. What the envelope already said, the host's
// MAC address or agent, stays.
func (i *Incident) describe(l, f properties, says envelope) {
	i.Labels, i.Fields = boundedMap(l.exact), boundedMap(f.exact)
	i.SelfReport = isSelfReport(i)
	i.describeKubernetes(l, f)
	i.describeCloud(l, f)
	i.describeProcess(f)
	// fd.name is a connection's two ends when the event is about a socket.
	i.File.Path = shaped(absolutePath, f.text("fd.name"))
	i.User = shaped(line, cmp.Or(f.id("user.name"), serviceUser(l, f)))
	if says.elsewhere || happenedElsewhere(i.Source, f) {
		// The host and the pod that the sender names are those that read the log.
		i.Host, i.Container = Host{}, Container{}
		return
	}
	i.describeHost(l, says)
	i.describeContainer(l, f, says)
}

func (i *Incident) describeHost(l properties, says envelope) {
	i.Host.ID = shaped(name, l.text("host.id"))
	i.Host.Name = cmp.Or(shaped(name, l.text("host.hostName")), shaped(name, says.hostName))
	i.Host.MAC = cmp.Or(shaped(macAddress, i.Host.MAC), shaped(macAddress, l.text("host.mac")))
	i.Host.AgentID = shaped(number, i.Host.AgentID)
}

// describeContainer reads the container. An event states its ID, or that it happened
// in no container and so on the host itself, or nothing that can be relied on. In
// the last case the container is unknown.
//
// There is no container if the container ID is "host", Falco's word for it, or if
// the envelope states it, the host is named, and nothing else is said of a
// container: a name, an image, a pod or an ID that cannot be read outweighs the
// envelope. Two different IDs, or an ID and "host", leave the container unknown.
func (i *Incident) describeContainer(l, f properties, says envelope) {
	onHost, unreadable := false, false
	var ids []string
	for _, v := range []string{says.containerID, l.text("container.id"), f.text("container.id"), f.text("container.full_id")} {
		v = identifier(v)
		id := shaped(containerID, v)
		switch {
		case v == "":
		case strings.EqualFold(v, hostContainer):
			onHost = true
		case id == "":
			unreadable = true
		case !slices.ContainsFunc(ids, func(other string) bool { return sameContainer(id, other) }):
			ids = append(ids, id)
		}
	}
	c := Container{
		Name:    shaped(name, cmp.Or(l.id("container.name"), f.id("container.name"))),
		Image:   shaped(name, cmp.Or(l.id("container.image.repo"), f.id("container.image.repository", "container.image"))),
		Tag:     shaped(name, cmp.Or(l.id("container.image.tag"), f.id("container.image.tag"))),
		ImageID: shaped(name, cmp.Or(l.id("container.image.id"), f.id("container.image.id"))),
	}
	if strings.EqualFold(c.Name, hostContainer) {
		c.Name = "" // Falco's name of the container "host"
	}
	switch {
	case len(ids) == 1 && !onHost:
		c.ID = ids[0]
	case len(ids) > 0:
	case onHost:
		i.HostLevel, c = true, Container{}
	default:
		named := i.Host.Name != "" || i.Host.ID != "" || i.Host.MAC != ""
		i.HostLevel = says.noContainer && named && !unreadable && !says.inContainer && c == Container{} && i.Kubernetes.Pod == ""
	}
	i.Container = c
}

// sameContainer reports whether two container IDs are one container's: one may be
// a longer form of the other.
func sameContainer(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// describeKubernetes reads the place in a cluster, from the labels of the workload
// or from the Kubernetes audit log (fields ka.*), whose target is a pod if its
// resource is pods or a subresource that only pods have.
func (i *Incident) describeKubernetes(l, f properties) {
	k := Kubernetes{
		Cluster: cmp.Or(l.id("kubernetes.cluster.name"), f.id("ka.cluster.name", "jevt.value[/resource/labels/cluster_name]")),
		Namespace: cmp.Or(l.id("kubernetes.namespace.name"), f.id("k8s.ns.name", "k8smeta.ns.name"),
			l.id("container.label.io.kubernetes.pod.namespace"), f.id("ka.target.namespace")),
		Pod: cmp.Or(l.id("kubernetes.pod.name"), f.id("k8s.pod.name", "k8smeta.pod.name"),
			l.id("container.label.io.kubernetes.pod.name"), f.id("ka.target.pod.name")),
		Node:         l.id("kubernetes.node.name"),
		WorkloadName: l.id("kubernetes.workload.name"),
		WorkloadType: l.id("kubernetes.workload.type"),
	}
	resource, target := strings.ToLower(f.id("ka.target.resource")), f.id("ka.target.name", "ka.resp.name", "ka.req.configmap.name")
	switch {
	case resource == "" && (slices.Contains(podSubresources, strings.ToLower(f.id("ka.target.subresource"))) || f.id(podRequests...) != ""):
		resource = "pods"
	case resource == "" && f.id("ka.req.configmap.name") != "":
		resource = "configmaps"
	}
	if workload := strings.TrimSuffix(resource, "s"); target == "" {
	} else if workload == "pod" {
		k.Pod = cmp.Or(k.Pod, target)
	} else {
		k.Resource = shaped(name, strings.Trim(resource+"/"+target, "/"))
		if k.WorkloadName == "" && slices.Contains(workloads, workload) {
			k.WorkloadName, k.WorkloadType = target, workload
		}
	}
	for _, workload := range workloads {
		// Sysdig's labels before there was one for workloads of all types.
		if older := l.id("kubernetes." + workload + ".name"); k.WorkloadName == "" && older != "" {
			k.WorkloadName, k.WorkloadType = older, workload
		}
	}
	for _, at := range []*string{&k.Cluster, &k.Namespace, &k.Pod, &k.Node, &k.WorkloadName, &k.WorkloadType} {
		*at = shaped(name, *at)
	}
	i.Kubernetes = k
}

// podSubresources are the subresources that only pods have.
var podSubresources = []string{"exec", "attach", "portforward", "ephemeralcontainers", "log", "binding", "eviction"}

// podRequests are fields of requests whose object is a pod.
var podRequests = []string{
	"ka.req.pod.containers.image", "ka.req.pod.initContainers.image", "ka.req.pod.ephemeralContainers.image", "ka.req.pod.containers.privileged",
	"ka.req.pod.host_network", "ka.req.pod.host_pid", "ka.req.pod.host_ipc", "ka.req.pod.volumes.hostpath", "ka.req.container.image",
}

// workloads are the resources that run pods, in Sysdig's words for the types of
// workloads.
var workloads = []string{"deployment", "daemonset", "statefulset", "replicaset", "job", "cronjob"}

func (i *Incident) describeProcess(f properties) {
	i.Process = Process{
		Name:    shaped(line, f.text("proc.name")),
		Cmdline: f.text("proc.cmdline"),
		Cwd:     f.text("proc.cwd"),
		Exe:     shaped(line, cmp.Or(f.id("proc.exepath", "proc.exe"))),
		Parent:  shaped(line, f.text("proc.pname")),
		SHA256:  shaped(sha256Digest, f.text("proc.hash.sha256")),
	}
	// proc.pid is the number on the host; proc.vpid would be the container's.
	if pid, err := processID(f.id("proc.pid")); err == nil {
		i.Process.PID = pid
	}
	// A process cannot have started after it did something; clocks differ a little.
	if start, err := startTime(f.id("proc.pid.ts")); err == nil && i.Process.PID != 0 &&
		(i.OccurredAt.IsZero() || start <= i.OccurredAt.Add(clockSkew).UnixNano()) {
		i.Process.StartTime = start
	}
}

// policyActions reads what Sysdig did by policy: the forwarder and the
// notification say "successful", the events API "isSuccessful".
func policyActions(list []any) []PolicyAction {
	var actions []PolicyAction
	for _, v := range list {
		m, ok := v.(map[string]any)
		if !ok || len(actions) == maxEntries {
			continue
		}
		a := object(m)
		actions = append(actions, PolicyAction{
			Type:       a.text("type"),
			Successful: a.boolean("successful") || a.boolean("isSuccessful"),
			Error:      a.text("errMsg"),
			Token:      a.text("token"),
		})
	}
	return actions
}

// isSelfReport reports whether a product reports about itself: Falco under its source
// "internal" or, before it had sources, under the names of its internal rules;
// falcosidekick under the name of its test, whose output says so.
func isSelfReport(i *Incident) bool {
	rule := strings.ToLower(i.Rule.Name)
	return strings.EqualFold(i.Source, "internal") || strings.HasPrefix(rule, "falco internal") ||
		rule == "test rule" && strings.HasPrefix(i.Output, "This is a test from falcosidekick")
}

// isAbsolute reports whether path is absolute on Linux or Windows.
func isAbsolute(path string) bool {
	return strings.HasPrefix(path, "/") || len(path) > 3 && path[1] == ':' && path[2] == '\\'
}
