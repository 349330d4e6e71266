package incident_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

// The alerts whose identity is tested: system calls with and without a process ID,
// and logs with nanoseconds and with seconds.
var alerts = map[string]string{
	"process": `{"hostname":"worker-01","output":"o","priority":"Critical","rule":"Miner","source":"syscall","tags":["T1496"],"time":"2026-05-25T13:44:05.478445995Z",
		"output_fields":{"container.id":"a4c8e0200041","container.name":null,"evt.time":1779716645478445995,"proc.aname[2]":"sh","proc.cmdline":"LONG","proc.name":"xmrig","proc.pid":100480,"user.uid":0}}`,
	"no process ID": `{"hostname":"worker-01","output":"o","priority":"Notice","rule":"Shell","source":"syscall","tags":["shell"],"time":"2026-05-25T13:44:05.478445995Z",
		"output_fields":{"container.id":"a4c8e0200041","evt.time":1779716645478445995,"k8s.ns.name":null,"proc.cmdline":"LONG","proc.pcmdline":"sh -c LONG","user.name":"root","user.loginuid":-1}}`,
	"Kubernetes audit": `{"hostname":"falco-1","output":"o","priority":"Notice","rule":"Attach/Exec Pod","source":"k8s_audit","tags":["k8s"],"time":"2025-02-10T09:29:46.302906000Z",
		"output_fields":{"evt.time":1739179786302906000,"ka.target.name":"web-1","ka.target.namespace":"shop","ka.target.resource":"pods","ka.uri.param[command]":"cat","ka.user.name":"ann","ka.response.reason":null}}`,
	"Okta": `{"hostname":"falco-2","output":"o","priority":"Notice","rule":"Locked out","source":"okta","tags":["okta"],"time":"2026-05-25T17:24:09.000000000Z",
		"output_fields":{"evt.time":1779729849000000000,"okta.actor.name":"Jane Doe","okta.client.ip":"192.0.2.44","okta.reason":null}}`,
	"CloudTrail with its ID": `{"hostname":"falco-2","output":"o","priority":"Notice","rule":"Login","source":"aws_cloudtrail","tags":["aws"],"time":"2026-05-25T17:24:09.000000000Z",
		"output_fields":{"evt.time":1779729849000000000,"ct.id":"5f1c2a9e-0000-4000-8000-000000000001","ct.user":"ann","ct.srcip":"192.0.2.44","ct.error":null}}`,
	"connection": `{"hostname":"worker-01","output":"o","priority":"Notice","rule":"Contact","source":"syscall","tags":[],"time":"2026-05-25T13:44:05.478445995Z",
		"output_fields":{"container.id":"a4c8e0200041","evt.time":1779716645478445995,"k8s.pod.name":null}}`,
	"container unknown": `{"hostname":"worker-01","output":"o","priority":"Notice","rule":"Shell","source":"syscall","tags":[],"time":"2026-05-25T13:44:05.478445995Z",
		"output_fields":{"container.id":null,"evt.time":1779716645478445995,"k8s.ns.name":"shop","k8s.pod.name":"web-1","proc.name":"sh"}}`,
	"ISO time": `{"hostname":"worker-11","output":"o","priority":"Warning","rule":"Read","source":"syscall","tags":[],"time":"2024-07-15T16:03:02.820333475Z",
		"output_fields":{"container.id":"host","evt.time.iso8601":1721059382820333475,"fd.name":"/etc/shadow","proc.cmdline":"LONG"}}`,
}

// alert decodes one of the alerts, with all digits of its numbers.
func alert(t *testing.T, name string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(strings.ReplaceAll(alerts[name], "LONG", strings.Repeat("xmrig -o stratum ", 50))))
	dec.UseNumber()
	var o map[string]any
	require.NoError(t, dec.Decode(&o))
	return o
}

// onTheWay are what senders do to an alert.
var onTheWay = map[string]func(o, f map[string]any){
	"nothing":                    func(_, _ map[string]any) {},
	"a uuid":                     func(o, _ map[string]any) { o["uuid"] = "0b1c2d3e-0000-4000-8000-000000000001" },
	"another output":             func(o, _ map[string]any) { o["output"] = "rewritten" },
	"no output and no tags":      func(o, _ map[string]any) { delete(o, "output"); delete(o, "tags") },
	"source filled in":           func(o, _ map[string]any) { o["source"] = "syscalls" },
	"source dropped":             func(o, _ map[string]any) { delete(o, "source") },
	"priority in lower case":     func(o, _ map[string]any) { o["priority"] = strings.ToLower(o["priority"].(string)) },
	"time in milliseconds":       func(o, _ map[string]any) { o["time"] = o["time"].(string)[:23] + "Z" },
	"time in microseconds":       func(o, _ map[string]any) { o["time"] = o["time"].(string)[:26] + "Z" },
	"time in seconds":            func(o, _ map[string]any) { o["time"] = o["time"].(string)[:19] + "Z" },
	"time of a log agent":        func(o, _ map[string]any) { o["time"] = "2026-12-01T10:00:00.123456789Z" },
	"time dropped":               func(o, _ map[string]any) { delete(o, "time") },
	"only milliseconds left":     func(o, f map[string]any) { o["time"] = o["time"].(string)[:23] + "Z"; dropTimes(f) },
	"event time dropped":         func(_, f map[string]any) { dropTimes(f) },
	"numbers as floats":          func(_, f map[string]any) { numbers(f, func(n float64) any { return n }) },
	"numbers as texts":           func(_, f map[string]any) { numbers(f, func(n float64) any { return fmt.Sprintf("%.0f", n) }) },
	"numbers as texts of floats": func(_, f map[string]any) { numbers(f, func(n float64) any { return fmt.Sprintf("%f", n) }) },
	"numbers with exponents": func(_, f map[string]any) {
		numbers(f, func(n float64) any { return json.Number(fmt.Sprintf("%.17e", n)) })
	},
	"fourteen digits": func(_, f map[string]any) {
		numbers(f, func(n float64) any { return json.Number(fmt.Sprintf("%.14g", n)) })
	},
	"nulls dropped":  func(_, f map[string]any) { maps.DeleteFunc(f, func(_ string, v any) bool { return v == nil }) },
	"nulls as words": func(_, f map[string]any) { replace(f, func(v any) bool { return v == nil }, "&lt;NA&gt;") },
	"bracketed fields dropped": func(_, f map[string]any) {
		maps.DeleteFunc(f, func(k string, _ any) bool { return strings.Contains(k, "[") })
	},
	"brackets renamed": func(_, f map[string]any) {
		rename(f, func(k string) string { return strings.NewReplacer("[", "_", "]", "").Replace(k) })
	},
	"dots as underscores":        func(_, f map[string]any) { rename(f, func(k string) string { return strings.ReplaceAll(k, ".", "_") }) },
	"names in capitals":          func(_, f map[string]any) { rename(f, strings.ToUpper) },
	"fields added":               func(_, f map[string]any) { f["team"], f["k8s.cluster"] = "payments", "prod" },
	"fields of a cloud added":    func(_, f map[string]any) { f["aws_region"], f["github.team"], f["gcp-project"] = "eu-1", "red", "shop" },
	"fields nested":              func(_, f map[string]any) { nest(f) },
	"texts cut by falcosidekick": func(_, f map[string]any) { cut(f, 507, "[...]") },
	"texts cut early":            func(_, f map[string]any) { cut(f, 100, "…") },
	"fields at the top":          func(o, f map[string]any) { flat(o, f) },
	"other words in other places": func(o, f map[string]any) {
		o["message"], o["kubernetes"] = "m", map[string]any{"pod": "falco-x"}
		cut(f, 256, "")
	},
}

func dropTimes(f map[string]any) {
	maps.DeleteFunc(f, func(k string, _ any) bool { return strings.HasPrefix(k, "evt.") })
}

func numbers(f map[string]any, as func(float64) any) {
	for k, v := range f {
		if n, is := v.(json.Number); is {
			float, _ := n.Float64()
			f[k] = as(float)
		}
	}
}

func replace(f map[string]any, of func(any) bool, by any) {
	for k, v := range f {
		if of(v) {
			f[k] = by
		}
	}
}

func rename(f map[string]any, as func(string) string) {
	for k, v := range maps.Clone(f) {
		delete(f, k)
		f[as(k)] = v
	}
}

func nest(f map[string]any) {
	for k, v := range maps.Clone(f) {
		at, parts := f, strings.Split(k, ".")
		if strings.Contains(k, "[") {
			continue
		}
		delete(f, k)
		for _, part := range parts[:len(parts)-1] {
			inner, is := at[part].(map[string]any)
			if !is {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[parts[len(parts)-1]] = v
	}
}

func cut(f map[string]any, at int, mark string) {
	for k, v := range f {
		if s, is := v.(string); is && len(s) > at {
			f[k] = s[:at] + mark
		}
	}
}

func flat(o, f map[string]any) {
	for k, v := range f {
		o["output_fields_"+strings.ReplaceAll(k, ".", "_")] = v
	}
	delete(o, "output_fields")
}

func idOf(t *testing.T, o map[string]any) string {
	t.Helper()
	body, err := json.Marshal(o)
	require.NoError(t, err)
	events, err := incident.Parse(body)
	require.NoError(t, err)
	require.Len(t, events, 1, "%s", body)
	require.Equal(t, "falco", events[0].Adapter)
	return events[0].Incident.ID
}

func TestAlertKeepsItsIDOnEveryWay(t *testing.T) {
	t.Parallel()
	for name := range alerts {
		want := idOf(t, alert(t, name))
		require.Regexp(t, `^sha256:[0-9a-f]{32}$`, want)
		for way, change := range onTheWay {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				o := alert(t, name)
				change(o, o["output_fields"].(map[string]any))
				require.Equal(t, want, idOf(t, o))
			})
		}
		for _, other := range []string{"Kubernetes audit", "Okta", "CloudTrail with its ID"} {
			if name == other {
				o := alert(t, name)
				o["hostname"] = "another-falco-pod"
				require.Equal(t, want, idOf(t, o), "another Falco reads the same log")
			}
		}
	}
}

// One document may hold an alert several times: as it was received, and parsed.
func TestAlertInOneDocumentTwiceIsOneEvent(t *testing.T) {
	t.Parallel()
	for name := range alerts {
		text, err := json.Marshal(alert(t, name))
		require.NoError(t, err)
		for way, change := range onTheWay {
			parsed := alert(t, name)
			change(parsed, parsed["output_fields"].(map[string]any))
			for _, document := range []map[string]any{
				{"log": string(text), "payload": parsed},
				{"message": string(text), "event": map[string]any{"original": string(text)}, "data": parsed},
			} {
				body, err := json.Marshal(document)
				require.NoError(t, err)
				events, err := incident.Parse(body)
				require.NoError(t, err)
				require.Len(t, events, 1, "%s, %s", name, way)
			}
		}
	}
}

func TestTwoAlertsOfOneSecondHaveTwoIDs(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string]map[string]func(o, f map[string]any){
		"process": {
			"a hundred milliseconds later": func(o, f map[string]any) {
				o["time"], f["evt.time"] = "2026-05-25T13:44:05.578445995Z", json.Number("1779716645578445995")
			},
			"another process":   func(_, f map[string]any) { f["proc.pid"] = 100481 },
			"another container": func(_, f map[string]any) { f["container.id"] = "a4c8e0200042" },
			"another host":      func(o, _ map[string]any) { o["hostname"] = "worker-02" },
			"another rule":      func(o, _ map[string]any) { o["rule"] = "Shell" },
		},
		"no process ID": {
			"a millisecond later": func(o, f map[string]any) {
				o["time"], f["evt.time"] = "2026-05-25T13:44:05.479445995Z", json.Number("1779716645479445995")
			},
			"another command line": func(_, f map[string]any) { f["proc.cmdline"] = "ssh root@10.0.0.2" },
			"another container":    func(_, f map[string]any) { f["container.id"] = "a4c8e0200042" },
			"on the host":          func(_, f map[string]any) { f["container.id"] = "host" },
		},
		"container unknown": {
			"another pod":       func(_, f map[string]any) { f["k8s.pod.name"] = "web-2" },
			"another namespace": func(_, f map[string]any) { f["k8s.ns.name"] = "bank" },
		},
		"Kubernetes audit": {
			"another pod":       func(_, f map[string]any) { f["ka.target.name"] = "web-2" },
			"another namespace": func(_, f map[string]any) { f["ka.target.namespace"] = "bank" },
			"another user":      func(_, f map[string]any) { f["ka.user.name"] = "bob" },
			"two milliseconds later": func(o, f map[string]any) {
				o["time"], f["evt.time"] = "2025-02-10T09:29:46.304906Z", json.Number("1739179786304906000")
			},
			"with an audit ID":         func(_, f map[string]any) { f["ka.auditid"] = "a" },
			"with another subresource": func(_, f map[string]any) { f["ka.target.subresource"] = "attach" },
		},
		"Okta": {
			"another user":    func(_, f map[string]any) { f["okta.actor.name"] = "John Doe" },
			"another address": func(_, f map[string]any) { f["okta.client.ip"] = "192.0.2.45" },
		},
		"CloudTrail with its ID": {
			"another entry": func(_, f map[string]any) { f["ct.id"] = "5f1c2a9e-0000-4000-8000-000000000002" },
		},
	} {
		want := idOf(t, alert(t, name))
		for what, change := range changes {
			o := alert(t, name)
			change(o, o["output_fields"].(map[string]any))
			require.NotEqual(t, want, idOf(t, o), "%s: %s", name, what)
		}
	}
}

// An event of Sysdig's that lost its ID is the same event on every way, too.
func TestSysdigEventWithoutIDKeepsOne(t *testing.T) {
	t.Parallel()
	id := func(change func(e, c, f, l map[string]any)) string {
		return one(t, forwarded(t, func(e, c, f, l map[string]any) {
			delete(e, "id")
			e["timestamp"], e["machineId"], e["containerId"] = json.Number("1720031001639981110"), "42:01:0a:80:00:05", "6949e5f10829"
			f["proc.pid"], l["host.hostName"] = "4711", "node-1"
			change(e, c, f, l)
		})).ID
	}
	want := id(func(_, _, _, _ map[string]any) {})
	for name, change := range map[string]func(e, c, f, l map[string]any){
		"rounded":         func(e, _, _, _ map[string]any) { e["timestamp"] = json.Number("1720031001639981000") },
		"in milliseconds": func(e, _, _, _ map[string]any) { e["timestamp"] = json.Number("1720031001639") },
		"labels added":    func(_, _, _, l map[string]any) { l["team"] = "red" },
		"output cut":      func(_, c, _, _ map[string]any) { c["output"] = "x" },
		"MAC rewritten":   func(e, _, _, _ map[string]any) { e["machineId"] = "42-01-0A-80-00-05" },
		"full ID":         func(e, _, _, _ map[string]any) { e["containerId"] = "6949e5f10829" + strings.Repeat("0", 52) },
		"ID null":         func(e, _, _, _ map[string]any) { e["id"] = "null" },
	} {
		require.Equal(t, want, id(change), name)
	}
	withoutContainer := func(pod string) string {
		return id(func(e, _, f, l map[string]any) {
			delete(e, "containerId")
			maps.DeleteFunc(f, func(k string, _ any) bool { return strings.HasPrefix(k, "container.") })
			maps.DeleteFunc(l, func(k string, _ any) bool { return strings.HasPrefix(k, "container.") })
			l["kubernetes.pod.name"] = pod
		})
	}
	require.NotEqual(t, withoutContainer("web-1"), withoutContainer("web-2"), "another pod, both containers unknown")
	for name, change := range map[string]func(e, c, f, l map[string]any){
		"another process": func(_, _, f, _ map[string]any) { f["proc.pid"] = "4712" },
		"another rule":    func(_, c, _, _ map[string]any) { c["ruleName"] = "s" },
		"without a time":  func(e, _, _, _ map[string]any) { delete(e, "timestamp") },
	} {
		require.NotEqual(t, want, id(change), name)
	}
}

// The order of the keys does not matter, nor which of two keys of one name counts.
func TestOrderOfKeysDoesNotChangeTheID(t *testing.T) {
	t.Parallel()
	const agents, falcos = `"time":"2026-05-25T13:44:09.123456789Z"`, `"time":"2026-05-25T13:44:05.478445995Z"`
	rest := []string{`"rule":"r"`, `"priority":"Error"`, `"source":"syscall"`, `"hostname":"h"`, `"output_fields":{"proc.pid":7,"evt.time":1779716645478445995}`}
	var ids []string
	for _, keys := range [][]string{{agents, falcos}, {falcos, agents}, {falcos}, {agents}} {
		for range 2 {
			slices.Reverse(rest)
			ids = append(ids, one(t, []byte("{"+strings.Join(slices.Concat(keys, rest), ",")+"}")).ID)
		}
	}
	require.Len(t, slices.Compact(ids), 1)
}
