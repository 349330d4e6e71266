package incident_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestATimestampIsExactInWhateverUnit(t *testing.T) {
	t.Parallel()
	exact := time.Date(2024, 7, 3, 18, 23, 21, 639981110, time.UTC)
	for name, tc := range map[string]struct {
		value any
		want  time.Time
	}{
		"nanoseconds":      {exact.UnixNano(), exact},
		"microseconds":     {exact.UnixMicro(), exact.Truncate(time.Microsecond)},
		"milliseconds":     {exact.UnixMilli(), exact.Truncate(time.Millisecond)},
		"seconds":          {exact.Unix(), exact.Truncate(time.Second)},
		"ms, year 3000":    {int64(32503680000000), time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"µs, year 3000":    {int64(32503680000000000), time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"digits as text":   {"1720031001639981110", exact},
		"absent":           {nil, exact},
		"zero":             {0, exact},
		"negative":         {-5, exact},
		"not a number":     {"yesterday", exact},
		"beyond any clock": {1e300, exact},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := one(t, forwarded(t, func(e, _, _, _ map[string]any) {
				e["timestamp"] = tc.value
				e["timestampRFC3339Nano"] = "2024-07-03T20:23:21.63998111+02:00"
			}))
			require.Equal(t, tc.want, i.OccurredAt)
		})
	}
	i := one(t, forwarded(t, func(_, _, _, _ map[string]any) {}))
	require.True(t, i.OccurredAt.IsZero(), "nobody says when")
}

func TestASeverityThatIsNoneIsTheMildest(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		value any
		want  int
	}{{0, 0}, {7, 7}, {"3", 3}, {3.0, 3}, {8, 7}, {-1, 7}, {nil, 7}, {"high", 7}, {2.5, 7}, {[]int{0}, 7}, {"", 7}, {uint64(1) << 63, 7}} {
		i := one(t, forwarded(t, func(e, _, _, _ map[string]any) { e["severity"] = tc.value }))
		require.EqualValues(t, tc.want, i.Severity, "%v", tc.value)
		require.Equal(t, i.Severity.Label(), i.SeverityLabel)
		require.Equal(t, i.Severity.Priority(), i.Priority)
	}
}

func TestWhatMeansAbsentIsAbsentEverywhere(t *testing.T) {
	t.Parallel()
	for _, absent := range []any{"<NA>", "", " ", nil} {
		i := one(t, forwarded(t, func(e, c, f, l map[string]any) {
			for _, key := range []string{"agentId", "machineId", "containerId", "source", "name"} {
				e[key] = absent
			}
			c["output"], c["ruleTags"] = absent, []any{absent}
			for _, key := range []string{"proc.pid", "proc.name", "user.name", "fd.name", "container.id", "proc.hash.sha256"} {
				f[key] = absent
			}
			for _, key := range []string{"host.hostName", "host.id", "kubernetes.pod.name", "aws.accountId"} {
				l[key] = absent
			}
		}))
		require.Equal(t, "r", i.Rule.Name)
		require.Empty(t, i.Missing("id"))
		for _, path := range []string{
			"source", "policy.name", "output", "host.id", "host.name", "host.mac", "host.agent_id", "container.id",
			"kubernetes.pod", "cloud.account", "cloud.provider", "process.pid", "process.name", "process.sha256", "file.path", "user",
		} {
			require.Equal(t, []string{path}, i.Missing(path))
		}
		require.Empty(t, i.Labels)
		require.Empty(t, i.Fields)
		require.Empty(t, i.Rule.Tags)
	}
}

func TestAnEventOnTheHostHasNoContainer(t *testing.T) {
	t.Parallel()
	i := one(t, forwarded(t, func(e, _, f, _ map[string]any) {
		e["containerId"] = ""
		f["container.id"], f["container.name"], f["container.image.repository"] = "host", "host", "<NA>"
	}))
	require.Zero(t, i.Container)
	i = one(t, forwarded(t, func(e, _, _, _ map[string]any) { e["containerId"] = "host" }))
	require.Zero(t, i.Container)
	i = one(t, forwarded(t, func(_, _, f, _ map[string]any) { f["container.id"], f["container.name"] = "6949e5f10829", "web" }))
	require.Equal(t, "6949e5f10829", i.Container.ID, "the envelope need not say it")
	require.Equal(t, "web", i.Container.Name)
}

func TestIdentifiersAreNormalised(t *testing.T) {
	t.Parallel()
	long := "6949E5F10829" + strings.Repeat("a", 52)
	i := one(t, forwarded(t, func(e, _, _, _ map[string]any) {
		e["containerId"], e["machineId"], e["agentId"] = long, "42-01-0A-80-00-05", 58014837
	}))
	require.Equal(t, "6949e5f10829", i.Container.ID)
	require.Equal(t, "42:01:0a:80:00:05", i.Host.MAC)
	require.Equal(t, "58014837", i.Host.AgentID)
	i = one(t, forwarded(t, func(e, _, _, l map[string]any) {
		e["machineId"], e["agentId"], l["host.mac"] = "", 0, "42:01:0A:80:00:05"
	}))
	require.Equal(t, "42:01:0a:80:00:05", i.Host.MAC)
	require.Empty(t, i.Host.AgentID, "agent 0 is no agent")
	i = one(t, forwarded(t, func(e, _, _, _ map[string]any) { e["machineId"] = "i-0eee5555" }))
	require.Empty(t, i.Host.MAC, "what is no MAC address is absent")
}

func TestAnotherTypeThanTheDocumentedOneIsTolerated(t *testing.T) {
	t.Parallel()
	i := one(t, forwarded(t, func(e, c, f, l map[string]any) {
		e["id"], e["name"], e["source"], e["actions"] = 17, true, map[string]any{"a": 1}, "none"
		c["policyId"], c["policyVersion"], c["ruleTags"] = "10011704", "35", []any{1, "a", nil}
		f["proc.pid"], f["proc.name"] = 2140169, 7
		l["host.hostName"] = 12345678901234567
	}))
	require.Equal(t, "17", i.ID)
	require.Equal(t, "true", i.Policy.Name)
	require.Equal(t, `{"a":1}`, i.Source)
	require.False(t, i.HostLevel)
	require.Equal(t, "10011704", i.Policy.ID)
	require.EqualValues(t, 35, i.Policy.Version)
	require.Equal(t, []string{"1", "a"}, i.Rule.Tags)
	require.EqualValues(t, 2140169, i.Process.PID)
	require.Equal(t, "7", i.Process.Name)
	require.Equal(t, "12345678901234567", i.Host.Name)
	require.Empty(t, i.Actions)
	for _, body := range []string{
		`{"id":"1","type":"policy","originator":"policy","content":{"fields":[{"key":"a"}]},"labels":[1]}`,
		`{"id":"1","type":"policy","originator":"policy","content":{"fields":"x"},"labels":null}`,
	} {
		i := one(t, []byte(body))
		require.Empty(t, i.Fields)
		require.Empty(t, i.Labels)
	}
}

func TestOnlyAPathIsAFile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"/etc/ard": "/etc/ard", `C:\Windows\x.dll`: `C:\Windows\x.dll`,
		"10.0.0.1:55000->10.0.0.2:3333": "", "pipe:[123]": "", "relative": "",
	} {
		i := one(t, forwarded(t, func(_, _, f, _ map[string]any) { f["fd.name"] = name }))
		require.Equal(t, want, i.File.Path)
		require.Equal(t, name, i.Fields["fd.name"])
	}
}

func TestACloudDetectionHasAnAccountAndAUser(t *testing.T) {
	t.Parallel()
	i := one(t, forwarded(t, func(e, _, f, l map[string]any) {
		e["source"], e["customerId"] = "aws_cloudtrail", 55001
		f["ct.user"] = "mallory"
		l["aws.accountId"], l["aws.region"] = "111122223333", "eu-west-1"
	}))
	require.Equal(t, "mallory", i.User)
	require.Equal(t, "55001", i.Tenant.ID)
	require.Equal(t, "aws", i.Cloud.Provider)
	require.Equal(t, "111122223333", i.Cloud.Account)
	require.Equal(t, "eu-west-1", i.Cloud.Region)
	require.Equal(t, "mallory in account 111122223333", i.Target())
}

func TestAnEventWithoutIDGetsOneFromItsContent(t *testing.T) {
	t.Parallel()
	first := one(t, []byte(`{"type":"policy","originator":"policy","timestamp":1720031001639981110,"content":{"ruleName":"r"}}`))
	again := one(t, []byte(`[ {"content": {"ruleName": "r"}, "timestamp": 1720031001639981110, "originator": "policy", "type": "policy"} ]`))
	later := one(t, []byte(`{"type":"policy","originator":"policy","timestamp":1720031001640981110,"content":{"ruleName":"r"}}`))
	require.Regexp(t, `^sha256:[0-9a-f]{32}$`, first.ID)
	require.Equal(t, first.ID, again.ID, "the same content in another writing is the same event")
	require.NotEqual(t, first.ID, later.ID, "a millisecond makes another event")
}

func TestAnIncidentIsBounded(t *testing.T) {
	t.Parallel()
	i := one(t, forwarded(t, func(_, c, f, l map[string]any) {
		c["output"] = strings.Repeat("ü", 5000)
		f["proc.cmdline"] = strings.Repeat("a", 4097)
		f["proc.cwd"] = strings.Repeat("a", 4096)
		l[strings.Repeat("k", 257)] = "v"
		for n := range 300 {
			l[fmt.Sprintf("container.label.%03d", n)] = "v"
		}
		l["host.hostName"] = "node-1"
	}))
	for _, s := range []string{i.Output, i.Process.Cmdline, i.Fields["proc.cmdline"]} {
		require.LessOrEqual(t, len(s), 4096)
		require.True(t, utf8.ValidString(s))
		require.True(t, strings.HasSuffix(s, "…[cut]"), "the cut shows")
	}
	require.Equal(t, strings.Repeat("a", 4096), i.Process.Cwd, "the longest that is kept whole")
	require.Len(t, i.Labels, 256)
	require.Contains(t, i.Labels, "container.label.000")
	require.NotContains(t, i.Labels, "container.label.299")
	require.Equal(t, "node-1", i.Host.Name, "labels of the workload do not crowd out the host")
}
