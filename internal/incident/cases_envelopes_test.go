package incident_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

// stratumRule is the rule inside most of the cases.
const stratumRule = "Detect crypto miners using the Stratum protocol"

// wanted is what a case requires of an event.
type wanted struct {
	adapter, path, host, container string
}

// Each file is in the shape of a real sender's envelope. No event is lost, and no
// event is there twice.
func TestEnvelopesOfSenders(t *testing.T) {
	t.Parallel()
	notification := wanted{"sysdig-notification", "Message", "ip-10-0-8-165.ec2.internal", "57c1820a87f1"}
	queued := notification
	queued.path = "Records[0].body.Message"
	for name, want := range map[string][]wanted{
		"07-syslog-line.txt":                     {{"falco", "", "worker-04", "a4c8e0200004"}},
		"07b-logstash-syslog-message.json":       {{"falco", "message", "worker-04", "a4c8e0200004"}},
		"08-sns-notification.json":               {notification},
		"08b-sns-subscription-confirmation.json": {{}},
		"09-sqs-of-sns.json":                     {queued},
		"10-pubsub-push.json":                    {{"sysdig-forwarder", "message.data", "ip-10-0-8-165.ec2.internal", "57c1820a87f1"}},
		"11-firehose-http-endpoint.json": {
			{"falco", "records[0].data", "worker-01", "a4c8e0200011"},
			{"falco", "records[1].data", "worker-02", "a4c8e0200012"},
		},
		"12-concatenated.json": {{"falco", "", "worker-01", "a4c8e0200021"}, {"falco", "", "worker-02", "a4c8e0200022"}},
		"13-fluentbit-merge-log.json": {
			{"falco", "", "worker-07", "a4c8e0200013"},
			{"falco", "log", "worker-08", "a4c8e0200014"},
		},
		"14-wazuh-alert.json":      {{"falco", "data", "worker-09", ""}},
		"24-splunk-hec-batch.json": {{"falco", "event", "worker-01", "a4c8e0200061"}, {"falco", "event", "worker-02", "a4c8e0200062"}},
		"24b-splunk-hec-one.json":  {{"falco", "event", "worker-03", "a4c8e0200063"}},
		"25-alertmanager.json":     {{}}, // fields as labels of an alert are not read
		"31-otlp-logs.json":        {{"falco", "resourceLogs[0].scopeLogs[0].logRecords[0].body", "worker-06", "a4c8e0200032"}},
		"32-sentinel-trigger.json": {{
			"falco", "object.properties.alerts[0].properties.additionalData.Custom Details.RawEvent[0]", "worker-10", "a4c8e0200033",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join("testdata", "cases", name))
			require.NoError(t, err)
			events, err := incident.Parse(body)
			require.NoError(t, err)
			got := []wanted{}
			for i := range events {
				e := &events[i].Incident
				got = append(got, wanted{events[i].Adapter, events[i].Path, e.Host.Name, e.Container.ID})
				if events[i].Adapter != "" {
					require.Equal(t, stratumRule, e.Rule.Name)
					require.Equal(t, incident.Severity(2), e.Severity)
				}
			}
			require.Equal(t, want, got)
		})
	}
}

func TestNotificationHasOneIDOnBothQueues(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, name := range []string{"08-sns-notification.json", "09-sqs-of-sns.json"} {
		body, err := os.ReadFile(filepath.Join("testdata", "cases", name))
		require.NoError(t, err)
		ids[one(t, body).ID] = true
	}
	require.Len(t, ids, 1)
}

// Fluent Bit adds the metadata of Falco's own pod.
func TestMetadataOfFalcosPodIsNotTheEvents(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/cases/13-fluentbit-merge-log.json")
	require.NoError(t, err)
	events, err := incident.Parse(body)
	require.NoError(t, err)
	for i := range events {
		require.Equal(t, "payments", events[i].Incident.Kubernetes.Namespace)
		require.Equal(t, "payments-app-7df86c5d4-04", events[i].Incident.Kubernetes.Pod)
		require.NotContains(t, events[i].Incident.Container.Image, "falco")
	}
}
