package incident_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/signals"
)

var noValues = []string{
	"", " ", "<NA>", "<na>", " <NA> ", "&lt;NA&gt;", "&amp;lt;NA&amp;gt;", "&#60;NA&#62;", `\u003cNA\u003e`, `\\u003cNA\\u003e`, `\x3cNA\x3e`, "%3CNA%3E",
	"null", "NULL", "Null", "(null)", "<null>", "nil", "<nil>", "none", "None", "<none>", "N/A", "n/a", `n\/a`, "-", "--", "–", " - ", "unknown", "UNKNOWN",
	"<unknown>", "undefined", `"null"`, "'none'", "\tnull\n", "[]",
}

// names that only look like words for "no value".
var values = []string{"na", "nulls", "none-1", "unknown-host", "n-a", "null.example.com", "a-"}

// identifying are the identifying fields of each sender's message, by path.
var identifying = []string{
	"host.id", "host.name", "host.mac", "host.agent_id", "container.id", "container.name", "container.image", "kubernetes.cluster",
	"kubernetes.namespace", "kubernetes.pod", "kubernetes.node", "kubernetes.workload_name", "cloud.account", "cloud.region", "process.pid",
	"process.name", "process.exe", "process.sha256", "file.path", "user", "tenant.id", "policy.id", "policy.name", "rule.name",
}

// everywhere is each sender's message with one value in every identifying field,
// and another in every free text.
func everywhere(t *testing.T, value, free any) map[string][]byte {
	t.Helper()
	labels, fields := map[string]any{}, map[string]any{}
	for _, key := range []string{
		"host.id", "host.hostName", "host.mac", "container.name", "container.id", "container.image.repo", "kubernetes.cluster.name", "kubernetes.namespace.name",
		"kubernetes.pod.name", "kubernetes.node.name", "kubernetes.workload.name", "aws.accountId", "aws.region",
	} {
		labels[key] = value
	}
	for _, key := range []string{
		"container.id", "container.name", "container.image.repository", "k8s.ns.name", "k8s.pod.name", "proc.pid", "proc.name", "proc.exepath",
		"proc.hash.sha256", "fd.name", "user.name", "falco.rule",
	} {
		fields[key] = value
	}
	fields["proc.cmdline"], fields["proc.cwd"] = free, free
	pairs := func(m map[string]any) (list []any) {
		for k, v := range m {
			list = append(list, map[string]any{"key": k, "value": v})
		}
		return list
	}
	envelope := func(more map[string]any) map[string]any {
		m := map[string]any{
			"id": "1", "severity": 3, "timestamp": 1720031001639981110, "name": value, "policyId": value, "agentId": value, "containerId": value,
			"machineId": value, "hostMac": value, "customerId": value, "ruleName": value, "output": free,
		}
		maps.Copy(m, more)
		return m
	}
	content := map[string]any{"ruleName": value, "policyId": value, "fields": fields, "output": free}
	bodies := map[string][]byte{}
	for adapter, message := range map[string]map[string]any{
		"sysdig-forwarder": envelope(map[string]any{"type": "policy", "originator": "policy", "labels": labels, "content": content}),
		"sysdig-event":     envelope(map[string]any{"originator": "policy", "timestamp": "2024-07-03T18:23:21.639Z", "labels": labels, "content": content}),
		"sysdig-legacy":    envelope(map[string]any{"fields": pairs(fields), "eventLabels": pairs(labels)}),
		"sysdig-notification": {
			"alert": map[string]any{"severity": 3}, "state": "ACTIVE", "timestamp": 1720031001639981,
			"entities": []any{map[string]any{"policyEvents": []any{envelope(map[string]any{"fields": fields, "eventLabels": labels})}}},
		},
		"falco": {"rule": value, "priority": "Error", "source": "syscall", "hostname": value, "time": "2026-05-25T13:44:05Z", "output": free, "output_fields": fields},
	} {
		body, err := json.Marshal(message)
		require.NoError(t, err)
		bodies[adapter] = body
	}
	return bodies
}

func TestWordsForNoValueAreAbsentInEveryAdapter(t *testing.T) {
	t.Parallel()
	for _, word := range noValues {
		for adapter, body := range everywhere(t, word, word) {
			events, err := incident.Parse(body)
			require.NoError(t, err)
			require.Len(t, events, 1)
			require.Equal(t, adapter, events[0].Adapter)
			i := &events[0].Incident
			require.Equal(t, identifying, i.Missing(identifying...), "%s: %q", adapter, word)
			require.False(t, i.HostLevel, "%s: %q", adapter, word)
			require.Equal(t, []string{"rule.name"}, events[0].Lacks)
			if strings.TrimSpace(word) != "" && word != "<NA>" {
				require.Equal(t, word, i.Output, "free text stays as it is")
				require.Equal(t, word, i.Process.Cmdline)
				require.Equal(t, word, i.Process.Cwd)
			}
			require.NotEmpty(t, signals.WorkflowID(&incident.Route{Playbook: "capture"}, "", i))
			require.Empty(t, i.Lookup("fields.container.name"), "a parameter never gets the word")
			for _, path := range incident.AmendablePaths() {
				if path != "process.cmdline" && path != "process.cwd" {
					require.Error(t, new(incident.Incident).SetField(path, word), "%s: %q", path, word)
				}
			}
		}
	}
	for _, value := range values {
		for adapter, body := range everywhere(t, value, "x") {
			i := one(t, body)
			require.Equal(t, value, i.Rule.Name, adapter)
			require.Equal(t, value, i.Kubernetes.Pod, "%s: %q", adapter, value)
			require.Equal(t, value, i.User)
		}
	}
}

func TestIdentifierOfAnotherShapeIsAbsentAndRefused(t *testing.T) {
	t.Parallel()
	digits := strings.Repeat("0123456789abcdef", 5)
	for path, test := range map[string]struct{ good, bad []string }{
		"container.id": {
			[]string{digits[:12], digits[:13], digits[:64], strings.ToUpper(digits[:12]), digits[:32] + "-3069328372", "containerd://" + digits[:64], " " + digits[:12]},
			[]string{digits[:11], digits[:65], "web", "6949e5f1082g", digits[:32] + "-", digits[:32] + "-12a", digits[:31] + "-12", digits[:33] + "-12", "6949e5f10829 or true", `6949e5f10829"`, "host"},
		},
		"process.pid": {
			[]string{"1", "100480", "100480.0", "1.0048e5", "1e5", "100480.000000", " 7 "},
			[]string{"0", "-1", "1.5", "4294967295", "9223372036854775807", "18446744073709551615", "1e300", "0x10", "pid"},
		},
		"host.mac": {
			[]string{"42:01:0a:80:00:05", "42-01-0A-80-00-05", "4201.0a80.0005", "42010a800005", "k8s-worker-1-52:54:00:12:34:56"},
			[]string{"42:01:0a:80:00", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "i-0eee5555", "x y-52:54:00:12:34:56", "42:01:0a:80:00:0g"},
		},
		"host.name":      {[]string{"node-1", "node-1.example.com", "NODE_1", "fe80::1"}, []string{"node 1", "node\n1", `node"1`, strings.Repeat("n", 254), "<node>"}},
		"host.agent_id":  {[]string{"13530", "13530.0"}, []string{"0", "-1", "agent", "1.5"}},
		"process.sha256": {[]string{digits[:64], strings.ToUpper(digits[:64])}, []string{digits[:63], "sha256:" + digits[:64], "x"}},
		"file.path":      {[]string{"/etc/shadow", `C:\x\y.dll`, "/tmp/a b"}, []string{"etc/shadow", "/tmp/a\nb", "pipe:[1]"}},
		"process.start_time": {
			[]string{"1720031001639981110", "1720031001639981110.0"}, []string{"0", "-1", "1720031001", "1720031001639", "9223372036854775807", "now"},
		},
		"kubernetes.pod": {[]string{"web-1", "kube-proxy.gke"}, []string{"web 1", "web\t1"}},
		"cloud.account":  {[]string{"111122223333", "acme", "example.okta.com"}, []string{"a b"}},
		"user":           {[]string{"root", "Jane Doe", "arn:aws:iam::1:user/eve"}, []string{"a\nb", "a\x00b"}},
	} {
		for _, v := range test.good {
			require.NoError(t, new(incident.Incident).SetField(path, v), "%s: %q", path, v)
		}
		for _, v := range test.bad {
			before := incident.Incident{Host: incident.Host{Name: "h"}, Container: incident.Container{ID: "aaaaaaaaaaaa"}}
			after := before
			require.Error(t, after.SetField(path, v), "%s: %q", path, v)
			require.Equal(t, before, after)
		}
	}
	for _, bad := range []string{"web", "6949e5f1082g", digits[:65], "0", "../../etc", "6949e5f10829 or true"} {
		for adapter, body := range everywhere(t, bad, "x") {
			i := one(t, body)
			require.Equal(t, []string{"container.id", "process.pid", "host.mac", "process.sha256", "file.path"}, i.Missing("container.id", "process.pid", "host.mac", "process.sha256", "file.path"), "%s: %q", adapter, bad)
			require.True(t, i.ContainerUnknown(), "%s: %q", adapter, bad)
		}
	}
}

// What an event says of its container: one, none, or nothing that can be relied on.
func TestHostLevelOnlyOnPositiveStatement(t *testing.T) {
	t.Parallel()
	const id = "6949e5f10829"
	falco := func(fields string) []byte {
		return fmt.Appendf(nil, `{"hostname":"node-1","rule":"r","priority":"Error","source":"syscall","time":"2026-05-25T13:44:05Z","output_fields":{"proc.name":"sh"%s}}`, fields)
	}
	forwarder := func(containerID, fields, labels, more string) []byte {
		return fmt.Appendf(nil, `{"id":"1","type":"policy","originator":"policy","source":"syscall","severity":3,"timestamp":1720031001639981110,"machineId":"42:01:0a:80:00:05"%s%s,`+
			`"content":{"ruleName":"r","fields":{"proc.name":"sh"%s}},"labels":{"host.hostName":"node-1"%s}}`, containerID, more, fields, labels)
	}
	for name, test := range map[string]struct {
		body []byte
		want string // "host", "unknown", "unknown@…" or an ID
	}{
		"Falco's word":                       {falco(`,"container.id":"host","container.name":"host"`), "host"},
		"Falco's word in capitals":           {falco(`,"container.id":"HOST"`), "host"},
		"Falco's word, name rewritten":       {falco(`,"container_id":"host"`), "host"},
		"Falco: empty":                       {falco(`,"container.id":""`), "unknown"},
		"Falco: null":                        {falco(`,"container.id":null`), "unknown"},
		"Falco: not there":                   {falco(``), "unknown"},
		"Falco: <NA>":                        {falco(`,"container.id":"<NA>"`), "unknown"},
		"Falco: unreadable":                  {falco(`,"container.id":"web"`), "unknown"},
		"Falco: an object":                   {falco(`,"container.id":{"a":1}`), "unknown"},
		"Falco: a list":                      {falco(`,"container.id":["` + id + `"]`), "unknown"},
		"Falco: name only":                   {falco(`,"container.name":"web"`), "unknown@web"},
		"Falco: name of the host only":       {falco(`,"container.name":"host"`), "unknown"},
		"Falco: pod only":                    {falco(`,"k8s.ns.name":"shop","k8s.pod.name":"web-1"`), "unknown@shop@web-1"},
		"Falco: a pod named host":            {falco(`,"k8s.ns.name":"shop","k8s.pod.name":"host"`), "unknown@shop@host"},
		"Falco: underscores":                 {falco(`,"container_id":"` + id + `"`), id},
		"Falco: nested":                      {falco(`,"container":{"id":"` + id + `"}`), id},
		"Falco: hyphens and capitals":        {falco(`,"Container-ID":"` + id + `"`), id},
		"Falco: camel case":                  {falco(`,"containerId":"` + id + `"`), id},
		"Falco: full ID elsewhere":           {falco(`,"container.full_id":"` + id + strings.Repeat("0", 52) + `"`), id},
		"Falco: two rewritten names differ":  {falco(`,"container_id":"` + id + `","container-id":"aaaaaaaaaaaa"`), "unknown"},
		"Falco: two rewritten names agree":   {falco(`,"container_id":"` + id + `","container-id":"` + id + `"`), id},
		"Falco: one of two names is empty":   {falco(`,"container_id":"null","container-id":"` + id + `"`), id},
		"Falco: ID and host":                 {falco(`,"container.id":"host","container.full_id":"` + id + `"`), "unknown"},
		"forwarder: empty":                   {forwarder(`,"containerId":""`, ``, ``, ``), "host"},
		"forwarder: empty, Falco's word":     {forwarder(`,"containerId":""`, `,"container.id":"host"`, ``, ``), "host"},
		"forwarder: not there":               {forwarder(``, ``, ``, ``), "unknown"},
		"forwarder: null":                    {forwarder(`,"containerId":null`, ``, ``, ``), "unknown"},
		"forwarder: <NA>":                    {forwarder(`,"containerId":"<NA>"`, ``, ``, ``), "unknown"},
		"forwarder: blank":                   {forwarder(`,"containerId":" "`, ``, ``, ``), "unknown"},
		"forwarder: not there, Falco's word": {forwarder(``, `,"container.id":"host"`, ``, ``), "host"},
		"forwarder: empty, with a name":      {forwarder(`,"containerId":""`, ``, `,"container.name":"web"`, ``), "unknown@web"},
		"forwarder: empty, with an image":    {forwarder(`,"containerId":""`, ``, `,"container.image.repo":"nginx"`, ``), "unknown"},
		"forwarder: empty, with a pod":       {forwarder(`,"containerId":""`, ``, `,"kubernetes.pod.name":"web-1"`, ``), "unknown@@web-1"},
		"forwarder: empty, says container":   {forwarder(`,"containerId":""`, ``, ``, `,"sourceDetails":{"sourceType":"workload","sourceSubType":"container"}`), "unknown"},
		"forwarder: empty, says host":        {forwarder(`,"containerId":""`, ``, ``, `,"sourceDetails":{"sourceSubType":"host"}`), "host"},
		"forwarder: empty, unreadable field": {forwarder(`,"containerId":""`, `,"container.id":"web"`, ``, ``), "unknown"},
		"forwarder: unreadable":              {forwarder(`,"containerId":"web"`, ``, ``, ``), "unknown"},
		"forwarder: only in the field":       {forwarder(`,"containerId":""`, `,"container.id":"`+id+`"`, ``, ``), id},
		"forwarder: two IDs":                 {forwarder(`,"containerId":"`+id+`"`, `,"container.id":"aaaaaaaaaaaa"`, ``, ``), "unknown"},
		"forwarder: full and short ID":       {forwarder(`,"containerId":"`+id+`"`, `,"container.id":"`+id+strings.Repeat("0", 52)+`"`, ``, ``), id},
		"feed: host only by Falco's word": {
			[]byte(`{"id":"1","timestamp":1720031001639981110,"containerId":"","severity":3,"content":{"type":"workloadRuntimeDetection","ruleName":"r","fields":{"container.id":"host"}},"labels":{"host.hostName":"node-1"}}`), "host",
		},
		"feed: nothing said": {
			[]byte(`{"id":"1","timestamp":1720031001639981110,"containerId":"","severity":3,"content":{"type":"workloadRuntimeDetection","ruleName":"r","fields":{}},"labels":{"host.hostName":"node-1"}}`), "unknown",
		},
		"feed: says container": {
			[]byte(`{"id":"1","timestamp":1720031001639981110,"severity":3,"sourceDetails":{"type":"workload","subType":"container"},"content":{"type":"x","ruleName":"r"},"labels":{"host.hostName":"node-1"}}`), "unknown",
		},
		"legacy feed: empty": {
			[]byte(`{"id":"1","timestamp":"2024-07-03T18:23:21Z","originator":"policy","containerId":"","machineId":"42:01:0a:80:00:05","severity":3,"content":{"ruleName":"r"},"labels":{"host.hostName":"node-1"}}`), "unknown",
		},
		"legacy forwarder: empty": {
			[]byte(`{"id":"1","policyId":1,"timestamp":1720031001639981,"containerId":"","hostMac":"42:01:0a:80:00:05","severity":3,"fields":[],"eventLabels":[{"key":"host.hostName","value":"node-1"}]}`), "host",
		},
		"notification: empty": {
			[]byte(`{"alert":{"severity":3},"state":"ACTIVE","timestamp":1720031001639981,"entities":[{"policyEvents":[{"id":"1","containerId":"","hostMac":"42:01:0a:80:00:05","ruleName":"r","fields":{},"eventLabels":{"host.hostName":"node-1"}}]}]}`), "unknown",
		},
	} {
		i := one(t, test.body)
		require.Equal(t, "capture:node-1:"+test.want, signals.WorkflowID(&incident.Route{Playbook: "capture"}, "", i), name)
		require.Equal(t, test.want == "host", i.HostLevel, name)
		require.Equal(t, strings.HasPrefix(test.want, "unknown"), i.ContainerUnknown(), name)
	}
	cloud := one(t, forwarder(`,"containerId":""`, ``, ``, ``))
	require.True(t, cloud.HostLevel)
	nowhere := one(t, []byte(`{"id":"1","type":"policy","originator":"policy","severity":3,"containerId":"","machineId":"","content":{"ruleName":"r"},"labels":{}}`))
	require.False(t, nowhere.HostLevel, "no host is named")
}

// An analyst who names the container makes the event a container's.
func TestHostLevelFollowsTheContainer(t *testing.T) {
	t.Parallel()
	onHost := incident.Incident{
		ID: "e", HostLevel: true, Host: incident.Host{Name: "node-1"}, Process: incident.Process{PID: 7, StartTime: 1720031001639981110},
	}
	amended := onHost
	require.NoError(t, amended.SetField("container.id", "6949e5f10829"))
	require.False(t, amended.HostLevel)
	require.False(t, amended.ContainerUnknown())

	manual := onHost
	for _, err := range manual.Retarget([]incident.Setting{{Path: "container.id", Value: "6949e5f10829"}}) {
		require.NoError(t, err)
	}
	require.Equal(t, incident.Incident{Host: incident.Host{Name: "node-1"}, Container: incident.Container{ID: "6949e5f10829"}}, manual, "a process of the host does not belong to the container")

	elsewhere := onHost
	elsewhere.Retarget([]incident.Setting{{Path: "host.name", Value: "node-2"}})
	require.Equal(t, incident.Incident{Host: incident.Host{Name: "node-2"}}, elsewhere)

	filled := onHost
	require.Empty(t, filled.FillFrom(&incident.Incident{ID: "e", Container: incident.Container{ID: "6949e5f10829"}, User: "root"}), "the host itself gets no container")
	unknown := incident.Incident{ID: "e", Host: incident.Host{Name: "node-1"}, Container: incident.Container{Name: "web"}}
	require.Equal(t, []string{"container.id"}, unknown.FillFrom(&incident.Incident{ID: "e", Container: incident.Container{ID: "6949e5f10829", Name: "web"}}))
	named := incident.Incident{ID: "e", Container: incident.Container{Name: "web"}}
	require.Equal(t, []string{"host.name"}, named.FillFrom(&onHost), "a container's event gets no process of the host")

	other := incident.Incident{Process: incident.Process{PID: 7, StartTime: 1720031002639981110}}
	require.Empty(t, other.FillFrom(&incident.Incident{Process: incident.Process{PID: 7, StartTime: 1720031001639981110, Name: "sh"}}), "the number was used again")
	same := incident.Incident{Process: incident.Process{PID: 7}}
	require.Equal(t, []string{"process.start_time"}, same.FillFrom(&incident.Incident{Process: incident.Process{PID: 7, StartTime: 1720031001639981110}}))
	require.NoError(t, same.SetField("process.pid", "8"))
	require.Zero(t, same.Process.StartTime, "another process started at another time")
}

func TestStartTimeIsReadWhereItIsPlausible(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{
		"1720031000000000000": 1720031000000000000, "1720031000000000000.000000": 1720031000000000000, "1.72e18": 1720000000000000000,
		"0": 0, "-1": 0, "<NA>": 0, "1720031000": 0, "1720031000000": 0, "1790000000000000000": 0, "yesterday": 0,
	} {
		i := one(t, forwarded(t, func(e, _, f, _ map[string]any) {
			e["timestamp"] = json.Number("1720031001639981110")
			f["proc.pid"], f["proc.pid.ts"] = "7", value
		}))
		require.Equal(t, want, i.Process.StartTime, value)
		require.EqualValues(t, 7, i.Process.PID)
	}
	alone := one(t, forwarded(t, func(_, _, f, _ map[string]any) { f["proc.pid.ts"] = "1720031000000000000" }))
	require.Zero(t, alone.Process.StartTime, "of no process")
}

// Events out of a log are about what the log records, not about its reader.
func TestLogEventsCorrelateByWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ source, fields, user, id string }{
		"exec into a pod":          {"k8s_audit", `"ka.user.name":"ann","ka.target.name":"web-1","ka.target.namespace":"shop","ka.target.resource":"pods"`, "ann", "shop:web-1"},
		"exec, source filled in":   {"syscalls", `"ka.user.name":"ann","ka.target.name":"web-1","ka.target.namespace":"shop","ka.target.resource":"pods"`, "ann", "shop:web-1"},
		"exec, names rewritten":    {"syscall", `"ka_user_name":"ann","ka_target_name":"web-1","ka_target_namespace":"shop","ka_target_resource":"pods"`, "ann", "shop:web-1"},
		"port-forward":             {"k8s_audit", `"ka.user.name":"ann","ka.target.name":"web-1","ka.target.namespace":"shop","ka.target.subresource":"portforward"`, "ann", "shop:web-1"},
		"privileged pod":           {"k8s_audit", `"ka.user.name":"ann","ka.resp.name":"web-1","ka.target.namespace":"shop","ka.req.pod.containers.image":"(nginx)"`, "ann", "shop:web-1"},
		"pod of a known cluster":   {"k8s_audit", `"ka.user.name":"ann","ka.target.pod.name":"web-1","ka.target.namespace":"shop","ka.cluster.name":"prod"`, "ann", "prod:shop:web-1"},
		"a role binding":           {"k8s_audit", `"ka.user.name":"ann","ka.target.name":"admins","ka.target.resource":"clusterrolebindings"`, "ann", "unknown:clusterrolebindings_admins_3cc94222"},
		"a service":                {"k8s_audit", `"ka.user.name":"ann","ka.target.name":"web","ka.target.namespace":"shop","ka.target.resource":"services"`, "ann", "shop:services_web_ae4b4ef8"},
		"anonymous request":        {"k8s_audit", `"ka.user.name":"system:anonymous","ka.verb":"get","ka.uri":"/healthz"`, "system:anonymous", "user:system:anonymous"},
		"CloudTrail":               {"aws_cloudtrail", `"ct.user":"ann","ct.recipientaccountid":"111122223333","ct.srcip":"192.0.2.1"`, "ann", "111122223333:ann"},
		"CloudTrail of root":       {"aws_cloudtrail", `"ct.user":"<NA>","ct.user.arn":"arn:aws:iam::1:root","ct.srcip":"192.0.2.1"`, "arn:aws:iam::1:root", "aws:arn:aws:iam::1:root"},
		"GCP":                      {"gcp_auditlog", `"gcp.user":"ann@example.com","gcp.projectId":"shop","gcp.callerIP":"192.0.2.1"`, "ann@example.com", "shop:ann@example.com"},
		"Azure":                    {"azure_platformlogs", `"jevt.value[/properties/initiatedBy/user/userPrincipalName]":"ann@example.com"`, "ann@example.com", "azure:ann@example.com"},
		"Okta by login":            {"okta", `"okta.actor.name":"Ann","okta.actor.alternateid":"ann@example.com"`, "ann@example.com", "okta:ann@example.com"},
		"Okta, source filled in":   {"syscalls", `"okta.actor.name":"ann"`, "ann", "okta:ann"},
		"GitHub organisation":      {"github", `"github.user":"ann","github.org":"acme","github.repo.url":"https://github.example.com/acme/shop"`, "ann", "acme:ann"},
		"GitHub repository":        {"github", `"github.repo.url":"shop.example.com"`, "", "github:shop.example.com"},
		"GitLab":                   {"gitlab", `"gitlab.author_email":"ann@example.com","gitlab.author_name":"Ann"`, "ann@example.com", "gitlab:ann@example.com"},
		"Box":                      {"box", `"box.userlogin":"ann@example.com","box.username":"Ann"`, "ann@example.com", "box:ann@example.com"},
		"Keycloak":                 {"keycloak", `"keycloak.user.userID":"u-1","keycloak.realmID":"staff"`, "u-1", "staff:u-1"},
		"Salesforce":               {"salesforce", `"salesforce.username":"ann@example.com"`, "ann@example.com", "salesforce:ann@example.com"},
		"a plugin without a known": {"mine", `"mine.value":"x"`, "", ""},
	} {
		i := one(t, fmt.Appendf(nil, `{"hostname":"falco-pod","rule":"r","priority":"Error","source":%q,"time":"2026-05-25T13:44:05Z","output_fields":{%s}}`, test.source, test.fields))
		require.Equal(t, []string{"host.id", "host.name", "container.id"}, i.Missing("host.id", "host.name", "container.id"), name)
		require.False(t, i.HostLevel, name)
		require.Equal(t, test.user, i.User, name)
		if test.id == "" {
			test.id = "event:" + i.ID
		}
		require.Equal(t, "capture:"+test.id, signals.WorkflowID(&incident.Route{Playbook: "capture"}, "", i), name)
	}
	sysdig := one(t, forwarded(t, func(e, _, f, l map[string]any) {
		e["source"], e["containerId"], e["machineId"] = "k8s_audit", "", "42:01:0a:80:00:05"
		f["ka.user.name"], f["ka.target.name"], f["ka.target.resource"], f["ka.target.namespace"] = "ann", "web-1", "pods", "shop"
		l["host.hostName"] = "node-of-the-agent"
	}))
	require.Zero(t, sysdig.Host, "the agent that reads the log is no target")
	require.False(t, sysdig.HostLevel)
	require.Equal(t, "pod shop/web-1", sysdig.Target())

	for name, fields := range map[string]string{
		"nothing else":     `"aws_region":"eu-1","github.team":"red","azure":{"group":"x"}`,
		"a container":      `"container.id":"a4c8e0200041","gcp.projectId":"shop","github.repo":"acme/shop"`,
		"a file or socket": `"fd.name":"/etc/shadow","gitlab.entity_path":"acme","github.repo":"acme/shop"`,
	} {
		i := one(t, fmt.Appendf(nil, `{"hostname":"worker-01","rule":"r","priority":"Error","source":"syscall","time":"2026-05-25T13:44:05Z","output_fields":{%s}}`, fields))
		require.Equal(t, "worker-01", i.Host.Name, "an operator adds fields of a cloud to an alert with %s", name)
	}

	process := one(t, []byte(`{"rule":"r","priority":"Error","source":"syscall","time":"2026-05-25T13:44:05Z","output_fields":{"proc.name":"sh","user.name":"root"}}`))
	require.Equal(t, "capture:event:"+process.ID, signals.WorkflowID(&incident.Route{Playbook: "capture"}, "", process), "root of one machine is not root of another")
}

// The legacy feed's items, as stix-shifter records them.
func TestLegacyFeedItemIsRead(t *testing.T) {
	t.Parallel()
	item := map[string]any{
		"id": "17dec36048564c002c559dbdad20be41", "cursor": "abc", "timestamp": "2023-11-01T17:15:14.635115435Z", "customerId": 10000, "originator": "policy",
		"category": "runtime", "source": "syscall", "name": "Notable", "description": "d", "severity": 3, "agentId": 111111, "containerId": "8dd62ca5ca80",
		"machineId": "10:10:10:10:10:aa",
		"content": map[string]any{
			"ruleName": "Launch Sensitive Mount Container", "policyId": 111000, "ruleType": 6, "ruleTags": []any{"MITRE_T1611_escape_to_host", "MITRE_TA0002_execution"},
			"fields": map[string]any{"proc.pid": "-1", "proc.anames": []any{}, "container.id": "8dd62ca5ca80"},
		},
		"labels": map[string]any{"host.hostName": "node-1"},
	}
	body, err := json.Marshal(map[string]any{"data": []any{item}, "page": map[string]any{"prev": "x"}})
	require.NoError(t, err)
	events, err := incident.Parse(body)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "sysdig-event", events[0].Adapter)
	require.Empty(t, events[0].Lacks)
	i := events[0].Incident
	require.Equal(t, incident.Host{Name: "node-1", MAC: "10:10:10:10:10:aa", AgentID: "111111"}, i.Host)
	require.Equal(t, "8dd62ca5ca80", i.Container.ID)
	require.Equal(t, "10000", i.Tenant.ID)
	require.Equal(t, "17dec36048564c002c559dbdad20be41", i.ID)
	require.Equal(t, "RULE_TYPE_FALCO", i.Rule.Type)
	require.Equal(t, 635115435, i.OccurredAt.Nanosecond())
	require.Equal(t, incident.Mitre{Tactics: []string{"execution"}, Techniques: []string{"T1611"}}, i.Mitre)
	require.Zero(t, i.Process.PID)

	delete(item["content"].(map[string]any), "ruleName")
	body, err = json.Marshal(item)
	require.NoError(t, err)
	events, err = incident.Parse(body)
	require.NoError(t, err)
	require.Equal(t, "sysdig-event", events[0].Adapter, "policyId is enough")
	item["source"] = "auditTrail"
	body, err = json.Marshal(item)
	require.NoError(t, err)
	events, err = incident.Parse(body)
	require.NoError(t, err)
	require.Contains(t, events[0].Ignored, "auditTrail")
}

func TestTagsNameTacticsAndTechniques(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]incident.Mitre{
		"T1496,mitre_impact,host":                                     {Tactics: []string{"impact"}, Techniques: []string{"T1496"}},
		"MITRE_T1496_resource_hijacking,MITRE_TA0040_impact,MITRE":    {Tactics: []string{"impact"}, Techniques: []string{"T1496"}},
		"MITRE_T1552.001_credentials_in_files,T1552":                  {Techniques: []string{"T1552", "T1552.001"}},
		"MITRE_TA0002_execution,mitre_execution,MITRE_PERSISTENCE":    {Tactics: []string{"execution", "persistence"}},
		"mitre_command_and_control,MITRE-T1059":                       {Tactics: []string{"command_and_control"}, Techniques: []string{"T1059"}},
		"NIST_800-53_AC-6(10),PCI_DSS_10.2.7,maturity_stable,T14,T-1": {},
		"MITRE_TA0099_new,XT1496,T14961":                              {Tactics: []string{"TA0099"}},
	} {
		i := incident.Incident{Rule: incident.Rule{Tags: strings.Split(tags, ",")}}
		i.Derive()
		require.Equal(t, want, i.Mitre, tags)
	}
	router, err := incident.NewRouter([]incident.Route{route("miners", `"T1496" in incident.mitre.techniques && "impact" in incident.mitre.tactics`)})
	require.NoError(t, err)
	match, _ := router.Match(one(t, payload(t, "falco-stratum.json")))
	require.NotNil(t, match)
}

func TestEventSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(e, c map[string]any)
		want   []string
	}{
		"nothing":               {func(_, _ map[string]any) {}, nil},
		"no rule":               {func(_, c map[string]any) { delete(c, "ruleName") }, []string{"rule.name"}},
		"a severity of another": {func(e, _ map[string]any) { e["severity"] = 60 }, []string{"severity"}},
		"nothing at all":        {func(e, c map[string]any) { delete(c, "ruleName"); delete(e, "severity"); delete(e, "timestamp") }, []string{"rule.name", "severity", "occurred_at"}},
	} {
		events, err := incident.Parse(forwarded(t, func(e, c, _, _ map[string]any) {
			e["timestamp"] = json.Number("1720031001639981110")
			test.change(e, c)
		}))
		require.NoError(t, err)
		require.Equal(t, test.want, events[0].Lacks, name)
	}
}

// Sysdig's older payloads have arrays of pairs where the newer have objects.
func TestPairsAreReadLikeObjects(t *testing.T) {
	t.Parallel()
	const labels, fields = `{"host.hostName":"node-1","kubernetes.deployment.name":"cart"}`, `{"container.id":"6949e5f10829","falco.rule":"r"}`
	const rewritten = `{"container_id":"6949e5f10829","falco_rule":"r"}`
	const labelPairs, fieldPairs = `[{"key":"host.hostName","value":"node-1"},{"key":"kubernetes.deployment.name","value":"cart"}]`,
		`[{"key":"container.id","value":"6949e5f10829"},{"key":"falco.rule","value":"r"}]`
	for adapter, format := range map[string]string{
		"sysdig-forwarder":    `{"id":"1","type":"policy","originator":"policy","severity":3,"timestamp":1720031001639981110,"content":{"fields":%s},"labels":%s}`,
		"sysdig-notification": `{"alert":{"severity":3},"state":"ACTIVE","timestamp":1720031001639981,"entities":[{"policyEvents":[{"id":"1","fields":%s,"eventLabels":%s}]}]}`,
		"sysdig-legacy":       `{"id":"1","policyId":1,"severity":3,"timestamp":1720031001639981,"fields":%s,"eventLabels":%s}`,
	} {
		for _, shapes := range [][]any{{fields, labelPairs}, {fieldPairs, labels}, {fieldPairs, labelPairs}, {fields, labels}, {rewritten, labels}} {
			events, err := incident.Parse(fmt.Appendf(nil, format, shapes...))
			require.NoError(t, err)
			require.Equal(t, adapter, events[0].Adapter)
			require.Empty(t, events[0].Lacks)
			i := events[0].Incident
			require.Equal(t, []string{"node-1", "6949e5f10829", "r", "cart", "deployment"},
				[]string{i.Host.Name, i.Container.ID, i.Rule.Name, i.Kubernetes.WorkloadName, i.Kubernetes.WorkloadType}, adapter)
		}
	}
	i := one(t, []byte(`{"id":"1","policyId":1,"severity":3,"timestamp":1720031001639981,"containerId":"","fields":{},"eventLabels":{"host.hostName":"node-1"}}`))
	require.True(t, i.ContainerUnknown(), "it may be a policy event of a notification")
}
