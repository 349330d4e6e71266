package incident_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

// What is set under a path is read under it, and nothing else changes.
func TestEveryAmendableFieldIsSetAndReadUnderItsPath(t *testing.T) {
	t.Parallel()
	for _, path := range incident.AmendablePaths() {
		value := "value of " + path
		switch path {
		case "process.pid", "process.start_time":
			value = "4711"
		case "host.mac":
			value = "42:01:0a:80:00:05"
		}
		var i incident.Incident
		require.NoError(t, i.SetField(path, " "+value+"\n"), path)
		got, known := i.Field(path)
		require.True(t, known)
		require.Equal(t, value, got)
		for _, other := range incident.AmendablePaths() {
			if other != path {
				require.Equal(t, []string{other}, i.Missing(other), "%s was set with %s", other, path)
			}
		}
	}
}

func TestAFieldIsKnownByItsJSONName(t *testing.T) {
	t.Parallel()
	i := one(t, payload(t, "forwarder-stratum-batch.json"))
	for path, want := range map[string]string{
		"id": "18000000000000000000000000000001", "source": "syscall", "rule.name": "Detect crypto miners using the Stratum protocol",
		"rule.type": "RULE_TYPE_FALCO", "policy.id": "10011704", "severity": "0", "severity_label": "high", "priority": "critical",
		"host.agent_id": "58014837", "container.image_id": "15a18c24b1ee", "kubernetes.workload_type": "deployment",
		"cloud.account": "289645096542", "process.pid": "2140169", "user": "root",
	} {
		got, known := i.Field(path)
		require.True(t, known, path)
		require.Equal(t, want, got, path)
	}
	for _, path := range []string{"", "host", "host.", "Host.ID", "hostname", "labels.host.id"} {
		_, known := i.Field(path)
		require.False(t, known, path)
	}
	require.Len(t, incident.FieldPaths(), 42)
}

func TestAnAmendmentIsNormalised(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ path, value, want string }{
		{"host.mac", "42-01-0A-80-00-05", "42:01:0a:80:00:05"},
		{"host.mac", "4201.0a80.0005", "42:01:0a:80:00:05"},
		{"container.id", "6949e5f10829" + strings.Repeat("0", 52), "6949e5f10829"},
		{"process.pid", "007", "7"},
	} {
		var i incident.Incident
		require.NoError(t, i.SetField(tc.path, tc.value))
		got, _ := i.Field(tc.path)
		require.Equal(t, tc.want, got)
	}
}

func TestARefusedAmendmentSaysWhatIsAcceptedAndChangesNothing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path, value string
		says        []string
	}{
		{"host.nam", "x", []string{`"host.nam"`, "host.name", "container.id"}},
		{"severity", "0", []string{`"severity"`, "want one of"}},
		{"id", "x", []string{`"id"`, "want one of"}},
		{"rule.name", "x", []string{`"rule.name"`, "want one of"}},
		{"host.id", "", []string{"host.id", "empty"}},
		{"host.id", " <NA> ", []string{"host.id", "empty"}},
		{"host.id", strings.Repeat("x", 4097), []string{"host.id", "4097", "4096"}},
		{"process.pid", "0", []string{"process.pid", `"0"`, "1 or more"}},
		{"process.pid", "-1", []string{"process.pid", "1 or more"}},
		{"process.pid", "12a", []string{"process.pid", `"12a"`}},
		{"process.pid", "99999999999999999999", []string{"process.pid"}},
		{"host.mac", "42:01:0a:80:00", []string{"host.mac", `"42:01:0a:80:00"`, "MAC address"}},
		{"host.mac", "42:01:0a:80:00:zz", []string{"host.mac", "MAC address"}},
		{"container.id", "host", []string{"container.id", `"host"`}},
	} {
		i := *one(t, payload(t, "notification-stratum.json"))
		before := i
		err := i.SetField(tc.path, tc.value)
		require.Error(t, err, "%s=%s", tc.path, tc.value)
		for _, part := range tc.says {
			require.Contains(t, err.Error(), part)
		}
		require.Empty(t, cmp.Diff(before, i))
	}
}

func TestMissingKeepsTheGivenOrder(t *testing.T) {
	t.Parallel()
	i := incident.Incident{Host: incident.Host{Name: "node-1"}}
	require.Equal(t, []string{"process.pid", "host.id", "container.id"}, i.Missing("process.pid", "host.name", "host.id", "container.id"))
	require.Empty(t, i.Missing("host.name"))
	require.Empty(t, i.Missing())
}

func TestFillFromFillsWhatIsAbsentInAFixedOrder(t *testing.T) {
	t.Parallel()
	i := incident.Incident{ID: "a", Severity: 7, Host: incident.Host{Name: "node-1"}}
	other := incident.Incident{
		ID: "b", Severity: 0, Rule: incident.Rule{Name: "r"},
		User:      "root",
		Tenant:    incident.Tenant{ID: "55001"},
		Process:   incident.Process{PID: 7},
		Host:      incident.Host{ID: "h", Name: "node-1.example.com", MAC: "42:01:0a:80:00:05"},
		Container: incident.Container{ID: "6949e5f10829"},
	}
	want := []string{"tenant.id", "host.id", "host.mac", "container.id", "process.pid", "user"}
	require.Equal(t, want, i.FillFrom(&other))
	require.Empty(t, i.Missing(want...))
	require.Equal(t, "node-1", i.Host.Name, "what is there stays")
	require.Equal(t, "a", i.ID)
	require.Empty(t, i.Rule.Name, "another event's rule is not this one's")
	require.EqualValues(t, 7, i.Severity)
	require.Empty(t, i.FillFrom(&other), "a second time there is nothing left to fill")
}

func TestFillFromDoesNotMixTwoProcessesOrContainers(t *testing.T) {
	t.Parallel()
	i := incident.Incident{Process: incident.Process{Name: "xmrig"}, Container: incident.Container{ID: "aaa000000001"}}
	otherProcess := incident.Incident{
		Process: incident.Process{Name: "sh", PID: 7}, User: "root", File: incident.File{Path: "/etc/passwd"},
		Container: incident.Container{ID: "aaa000000001", Name: "web"},
	}
	require.Equal(t, []string{"container.name"}, i.FillFrom(&otherProcess))
	otherContainer := incident.Incident{
		Process: incident.Process{Name: "xmrig", PID: 8}, Host: incident.Host{ID: "h"},
		Container: incident.Container{ID: "aaa000000002", Image: "nginx"},
	}
	require.Equal(t, []string{"host.id"}, i.FillFrom(&otherContainer))
	same := incident.Incident{Process: incident.Process{Name: "xmrig", PID: 9}}
	require.Equal(t, []string{"process.pid"}, i.FillFrom(&same))
}
