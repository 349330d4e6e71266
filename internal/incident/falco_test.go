package incident_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

func TestEveryPriorityOfFalcoIsASeverity(t *testing.T) {
	t.Parallel()
	for n, priority := range []string{"Emergency", "ALERT", "critical", "Error", "Warning", "Notice", "Informational", "Debug"} {
		i := one(t, changed(t, "falco-stratum.json", func(o map[string]any) { o["priority"] = priority }))
		require.EqualValues(t, n, i.Severity, priority)
	}
	i := one(t, changed(t, "falco-stratum.json", func(o map[string]any) { o["priority"] = "Info" }))
	require.EqualValues(t, 6, i.Severity)
	for _, other := range []any{"high", "", 3, nil} {
		events, err := incident.Parse(changed(t, "falco-stratum.json", func(o map[string]any) { o["priority"] = other }))
		require.NoError(t, err)
		require.Empty(t, events[0].Adapter, "%v is no priority of Falco's", other)
	}
}

func TestAnAlertIsRecognisedWithWhateverKeysAreSwitchedOff(t *testing.T) {
	t.Parallel()
	for _, off := range [][]string{
		{"output"}, {"tags"}, {"output_fields"}, {"output", "tags", "output_fields"}, {"source"}, {"hostname", "source", "time"},
	} {
		i := one(t, changed(t, "falco-stratum.json", func(o map[string]any) {
			for _, key := range off {
				delete(o, key)
			}
		}))
		require.Equal(t, "Detect crypto miners using the Stratum protocol", i.Rule.Name)
		require.EqualValues(t, 2, i.Severity)
		require.Equal(t, 2026, i.OccurredAt.Year(), "%s", off)
	}
	events, err := incident.Parse(changed(t, "falco-stratum.json", func(o map[string]any) {
		delete(o, "output_fields")
		delete(o, "source")
	}))
	require.NoError(t, err)
	require.Empty(t, events[0].Adapter, "a rule, a priority and a time are anybody's")
}

// Whatever happens to an alert on its way, it is the same event.
func TestAnAlertKeepsItsIDOnItsWay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 300)
	alert := func(change func(o, fields map[string]any)) string {
		return one(t, changed(t, "falco-stratum.json", func(o map[string]any) {
			fields := o["output_fields"].(map[string]any)
			fields["proc.args"] = long
			change(o, fields)
		})).ID
	}
	id := alert(func(_, _ map[string]any) {})
	require.Regexp(t, `^sha256:[0-9a-f]{32}$`, id)
	for name, change := range map[string]func(o, fields map[string]any){
		"a uuid of falcosidekick's":   func(o, _ map[string]any) { o["uuid"] = "0b1c2d3e-0000-4000-8000-000000000001" },
		"another uuid":                func(o, _ map[string]any) { o["uuid"] = "0b1c2d3e-0000-4000-8000-000000000002" },
		"a source filled in":          func(o, _ map[string]any) { o["source"] = "syscalls" },
		"an output rewritten":         func(o, _ map[string]any) { o["output"] = "miner!" },
		"tags sorted otherwise":       func(o, _ map[string]any) { o["tags"] = []string{"host"} },
		"a custom field":              func(_, f map[string]any) { f["team"] = "payments" },
		"a field renamed":             func(_, f map[string]any) { f["proc.aname_2"] = f["proc.aname[2]"]; delete(f, "proc.aname[2]") },
		"a long field cut":            func(_, f map[string]any) { f["proc.args"] = strings.ToValidUTF8(long[:507], "\uFFFD") + "[...]" },
		"numbers as texts":            func(_, f map[string]any) { f["proc.pid"], f["user.uid"] = "2140169", "0" },
		"the nanoseconds rounded":     func(_, f map[string]any) { f["evt.time"] = 1779716645478446000 },
		"null written out":            func(_, f map[string]any) { f["proc.hash.sha256"] = "<NA>" },
		"the time in another zone":    func(o, _ map[string]any) { o["time"] = "2026-05-25T15:44:05.478445995+02:00" },
		"the time without a fraction": func(o, _ map[string]any) { o["time"] = "2026-05-25T13:44:05Z" },
	} {
		require.Equal(t, id, alert(change), name)
	}
	for name, change := range map[string]func(o, fields map[string]any){
		"a nanosecond later": func(o, _ map[string]any) { o["time"] = "2026-05-25T13:44:05.478445996Z" },
		"another rule":       func(o, _ map[string]any) { o["rule"] = "x" },
		"another host":       func(o, _ map[string]any) { o["hostname"] = "falco-node2" },
		"another process":    func(_, f map[string]any) { f["proc.pid"] = 2140170 },
		"another container":  func(_, f map[string]any) { f["container.id"] = "ee97d9c4186e" },
		"another ancestor":   func(_, f map[string]any) { f["proc.aname[2]"] = "dockerd" },
	} {
		require.NotEqual(t, id, alert(change), name)
	}
}

func TestTwoAlertsWithoutFieldsAreToldApartByTheirOutput(t *testing.T) {
	t.Parallel()
	alert := func(output string) string {
		return one(t, changed(t, "falco-stratum.json", func(o map[string]any) {
			delete(o, "output_fields")
			o["output"] = output
		})).ID
	}
	require.Equal(t, alert("a"), alert("a"))
	require.NotEqual(t, alert("a"), alert("b"))
}

// evt.time is the number that a float64 cannot hold.
func TestAnAlertsTimeIsExact(t *testing.T) {
	t.Parallel()
	exact := time.Date(2026, 5, 25, 13, 44, 5, 478445995, time.UTC)
	for name, tc := range map[string]struct {
		time, nanoseconds any
		want              time.Time
	}{
		"both":                 {"2026-05-25T13:44:05.478445995Z", json.Number("1779716645478445995"), exact},
		"no evt.time":          {"2026-05-25T13:44:05.478445995Z", nil, exact},
		"evt.time as text":     {"2026-05-25T13:44:05Z", "1779716645478445995", exact},
		"no time":              {nil, json.Number("1779716645478445995"), exact},
		"no fraction":          {"2026-05-25T13:44:05Z", json.Number("1779716645478445995"), exact},
		"another second":       {"2026-05-25T13:44:06Z", json.Number("1779716645478445995"), time.Date(2026, 5, 25, 13, 44, 6, 0, time.UTC)},
		"evt.time for people":  {"2026-05-25T13:44:05Z", "13:44:05.478445995", exact.Truncate(time.Second)},
		"neither of them":      {"yesterday", "", time.Time{}},
		"evt.time was rounded": {"2026-05-25T13:44:05.478445995Z", json.Number("1779716645478446000"), exact},
	} {
		i := one(t, changed(t, "falco-stratum.json", func(o map[string]any) {
			o["time"], o["output_fields"].(map[string]any)["evt.time"] = tc.time, tc.nanoseconds
		}))
		require.Equal(t, tc.want, i.OccurredAt, name)
	}
}

// A plugin's event did not happen on the host that Falco runs on.
func TestOnlyAnEventOfTheHostHasTheHost(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"syscall": "falco-node1", "syscalls": "falco-node1", "": "falco-node1",
		"aws_cloudtrail": "", "okta": "", "github": "", "gcp_auditlog": "", "k8s_audit": "", "a plugin of mine": "",
	} {
		i := one(t, changed(t, "falco-stratum.json", func(o map[string]any) { o["source"] = source }))
		require.Equal(t, want, i.Host.Name, source)
	}
}
