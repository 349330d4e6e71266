package incident_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/config"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// stated is what a case says of one of its events.
type stated struct {
	adapter  string
	rule     string
	severity incident.Severity
	// fields are values by path; fields that are not here are not compared.
	fields map[string]string
	// absent are paths without a value.
	absent    []string
	hostLevel bool
	// workflowID is the incident's under testdata/cases/routes.yaml.
	workflowID string
}

const stratum = "Detect crypto miners using the Stratum protocol"

func onTarget(adapter, host, container string) stated {
	return stated{
		adapter: adapter, rule: stratum, severity: 2, workflowID: "crypto-miner:" + host + ":" + container,
		fields: map[string]string{"host.name": host, "container.id": container},
	}
}

// Payloads in the shapes that real senders produce mean what their senders meant.
func TestCasesFromTheFieldMeanWhatTheirSendersMeant(t *testing.T) {
	t.Parallel()
	noPlace := []string{"host.id", "host.name", "host.mac", "host.agent_id", "container.id"}
	exec := stated{
		adapter: "falco", rule: "Attach/Exec Pod", severity: 5, absent: noPlace, workflowID: "capture:hello-app:nginx-676b6c5bbc-4xc6t",
		fields: map[string]string{"user": "kubernetes-admin", "kubernetes.namespace": "hello-app", "kubernetes.pod": "nginx-676b6c5bbc-4xc6t"},
	}
	fargate := func(number string) stated {
		s := onTarget("sysdig-forwarder", "unknown", "1e9d6bc1d3b94a3c8a4c4b9d9f3f3c8e-"+number)
		delete(s.fields, "host.name")
		return s
	}
	for file, want := range map[string][]stated{
		"01-falco-k8saudit-exec.ndjson": {exec, exec},
		"02-falco-k8saudit-null-fields.json": {
			{adapter: "falco", rule: "Disallowed K8s User", severity: 4, absent: noPlace},
		},
		"03-falco-okta-github.ndjson": {
			{
				adapter: "falco", rule: "User has been locked out in OKTA", severity: 5, absent: noPlace,
				fields: map[string]string{"user": "Jane Doe"}, workflowID: "capture:okta:Jane_Doe_01332c87",
			},
			{
				adapter: "falco", rule: "Github action with miners", severity: 2, absent: noPlace,
				fields: map[string]string{"user": "jdoe", "cloud.account": "acme"}, workflowID: "capture:acme:jdoe",
			},
		},
		"05-elastic-falco-nested.json": {{
			adapter: "falco", rule: "Read sensitive file trusted after startup", severity: 4, workflowID: "capture:worker-11:a7d5e7bf5bec",
			fields: map[string]string{"host.name": "worker-11", "container.id": "a7d5e7bf5bec", "process.name": "httpd"},
		}},
		"15-notification-2018.json": {{
			adapter: "sysdig-notification", rule: "Read sensitive file untrusted", severity: 4, workflowID: "capture:ip-10-0-8-165:57c1820a87f1",
			fields: map[string]string{"host.name": "ip-10-0-8-165", "host.mac": "06:90:90:7f:15:ea", "container.id": "57c1820a87f1"},
		}},
		"16-forwarder-2021.json": {onTarget("sysdig-forwarder", "ip-10-0-8-165.ec2.internal", "57c1820a87f1")},
		"17-machine-id-prefix.ndjson": {
			onTarget("sysdig-forwarder", "k8s-worker-1", "a1b2c3d4e5f6"), onTarget("sysdig-forwarder", "k8s-worker-2", "a1b2c3d4e5f7"),
		},
		"18-fargate-two-containers-one-task.ndjson": {fargate("3069328372"), fargate("527074092")},
		"19-container-full-id.ndjson": {
			onTarget("sysdig-forwarder", "ip-10-0-8-165.ec2.internal", "00f372b35933"),
			onTarget("sysdig-forwarder", "ip-10-0-8-165.ec2.internal", "00f372b35933"),
		},
		"20-falco-message-json.json": {{
			adapter: "falco", rule: stratum, severity: 2, workflowID: "crypto-miner:worker-05:unknown",
			fields: map[string]string{"host.name": "worker-05"}, absent: []string{"container.id", "user", "process.cmdline"},
		}},
		"21-falco-invalid-utf8.json": {onTarget("falco", "worker-04", "a4c8e0200031")},
		"22-bom-crlf.ndjson":         {onTarget("falco", "worker-01", "a4c8e0200041"), onTarget("falco", "worker-02", "a4c8e0200042")},
		"23-duplicate-time-key.json": {onTarget("falco", "worker-04", "a4c8e0200051")},
		"26-falco-host-event-without-hostname.ndjson": {
			{adapter: "falco", rule: "Write below monitored dir", severity: 3, absent: noPlace, hostLevel: true},
			{adapter: "falco", rule: "Write below monitored dir", severity: 3, absent: noPlace, hostLevel: true},
		},
		"27-falco-missing-metadata.ndjson": {
			onTarget("falco", "aks-pool-14626312-vmss000014", "446c7dbbeac8"),
			{
				adapter: "falco", rule: stratum, severity: 2, workflowID: "crypto-miner:k3s-node-1:unknown",
				fields: map[string]string{"host.name": "k3s-node-1", "process.pid": "100480"},
				absent: []string{"container.id", "kubernetes.pod", "kubernetes.namespace"},
			},
			onTarget("falco", "node-41", "9cc8fc09e58d"),
		},
		"28-falco-hostname-is-container-id.json": {onTarget("falco", "ff5809b3eaba", "a4c8e0200081")},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			router, events := routedCase(t, file)
			require.Len(t, events, len(want))
			ids := map[string]bool{}
			for n, s := range want {
				i := &events[n].Incident
				require.Equal(t, s.adapter, events[n].Adapter)
				require.Empty(t, events[n].Ignored)
				require.Empty(t, events[n].Lacks)
				require.Equal(t, s.rule, i.Rule.Name)
				require.Equal(t, s.severity, i.Severity)
				require.Equal(t, s.hostLevel, i.HostLevel)
				for path, value := range s.fields {
					got, _ := i.Field(path)
					require.Equal(t, value, got, path)
				}
				require.Equal(t, append([]string(nil), s.absent...), i.Missing(s.absent...))
				route, _ := router.Match(i)
				id := signals.WorkflowID(route, "", i)
				if s.workflowID == "" {
					s.workflowID = route.Playbook + ":event:" + i.ID // it meets no other
				}
				require.Equal(t, s.workflowID, id)
				ids[i.ID] = true
			}
			if file == "01-falco-k8saudit-exec.ndjson" {
				require.Len(t, ids, 1, "two Falco instances report one event")
			} else {
				require.Len(t, ids, len(want))
			}
			for n, e := range events {
				again, err := incident.Parse(e.Raw)
				require.NoError(t, err)
				require.Equal(t, events[n].Incident.ID, again[0].Incident.ID, "sent again it is the same event")
			}
		})
	}
}

func routedCase(t *testing.T, file string) (*incident.Router, []incident.Event) {
	t.Helper()
	cfg, err := config.Load("testdata/cases/routes.yaml", func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	router, err := incident.NewRouter(cfg.Routes)
	require.NoError(t, err)
	body, err := os.ReadFile("testdata/cases/" + file)
	require.NoError(t, err)
	events, err := incident.Parse(body)
	require.NoError(t, err)
	return router, events
}

// What Falco reports of itself opens nothing, whatever its priority and the routes'
// conditions, unless a route names self-reports.
func TestSelfReportsMatchOnlyRoutesThatNameThem(t *testing.T) {
	t.Parallel()
	router, events := routedCase(t, "04-falco-internal.ndjson")
	require.Len(t, events, 3)
	for _, body := range []string{
		`{"rule":"Test rule","priority":"Debug","source":"internal","hostname":"h","time":"2026-05-25T13:44:05Z","output":"This is a test from falcosidekick","output_fields":{}}`,
		`{"rule":"Test rule","priority":"Debug","hostname":"h","time":"2026-05-25T13:44:05Z","output":"This is a test from falcosidekick","output_fields":{"a":"b"}}`,
		`{"rule":"FALCO INTERNAL: outputs queue drop","priority":"Critical","source":"syscall","time":"2026-05-25T13:44:05Z","output_fields":{"n_drops":1}}`,
		`{"rule":"Falco internal: hot restart failure","priority":"Critical","source":"syscalls","time":"2026-05-25T13:44:05Z"}`,
		`{"id":"1","type":"policy","originator":"policy","severity":0,"timestamp":1720031001639981110,"content":{"ruleName":"Falco internal: syscall event drop"}}`,
	} {
		more, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		events = append(events, more...)
	}
	named, err := incident.NewRouter([]incident.Route{
		{Name: "all", When: "true", Playbook: "capture"},
		{Name: "drops", When: `incident.rule.name.startsWith("Falco internal: syscall")`, Playbook: "capture", SelfReports: true},
	})
	require.NoError(t, err)
	for _, e := range events {
		require.NotEmpty(t, e.Adapter)
		require.True(t, e.Incident.SelfReport, e.Incident.Rule.Name)
		route, verdicts := router.Match(&e.Incident)
		require.Nil(t, route, e.Incident.Rule.Name)
		require.Contains(t, incident.Unmatched(&e.Incident, verdicts), "self-report")
		route, _ = named.Match(&e.Incident)
		if e.Incident.Rule.Name == "Falco internal: syscall event drop" {
			require.Equal(t, "drops", route.Name)
		} else {
			require.Nil(t, route, e.Incident.Rule.Name)
		}
	}
	for _, body := range []string{
		`{"rule":"Test rule","priority":"Debug","source":"syscall","time":"2026-05-25T13:44:05Z","output":"mine","output_fields":{"proc.name":"sh"}}`,
		`{"rule":"Internal traffic","priority":"Error","source":"syscall","time":"2026-05-25T13:44:05Z","output_fields":{"proc.name":"sh"}}`,
	} {
		require.False(t, one(t, []byte(body)).SelfReport, body)
	}
}
