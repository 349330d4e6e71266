package incident_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

func TestWhoNamesAnotherTargetGetsNothingOfTheIncidents(t *testing.T) {
	t.Parallel()
	node := incident.Host{ID: "host-1", Name: "node-1", MAC: "aa:bb:cc:dd:ee:01", AgentID: "99001"}
	web := incident.Container{ID: "6949e5f10829", Name: "web", Image: "nginx"}
	pod := incident.Kubernetes{Cluster: "prod", Namespace: "shop", Pod: "web-1", Node: "node-1", WorkloadName: "web", WorkloadType: "deployment"}
	cloud := incident.Cloud{Provider: "aws", Account: "123456789012", Region: "us-east-1", Instance: "i-0abc"}
	miner := incident.Process{PID: 4711, Name: "xmrig"}
	fields := map[string]string{"ct.user.arn": "arn:mallory"}
	all := incident.Incident{
		ID: "event-1", Host: node, Container: web, Kubernetes: pod, Cloud: cloud, Process: miner, File: incident.File{Path: "/x"}, User: "mallory",
		Labels: map[string]string{"app": "web"}, Fields: fields,
	}
	outside := incident.Cloud{Provider: "aws", Account: "123456789012", Region: "us-east-1"}
	for name, test := range map[string]struct {
		set  []incident.Setting
		want incident.Incident
	}{
		"another host": {
			[]incident.Setting{{"container.id", "aaaaaaaaaaaa"}, {"host.name", "node-2"}},
			incident.Incident{Host: incident.Host{Name: "node-2"}, Container: incident.Container{ID: "aaaaaaaaaaaa"}, Cloud: outside},
		},
		"another host, by its ID": {
			[]incident.Setting{{"host.id", "host-2"}}, incident.Incident{Host: incident.Host{ID: "host-2"}, Cloud: outside},
		},
		"another container": {
			[]incident.Setting{{"container.id", "aaaaaaaaaaaa"}},
			incident.Incident{
				Host: node, Container: incident.Container{ID: "aaaaaaaaaaaa"}, Kubernetes: incident.Kubernetes{Cluster: "prod", Node: "node-1"}, Cloud: cloud,
			},
		},
		"another process": {
			[]incident.Setting{{"process.pid", "4712"}},
			incident.Incident{
				Host: node, Container: web, Kubernetes: pod, Cloud: cloud, Process: incident.Process{PID: 4712},
				File: incident.File{Path: "/x"}, Labels: map[string]string{"app": "web"},
			},
		},
		"another pod": {
			[]incident.Setting{{"kubernetes.pod", "web-2"}},
			incident.Incident{Kubernetes: incident.Kubernetes{Cluster: "prod", Namespace: "shop", Pod: "web-2"}, Cloud: outside},
		},
		"another namespace": {
			[]incident.Setting{{"kubernetes.namespace", "kube-system"}, {"kubernetes.pod", "web-1"}},
			incident.Incident{Kubernetes: incident.Kubernetes{Cluster: "prod", Namespace: "kube-system", Pod: "web-1"}, Cloud: outside},
		},
		"another account": {
			[]incident.Setting{{"cloud.account", "999999999999"}}, incident.Incident{Cloud: incident.Cloud{Account: "999999999999"}},
		},
		"another instance": {
			[]incident.Setting{{"cloud.instance", "i-0def"}},
			incident.Incident{Cloud: incident.Cloud{Provider: "aws", Account: "123456789012", Region: "us-east-1", Instance: "i-0def"}},
		},
		"another user": {
			[]incident.Setting{{"user", "eve"}},
			incident.Incident{
				Host: node, Container: web, Kubernetes: pod, Cloud: cloud, File: incident.File{Path: "/x"}, User: "eve", Labels: map[string]string{"app": "web"},
			},
		},
	} {
		inc := all
		for _, err := range inc.Retarget(test.set) {
			require.NoError(t, err, name)
		}
		require.Equal(t, test.want, inc, name)
	}
}

func TestWhoNamesTheIncidentsTargetOrMoreOfItGetsTheRest(t *testing.T) {
	t.Parallel()
	inc := incident.Incident{
		ID: "event-1", Host: incident.Host{ID: "host-1", MAC: "aa:bb:cc:dd:ee:01"}, Container: incident.Container{ID: "6949e5f10829"}, File: incident.File{Path: "/x"},
		Fields: map[string]string{"a": "b"},
	}
	problems := inc.Retarget([]incident.Setting{
		{"host.mac", "AA-BB-CC-DD-EE-01"}, {"host.name", "node-1"}, {"file.path", "/y"}, {"host.id", "  "}, {"severity", "0"},
	})
	require.NoError(t, problems[0])
	require.ErrorContains(t, problems[3], "the value is empty")
	require.ErrorContains(t, problems[4], "expected one of")
	require.Equal(t, incident.Incident{
		ID: "event-1", Host: incident.Host{ID: "host-1", Name: "node-1", MAC: "aa:bb:cc:dd:ee:01"}, Container: incident.Container{ID: "6949e5f10829"},
		File: incident.File{Path: "/y"}, Fields: map[string]string{"a": "b"},
	}, inc)
}
