package incident

import (
	"cmp"
	"encoding/json"
	"html"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Some senders give their events no ID. The ID of an event is then a digest of
// values that stay the same on every way: directly from Falco, through falcosidekick,
// out of a SIEM, in the parsed and in the original copy of one document, from each of
// several Falco instances that read one log. The way changes the following, so none
// of it is used:
//
//   - uuid, output, source, tags, priority and message: falcosidekick draws a new
//     uuid, rewrites output and fills in an empty source; log agents use the words
//     for themselves.
//   - names: their dots, brackets, case and nesting. Values are found by
//     [properties]; fields with brackets are not used.
//   - fields beyond a small fixed set, for a sender adds its own, and drops those
//     that are null.
//   - the last digits of a time: a JSON number of nanoseconds loses up to 128 of
//     them in a float, and many stores keep milliseconds.
//   - the end of a long text, and what is not ASCII in it.
//
// What is used:
//
//   - the rule.
//   - if the log entry itself has a unique ID (uniqueFields), that and nothing else.
//   - otherwise the instant in milliseconds, see instant and milliseconds.
//   - where it happened. For an event of system calls that is the host's name, the
//     container ID (without one, the pod), and the process ID. Only if the rule prints
//     no process ID, the beginnings of the command line and of the file name count as
//     well. For an event out of a log the host is not used, because it is the one of
//     the reader; the user, the target and the action of the log entry count instead
//     (logIdentity).
//
// The price: two alerts of one rule in one millisecond that have the same values
// are one event. The kernel's clock has nanoseconds, so for system calls this takes
// two events of one process. A log with seconds (CloudTrail) gives it for two
// identical actions of one user on one target. A time that is cut to seconds
// everywhere, evt.time included, gives an alert a second ID.

// uniqueFields hold the ID of a log entry. A rule that prints one makes time and
// values superfluous.
var uniqueFields = []string{
	"ka.auditid", "ct.id", "okta.uuid", "github.delivery", "gcp.insertId", "jevt.value[/insertId]", "json.value[/insertId]",
	"gitlab.event_id", "box.eventid", "keycloak.eventID", "jevt.value[/eventID]", "jevt.value[/auditID]", "jevt.value[/uuid]",
}

// logIdentity are the fields that tell two log entries of one instant apart: who,
// what, on what, from where.
var logIdentity = append(append([]string{
	"ka.verb", "ka.target.resource", "ka.target.subresource", "ka.target.namespace", "ka.target.name", "ka.resp.name", "ka.uri",
	"ct.name", "ct.srcip", "ct.region", "ct.request.policy", "gcp.methodName", "gcp.callerIP", "okta.evt.type", "okta.client.ip",
	"github.type", "github.action", "github.webhook.id", "github.collaborator.name", "github.workflow.filename",
	"gitlab.event_type", "gitlab.ip_address", "box.eventtype", "box.ipaddress", "keycloak.user.eventType", "nomad.index",
}, userFields...), resourceFields...)

// falcoID returns the ID of a Falco alert.
func falcoID(o object, fields properties) string {
	values := []string{"falco", o.id("rule")}
	if unique := fields.id(uniqueFields...); unique != "" {
		return identityOf(append(values, unique))
	}
	at := instant(o, fields)
	if at.IsZero() {
		return o.digest() // nothing else distinguishes it from the same alert of another time
	}
	values = append(values, milliseconds(at))
	if fromLog(fields) || !fields.has(hostFields...) && !slices.Contains(hostSources, strings.ToLower(o.text("source"))) {
		return identityOf(append(values, logValues(fields)...))
	}
	pod := podIdentity(fields.id("k8s.ns.name", "k8smeta.ns.name"), fields.id("k8s.pod.name", "k8smeta.pod.name"))
	values = append(values, strings.ToLower(o.id("hostname")), cmp.Or(shaped(containerID, fields.text("container.id")), pod))
	if pid, err := processID(fields.id("proc.pid")); err == nil {
		return identityOf(append(values, strconv.FormatInt(pid, 10)))
	}
	return identityOf(append(values, "", stable(fields.text("proc.cmdline")), stable(fields.text("fd.name"))))
}

// logValues returns what tells two log entries of one instant apart. For a plugin
// that is not known these are all of its fields but Falco's own (evt.).
func logValues(fields properties) []string {
	var values []string
	for _, field := range logIdentity {
		if v := stable(fields.id(field)); v != "" {
			values = append(values, plainName(field)+"="+v)
		}
	}
	if len(values) > 0 {
		return values
	}
	for field, v := range fields.plain {
		if v = stable(v); v != "" && !strings.HasPrefix(field, "evt") {
			values = append(values, field+"="+v)
		}
	}
	slices.Sort(values)
	return values
}

// hostFields are the families of the fields of system calls.
var hostFields = []string{"proc", "thread", "container", "fd", "user"}

// sysdigID returns the ID that Sysdig gave an event, or one from its content.
func sysdigID(o object, i *Incident) string {
	if id := o.id("id"); id != "" {
		return id
	}
	if i.OccurredAt.IsZero() {
		return o.digest() // nothing else distinguishes it from the same event of another time
	}
	values := []string{
		"sysdig", i.Rule.Name, i.Policy.ID, milliseconds(i.OccurredAt), i.Host.MAC, strings.ToLower(i.Host.Name),
		cmp.Or(i.Container.ID, podIdentity(i.Kubernetes.Namespace, i.Kubernetes.Pod)),
	}
	if i.Process.PID != 0 {
		return identityOf(append(values, strconv.FormatInt(i.Process.PID, 10)))
	}
	return identityOf(append(values, "", stable(i.Process.Cmdline), stable(i.File.Path), i.Cloud.Account, i.User, i.Cloud.Resource))
}

// podIdentity stands for the container in the ID of an event that has no container ID.
// It is empty without a pod.
func podIdentity(namespace, pod string) string {
	if pod == "" {
		return ""
	}
	return strings.ToLower(namespace + "/" + pod)
}

func identityOf(values []string) string {
	canonical, err := json.Marshal(values)
	if err != nil {
		return "" // texts always encode
	}
	return digest(canonical)
}

// milliseconds returns an instant in Unix milliseconds, rounded down. Half a
// microsecond is added before, so that a whole number of milliseconds that a float
// made a few nanoseconds smaller keeps its value.
func milliseconds(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Add(500*time.Nanosecond).UnixMilli(), 10)
}

// instant returns when an alert's event happened. evt.time says it in nanoseconds,
// and is Falco's alone; time says it as text, and log agents replace it with their
// own. So evt.time counts, unless it is absent or lost digits that time still has:
// the two are less than a millisecond apart then.
func instant(o object, fields properties) time.Time {
	textual := parseTime(o.text("time"))
	numeric := eventTime(fields.id("evt.time", "evt.time.iso8601", "evt.rawtime"))
	switch {
	case numeric.IsZero():
		return textual
	case textual.IsZero():
		return numeric
	case textual.Sub(numeric).Abs() < time.Millisecond && digitsOf(textual) >= digitsOf(numeric):
		return textual
	default:
		return numeric
	}
}

// digitsOf returns how many digits of its second an instant has.
func digitsOf(t time.Time) int {
	return len(strings.TrimRight(strconv.Itoa(1e9+t.Nanosecond()), "0")) - 1
}

// eventTime reads Falco's time of an event: nanoseconds, also as a float ("1.79e18",
// "1790332649000000000.000000"), or a text of ISO 8601. A float of so few digits
// that seconds are lost is absence.
func eventTime(v string) time.Time {
	if t := parseTime(v); !t.IsZero() {
		return t
	}
	number, ok := new(big.Float).SetPrec(128).SetString(v)
	if !ok || !number.IsInt() || number.Cmp(big.NewFloat(1<<62)) >= 0 {
		return time.Time{}
	}
	if mantissa, _, float := strings.Cut(strings.ToLower(v), "e"); float && len(without(mantissa, ".-+")) < len("1790332649") {
		return time.Time{}
	}
	n, _ := number.Int64()
	return unixTime(n)
}

// stableText bounds how much of a text identifies an event. falcosidekick cuts the
// texts of a large alert after 507 bytes, others earlier.
const stableText = 64

// stable returns what is left of a text on every way: the letters and digits of its
// beginning, up to the first character that is not ASCII. A whole number that was
// written as a float is the number.
func stable(s string) string {
	s = identifier(html.UnescapeString(s))
	if n, whole := integer(s); whole {
		return strconv.FormatInt(n, 10)
	}
	s = s[:min(len(s), stableText)]
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return -1
		}
	}, asciiStart(s))
}

// asciiStart returns s up to its first character that is not ASCII.
func asciiStart(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return s[:i]
		}
	}
	return s
}
