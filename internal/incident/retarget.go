package incident

import "strings"

// Setting is a value that somebody gives for the field under a path.
type Setting struct{ Path, Value string }

// Retarget sets fields as somebody gives them who asks for an action by hand; the
// errors are those of the settings that do not count, nil for the others. Where
// one names another target than the incident's, what the incident tells of its own
// is forgotten, the event's ID with it: half of one target and half of another
// would be a third, which nobody has seen and no protection knows.
func (i *Incident) Retarget(settings []Setting) []error {
	was := *i
	for _, s := range settings {
		known, _ := was.Field(s.Path)
		probe := was
		if probe.SetField(s.Path, s.Value) != nil {
			continue
		}
		if was.HostLevel && strings.HasPrefix(s.Path, "container.") {
			i.forget(s.Path) // what happened on the host itself did not happen in a container
			continue
		}
		if known == "" {
			continue
		}
		if now, _ := probe.Field(s.Path); now != known {
			i.forget(s.Path)
		}
	}
	problems := make([]error, len(settings))
	for n, s := range settings {
		problems[n] = i.SetField(s.Path, s.Value)
	}
	return problems
}

// forget forgets what holds of one target only, where the field under a path
// becomes another one's.
func (i *Incident) forget(path string) {
	group, name, _ := strings.Cut(path, ".")
	if group == "file" || group == "tenant" {
		return // one of many on the same target
	}
	i.ID = ""
	switch group {
	case "cloud":
		was := i.Cloud
		i.Cloud = Cloud{}
		if name == "region" || name == "instance" {
			i.Cloud.Provider, i.Cloud.Account = was.Provider, was.Account
		}
		if name == "instance" {
			i.Cloud.Region = was.Region
		}
		i.Host, i.Kubernetes = Host{}, Kubernetes{}
	case "host":
		i.Host, i.Kubernetes, i.Cloud.Instance = Host{}, Kubernetes{}, ""
	case "kubernetes":
		was := i.Kubernetes
		i.Kubernetes = Kubernetes{}
		if name != "cluster" {
			i.Kubernetes.Cluster = was.Cluster
		}
		if name != "cluster" && name != "namespace" {
			i.Kubernetes.Namespace = was.Namespace
		}
		i.Host, i.Cloud.Instance = Host{}, ""
	case "container":
		i.Kubernetes = Kubernetes{Cluster: i.Kubernetes.Cluster, Node: i.Kubernetes.Node}
	case "process", "user":
		i.Process, i.User, i.Fields = Process{}, "", nil
		return
	}
	i.HostLevel, i.Container, i.Process, i.File, i.User = false, Container{}, Process{}, File{}, ""
	i.Labels, i.Fields = nil, nil
}
