package incident_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

func TestHostIdentifiersAreCompared(t *testing.T) {
	t.Parallel()
	const mac = "52:54:00:12:34:56"
	for name, test := range map[string]struct {
		a, b incident.Host
		want []string
	}{
		"nothing in common":                 {incident.Host{ID: "h1"}, incident.Host{Name: "n"}, nil},
		"another host ID":                   {incident.Host{ID: "h1"}, incident.Host{ID: "h2"}, []string{"host.id"}},
		"a host ID in another case":         {incident.Host{ID: "AB12"}, incident.Host{ID: "ab12"}, nil},
		"another agent ID alone":            {incident.Host{AgentID: "1"}, incident.Host{AgentID: "2"}, nil},
		"another name":                      {incident.Host{Name: "k8s-worker-1"}, incident.Host{Name: "k8s-worker-2"}, []string{"host.name"}},
		"a bare name and its full name":     {incident.Host{Name: "WEB-1"}, incident.Host{Name: "web-1.example.com"}, nil},
		"a name with a final dot":           {incident.Host{Name: "web-1.example.com."}, incident.Host{Name: "web-1.example.com"}, nil},
		"one name in two domains":           {incident.Host{Name: "web-1.example.org"}, incident.Host{Name: "web-1.example.com"}, []string{"host.name"}},
		"a part of a name":                  {incident.Host{Name: "web-1"}, incident.Host{Name: "web-10"}, []string{"host.name"}},
		"another MAC":                       {incident.Host{MAC: mac}, incident.Host{MAC: "52:54:00:12:34:57"}, []string{"host.mac"}},
		"a MAC with dashes":                 {incident.Host{MAC: mac}, incident.Host{MAC: "52-54-00-12-34-56"}, nil},
		"a MAC with dots":                   {incident.Host{MAC: mac}, incident.Host{MAC: "5254.0012.3456"}, nil},
		"a MAC without separators":          {incident.Host{MAC: "AA5400ABCDEF"}, incident.Host{MAC: "aa:54:00:ab:cd:ef"}, nil},
		"a prefix tells machines apart":     {incident.Host{MAC: "k8s-worker-1-" + mac}, incident.Host{MAC: "k8s-worker-2-" + mac}, []string{"host.mac"}},
		"a prefix, the MAC spelt otherwise": {incident.Host{MAC: "k8s-worker-1-" + mac}, incident.Host{MAC: "K8S-WORKER-1-52-54-00-12-34-56"}, nil},
		"a prefix and another MAC":          {incident.Host{MAC: "k8s-worker-1-" + mac}, incident.Host{MAC: "52:54:00:12:34:57"}, []string{"host.mac"}},
		"a prefix and the bare MAC":         {incident.Host{MAC: "k8s-worker-1-" + mac}, incident.Host{MAC: mac}, nil},
		"texts that are no MAC":             {incident.Host{MAC: "x"}, incident.Host{MAC: "y"}, []string{"host.mac"}},
		"everything differs": {
			incident.Host{ID: "h1", Name: "a", MAC: mac},
			incident.Host{ID: "h2", Name: "b", MAC: "52:54:00:12:34:57"},
			[]string{"host.id", "host.mac", "host.name"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields := func(all []incident.Difference) (names []string) {
				for _, d := range all {
					names = append(names, d.Field)
				}
				return names
			}
			require.Equal(t, test.want, fields(test.a.Differences(test.b)))
			require.Equal(t, test.want, fields(test.b.Differences(test.a)), "the other way round")
		})
	}
}

func TestBareMACDoesNotEqualPrefixedMachineID(t *testing.T) {
	t.Parallel()
	const mac = "52:54:00:12:34:56"
	require.True(t, incident.SameMAC("k8s-worker-1-"+mac, "k8s-worker-1-5254.0012.3456"))
	require.False(t, incident.SameMAC("k8s-worker-1-"+mac, mac))
	require.False(t, incident.SameMAC("k8s-worker-1-"+mac, "k8s-worker-2-"+mac))
}

func TestFillFromLeavesAnotherHostAlone(t *testing.T) {
	t.Parallel()
	event := incident.Incident{Host: incident.Host{Name: "k8s-worker-2", MAC: "52:54:00:12:34:56"}}
	filled := event.FillFrom(&incident.Incident{
		Host:       incident.Host{ID: "h1", Name: "k8s-worker-1", MAC: "52:54:00:12:34:56", AgentID: "101"},
		Container:  incident.Container{ID: "6949e5f10829"},
		Kubernetes: incident.Kubernetes{Node: "k8s-worker-1"},
	})
	require.Empty(t, filled)
	require.Equal(t, incident.Incident{Host: incident.Host{Name: "k8s-worker-2", MAC: "52:54:00:12:34:56"}}, event)
}
