package incident

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Everything in this file runs inside workflows: it must give the same answer
// in every replay, so it ranges over no map and reads no clock.

// field is a scalar field of an Incident under its dotted JSON name.
type field struct {
	path string
	get  func(*Incident) string
	// set checks and stores a value that is present. It is nil for a field that
	// only the event may tell.
	set func(*Incident, string) error
}

// textField is a field that analysts may set to any text.
func textField(path string, at func(*Incident) *string) field {
	return checkedField(path, at, func(v string) (string, error) { return v, nil })
}

// checkedField is a text field whose value is checked and normalised.
func checkedField(path string, at func(*Incident) *string, check func(string) (string, error)) field {
	return field{
		path: path,
		get:  func(i *Incident) string { return *at(i) },
		set: func(i *Incident, v string) error {
			checked, err := check(v)
			if err == nil {
				*at(i) = checked
			}
			return err
		},
	}
}

// readField is a field that only the event may tell.
func readField(path string, get func(*Incident) string) field { return field{path: path, get: get} }

// fields lists the scalar fields in the order of Incident; nothing changes it.
var fields = []field{
	readField("id", func(i *Incident) string { return i.ID }),
	readField("source", func(i *Incident) string { return i.Source }),
	textField("tenant.id", func(i *Incident) *string { return &i.Tenant.ID }),
	textField("tenant.name", func(i *Incident) *string { return &i.Tenant.Name }),
	readField("rule.name", func(i *Incident) string { return i.Rule.Name }),
	readField("rule.type", func(i *Incident) string { return i.Rule.Type }),
	readField("policy.id", func(i *Incident) string { return i.Policy.ID }),
	readField("policy.name", func(i *Incident) string { return i.Policy.Name }),
	readField("severity", func(i *Incident) string { return strconv.Itoa(int(i.Severity)) }),
	readField("severity_label", func(i *Incident) string { return i.SeverityLabel }),
	readField("priority", func(i *Incident) string { return string(i.Priority) }),
	readField("output", func(i *Incident) string { return i.Output }),
	readField("event_url", func(i *Incident) string { return i.EventURL }),
	textField("host.id", func(i *Incident) *string { return &i.Host.ID }),
	textField("host.name", func(i *Incident) *string { return &i.Host.Name }),
	checkedField("host.mac", func(i *Incident) *string { return &i.Host.MAC }, checkMAC),
	textField("host.agent_id", func(i *Incident) *string { return &i.Host.AgentID }),
	checkedField("container.id", func(i *Incident) *string { return &i.Container.ID }, checkContainerID),
	textField("container.name", func(i *Incident) *string { return &i.Container.Name }),
	textField("container.image", func(i *Incident) *string { return &i.Container.Image }),
	textField("container.tag", func(i *Incident) *string { return &i.Container.Tag }),
	textField("container.image_id", func(i *Incident) *string { return &i.Container.ImageID }),
	textField("kubernetes.cluster", func(i *Incident) *string { return &i.Kubernetes.Cluster }),
	textField("kubernetes.namespace", func(i *Incident) *string { return &i.Kubernetes.Namespace }),
	textField("kubernetes.pod", func(i *Incident) *string { return &i.Kubernetes.Pod }),
	textField("kubernetes.node", func(i *Incident) *string { return &i.Kubernetes.Node }),
	textField("kubernetes.workload_name", func(i *Incident) *string { return &i.Kubernetes.WorkloadName }),
	textField("kubernetes.workload_type", func(i *Incident) *string { return &i.Kubernetes.WorkloadType }),
	textField("cloud.provider", func(i *Incident) *string { return &i.Cloud.Provider }),
	textField("cloud.account", func(i *Incident) *string { return &i.Cloud.Account }),
	textField("cloud.region", func(i *Incident) *string { return &i.Cloud.Region }),
	textField("cloud.instance", func(i *Incident) *string { return &i.Cloud.Instance }),
	{path: "process.pid", get: getPID, set: setPID},
	textField("process.name", func(i *Incident) *string { return &i.Process.Name }),
	textField("process.cmdline", func(i *Incident) *string { return &i.Process.Cmdline }),
	textField("process.cwd", func(i *Incident) *string { return &i.Process.Cwd }),
	textField("process.exe", func(i *Incident) *string { return &i.Process.Exe }),
	textField("process.parent", func(i *Incident) *string { return &i.Process.Parent }),
	textField("process.sha256", func(i *Incident) *string { return &i.Process.SHA256 }),
	textField("file.path", func(i *Incident) *string { return &i.File.Path }),
	textField("user", func(i *Incident) *string { return &i.User }),
}

// findField is the field of that path, and false for one that does not exist.
func findField(path string) (field, bool) {
	at := slices.IndexFunc(fields, func(f field) bool { return f.path == path })
	if at < 0 {
		return field{}, false
	}
	return fields[at], true
}

// FieldPaths lists the paths that [Incident.Field] knows.
func FieldPaths() []string {
	var paths []string
	for _, f := range fields {
		paths = append(paths, f.path)
	}
	return paths
}

// AmendablePaths lists the paths that [Incident.SetField] accepts.
func AmendablePaths() []string {
	var paths []string
	for _, f := range fields {
		if f.set != nil {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// Field is the scalar field under its dotted JSON name, such as "host.name",
// "" when it is absent. known is false for a path that does not exist.
func (i *Incident) Field(path string) (value string, known bool) {
	f, known := findField(path)
	if !known {
		return "", false
	}
	return f.get(i), true
}

// ownField begins the path of one of the event's own, untranslated fields.
const ownField = "fields."

// Lookup is the field under a path, or one of the event's own under
// "fields.ct.user.arn"; "" when it is absent.
func (i *Incident) Lookup(path string) string {
	if own, is := strings.CutPrefix(path, ownField); is {
		return present(i.Fields[own])
	}
	value, _ := i.Field(path)
	return value
}

// SetField stores what an analyst supplied for a field. The identity of the
// event, its rule and its severity are not to be amended: they are what the
// route and the approval were decided on.
func (i *Incident) SetField(path, value string) error {
	f, known := findField(path)
	if !known || f.set == nil {
		return fmt.Errorf("field %q: want one of %s", path, strings.Join(AmendablePaths(), ", "))
	}
	value = strings.TrimSpace(value)
	if present(value) == "" {
		return fmt.Errorf("field %s: the value is empty; want its text", path)
	}
	if len(value) > maxText {
		return fmt.Errorf("field %s: the value has %d bytes; want at most %d", path, len(value), maxText)
	}
	if err := f.set(i, value); err != nil {
		return fmt.Errorf("field %s: %w", path, err)
	}
	return nil
}

// Missing lists those of the paths whose fields are absent, in the given order.
func (i *Incident) Missing(paths ...string) []string {
	var missing []string
	for _, path := range paths {
		if value, _ := i.Field(path); value == "" {
			missing = append(missing, path)
		}
	}
	return missing
}

// FillFrom fills the absent fields that an analyst might also have supplied
// from other, another account of the same target, and lists what it filled. It
// fills nothing if the two name different hosts. It leaves the container alone if
// they name different containers, and the process with its user and file if they
// name different processes: half of one and half of another is a target that no
// event reported.
func (i *Incident) FillFrom(other *Incident) []string {
	if len(i.Host.Differences(other.Host)) > 0 {
		return nil
	}
	sameContainer := agree(i, other, "container.id")
	sameProcess := sameContainer && agree(i, other, "process.pid", "process.name", "process.cmdline")
	var filled []string
	for _, f := range fields {
		group, _, _ := strings.Cut(f.path, ".")
		switch group {
		case "container":
			if !sameContainer {
				continue
			}
		case "process", "file", "user":
			if !sameProcess {
				continue
			}
		}
		if f.set == nil {
			continue
		}
		if value := f.get(other); value != "" && f.get(i) == "" && f.set(i, value) == nil {
			filled = append(filled, f.path)
		}
	}
	return filled
}

// agree reports whether none of the paths has different values in a and b.
func agree(a, b *Incident, paths ...string) bool {
	for _, path := range paths {
		left, _ := a.Field(path)
		right, _ := b.Field(path)
		if left != "" && right != "" && left != right {
			return false
		}
	}
	return true
}

func checkMAC(v string) (string, error) {
	mac, ok := parseMAC(v)
	if !ok {
		return "", fmt.Errorf("value %q: want a MAC address, like 42:01:0a:80:00:05", v)
	}
	return mac, nil
}

func checkContainerID(v string) (string, error) {
	id := shortContainerID(v)
	if id == "" {
		return "", fmt.Errorf("value %q means the host itself: want a container ID, like 6949e5f10829", v)
	}
	return id, nil
}

func getPID(i *Incident) string {
	if i.Process.PID == 0 {
		return ""
	}
	return strconv.FormatInt(i.Process.PID, 10)
}

func setPID(i *Incident, v string) error {
	pid, err := strconv.ParseInt(v, 10, 64)
	if err != nil || pid <= 0 {
		return fmt.Errorf("value %q: want the number of a process on the host, 1 or more", v)
	}
	i.Process.PID = pid
	return nil
}
