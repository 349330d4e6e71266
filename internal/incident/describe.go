package incident

import (
	"cmp"
	"strings"
)

// describe fills the incident from an event's labels and fields, which carry
// the same keys in every Sysdig payload. What the envelope already said, the
// container's ID or the host's MAC address, stays.
func (i *Incident) describe(labels, fields map[string]string) {
	i.Labels, i.Fields = boundedMap(labels), boundedMap(fields)
	i.describeHost(labels)
	i.describeContainer(labels, fields)
	i.describeKubernetes(labels, fields)
	i.describeCloud(labels, fields)
	i.describeProcess(fields)
	// fd.name is a connection's two ends when the event is about a socket.
	if path := fields["fd.name"]; isAbsolute(path) {
		i.File.Path = path
	}
	i.User = cmp.Or(fields["user.name"], cloudUser(labels, fields), fields["ka.user.name"])
}

func (i *Incident) describeHost(labels map[string]string) {
	i.Host.ID = labels["host.id"]
	i.Host.Name = labels["host.hostName"]
	i.Host.MAC = cmp.Or(i.Host.MAC, NormaliseMAC(labels["host.mac"]))
}

func (i *Incident) describeContainer(labels, fields map[string]string) {
	id := cmp.Or(shortContainerID(i.Container.ID), labels["container.id"], fields["container.id"])
	if id = shortContainerID(id); id == "" && fields["container.id"] == hostContainer {
		i.Container = Container{} // the event is about the host, and Falco names that container "host" too
		return
	}
	i.Container = Container{
		ID:      id,
		Name:    cmp.Or(labels["container.name"], fields["container.name"]),
		Image:   cmp.Or(labels["container.image.repo"], fields["container.image.repository"]),
		Tag:     cmp.Or(labels["container.image.tag"], fields["container.image.tag"]),
		ImageID: cmp.Or(labels["container.image.id"], fields["container.image.id"]),
	}
}

func (i *Incident) describeKubernetes(labels, fields map[string]string) {
	i.Kubernetes = Kubernetes{
		Cluster: labels["kubernetes.cluster.name"],
		Namespace: cmp.Or(labels["kubernetes.namespace.name"], fields["k8s.ns.name"], fields["k8smeta.ns.name"],
			labels["container.label.io.kubernetes.pod.namespace"], fields["ka.target.namespace"]),
		Pod: cmp.Or(labels["kubernetes.pod.name"], fields["k8s.pod.name"], fields["k8smeta.pod.name"],
			labels["container.label.io.kubernetes.pod.name"]),
		Node:         labels["kubernetes.node.name"],
		WorkloadName: labels["kubernetes.workload.name"],
		WorkloadType: labels["kubernetes.workload.type"],
	}
}

func (i *Incident) describeProcess(fields map[string]string) {
	i.Process = Process{
		Name:    fields["proc.name"],
		Cmdline: fields["proc.cmdline"],
		Cwd:     fields["proc.cwd"],
		Exe:     cmp.Or(fields["proc.exepath"], fields["proc.exe"]),
		Parent:  fields["proc.pname"],
		SHA256:  fields["proc.hash.sha256"],
	}
	// proc.pid is the number on the host; proc.vpid would be the container's.
	if pid, ok := integer(fields["proc.pid"]); ok && pid > 0 {
		i.Process.PID = pid
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

// isAbsolute reports whether path is absolute on Linux or Windows.
func isAbsolute(path string) bool {
	return strings.HasPrefix(path, "/") || len(path) > 3 && path[1] == ':' && path[2] == '\\'
}
