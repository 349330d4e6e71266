package incident

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
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

// textField is free text, which analysts may set to any text.
func textField(path string, at func(*Incident) *string) field {
	return field{
		path: path,
		get:  func(i *Incident) string { return *at(i) },
		set: func(i *Incident, v string) error {
			*at(i) = v
			return nil
		},
	}
}

// shapedField is an identifier of some shape. The same check holds for the values
// of events, which lack the field when it fails.
func shapedField(path string, at func(*Incident) *string, of shape) field {
	return field{
		path: path,
		get:  func(i *Incident) string { return *at(i) },
		set: func(i *Incident, v string) error {
			v = identifier(v)
			if v == "" {
				return errNoValue
			}
			kept, err := of(v)
			if err == nil {
				*at(i) = kept
			}
			return err
		},
	}
}

// errNoValue refuses a word for "no value" as an identifier.
var errNoValue = errors.New("the value means that it is absent; expected an identifier")

// numberField is a whole number; 0 is absence.
func numberField(path string, at func(*Incident) *int64, set func(*Incident, string) error) field {
	return field{
		path: path,
		get: func(i *Incident) string {
			if *at(i) == 0 {
				return ""
			}
			return strconv.FormatInt(*at(i), 10)
		},
		set: set,
	}
}

// readField is a field that only the event may tell.
func readField(path string, get func(*Incident) string) field { return field{path: path, get: get} }

// fields lists the scalar fields in the order of Incident; nothing changes it.
var fields = []field{
	readField("id", func(i *Incident) string { return i.ID }),
	readField("source", func(i *Incident) string { return i.Source }),
	shapedField("tenant.id", func(i *Incident) *string { return &i.Tenant.ID }, number),
	shapedField("tenant.name", func(i *Incident) *string { return &i.Tenant.Name }, line),
	readField("rule.name", func(i *Incident) string { return i.Rule.Name }),
	readField("rule.type", func(i *Incident) string { return i.Rule.Type }),
	readField("policy.id", func(i *Incident) string { return i.Policy.ID }),
	readField("policy.name", func(i *Incident) string { return i.Policy.Name }),
	readField("severity", func(i *Incident) string { return strconv.Itoa(int(i.Severity)) }),
	readField("severity_label", func(i *Incident) string { return i.SeverityLabel }),
	readField("priority", func(i *Incident) string { return string(i.Priority) }),
	readField("output", func(i *Incident) string { return i.Output }),
	readField("event_url", func(i *Incident) string { return i.EventURL }),
	shapedField("host.id", func(i *Incident) *string { return &i.Host.ID }, name),
	shapedField("host.name", func(i *Incident) *string { return &i.Host.Name }, name),
	shapedField("host.mac", func(i *Incident) *string { return &i.Host.MAC }, macAddress),
	shapedField("host.agent_id", func(i *Incident) *string { return &i.Host.AgentID }, number),
	{path: "container.id", get: func(i *Incident) string { return i.Container.ID }, set: setContainerID},
	shapedField("container.name", func(i *Incident) *string { return &i.Container.Name }, name),
	shapedField("container.image", func(i *Incident) *string { return &i.Container.Image }, name),
	shapedField("container.tag", func(i *Incident) *string { return &i.Container.Tag }, name),
	shapedField("container.image_id", func(i *Incident) *string { return &i.Container.ImageID }, name),
	shapedField("kubernetes.cluster", func(i *Incident) *string { return &i.Kubernetes.Cluster }, name),
	shapedField("kubernetes.namespace", func(i *Incident) *string { return &i.Kubernetes.Namespace }, name),
	shapedField("kubernetes.pod", func(i *Incident) *string { return &i.Kubernetes.Pod }, name),
	shapedField("kubernetes.node", func(i *Incident) *string { return &i.Kubernetes.Node }, name),
	shapedField("kubernetes.workload_name", func(i *Incident) *string { return &i.Kubernetes.WorkloadName }, name),
	shapedField("kubernetes.workload_type", func(i *Incident) *string { return &i.Kubernetes.WorkloadType }, name),
	readField("kubernetes.resource", func(i *Incident) string { return i.Kubernetes.Resource }),
	shapedField("cloud.provider", func(i *Incident) *string { return &i.Cloud.Provider }, name),
	shapedField("cloud.account", func(i *Incident) *string { return &i.Cloud.Account }, name),
	shapedField("cloud.region", func(i *Incident) *string { return &i.Cloud.Region }, name),
	shapedField("cloud.instance", func(i *Incident) *string { return &i.Cloud.Instance }, name),
	readField("cloud.resource", func(i *Incident) string { return i.Cloud.Resource }),
	numberField("process.pid", func(i *Incident) *int64 { return &i.Process.PID }, setPID),
	numberField("process.start_time", func(i *Incident) *int64 { return &i.Process.StartTime }, setStartTime),
	shapedField("process.name", func(i *Incident) *string { return &i.Process.Name }, line),
	textField("process.cmdline", func(i *Incident) *string { return &i.Process.Cmdline }),
	textField("process.cwd", func(i *Incident) *string { return &i.Process.Cwd }),
	shapedField("process.exe", func(i *Incident) *string { return &i.Process.Exe }, line),
	shapedField("process.parent", func(i *Incident) *string { return &i.Process.Parent }, line),
	shapedField("process.sha256", func(i *Incident) *string { return &i.Process.SHA256 }, sha256Digest),
	shapedField("file.path", func(i *Incident) *string { return &i.File.Path }, absolutePath),
	shapedField("user", func(i *Incident) *string { return &i.User }, line),
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

// Amendable reports whether [Incident.SetField] accepts the path.
func Amendable(path string) bool {
	f, known := findField(path)
	return known && f.set != nil
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
		return identifier(i.Fields[own])
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
		return fmt.Errorf("field %q: expected one of %s", path, strings.Join(AmendablePaths(), ", "))
	}
	value = strings.TrimSpace(value)
	if present(value) == "" {
		return fmt.Errorf("field %s: the value is empty; expected its text", path)
	}
	if len(value) > maxText {
		return fmt.Errorf("field %s: the value has %d bytes; must be at most %d", path, len(value), maxText)
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
// they name different containers, or one of them is about the host itself, and the
// process with its user and file if they name different processes: half of one and
// half of another is a target that no event reported. An incident whose container is
// unknown gets one if other names it; it does not become one of the host itself,
// because what is asked for was chosen before.
func (i *Incident) FillFrom(other *Incident) []string {
	if len(i.Host.Differences(other.Host)) > 0 {
		return nil
	}
	sameContainer := agree(i, other, "container.id") && !(i.HostLevel && !other.saysNoContainer()) && !(other.HostLevel && !i.saysNoContainer())
	sameProcess := sameContainer && agree(i, other, "process.pid", "process.name", "process.cmdline") && sameStart(i, other)
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

// saysNoContainer reports whether nothing is known of a container: the event is
// about the host itself, or says nothing of its container.
func (i *Incident) saysNoContainer() bool { return i.Container == Container{} }

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

// sameStart reports whether two processes did not start at different times. A float
// on the way rounds the nanoseconds.
func sameStart(a, b *Incident) bool {
	return a.Process.StartTime == 0 || b.Process.StartTime == 0 ||
		time.Duration(a.Process.StartTime-b.Process.StartTime).Abs() < time.Microsecond
}

// setContainerID names the container. An incident that has one is not about the
// host itself.
func setContainerID(i *Incident, v string) error {
	if strings.EqualFold(v, hostContainer) {
		return fmt.Errorf("value %q means the host itself: must be a container ID, like 6949e5f10829", v)
	}
	id, err := containerID(v)
	if err != nil {
		return err
	}
	i.Container.ID, i.HostLevel = id, false
	return nil
}

// setPID names the process. The start time of another one is forgotten.
func setPID(i *Incident, v string) error {
	pid, err := processID(v)
	if err != nil {
		return err
	}
	if pid != i.Process.PID {
		i.Process.PID, i.Process.StartTime = pid, 0
	}
	return nil
}

func setStartTime(i *Incident, v string) error {
	start, err := startTime(v)
	if err == nil {
		i.Process.StartTime = start
	}
	return err
}
