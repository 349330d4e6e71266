package incident_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

func TestProtectionsLookAtTheIncidentAndTheAction(t *testing.T) {
	t.Parallel()
	p, err := incident.NewProtections([]incident.Protection{
		{Name: "kube-system", When: `incident.kubernetes.namespace == "kube-system"`},
		{When: `incident.container.image.startsWith("postgres") && action != "KILL_PROCESS"`, Actions: []string{"KILL_*"}},
		{Name: "gold", When: `incident.labels["tier"] == "gold"`, Actions: []string{"FILE_QUARANTINE"}},
	})
	require.NoError(t, err)
	system := &incident.Incident{Kubernetes: incident.Kubernetes{Namespace: "kube-system"}}
	database := &incident.Incident{Container: incident.Container{Image: "postgres:17"}}
	gold := &incident.Incident{Labels: map[string]string{"tier": "gold"}}
	for name, test := range map[string]struct {
		action string
		inc    *incident.Incident
		want   string
	}{
		"every action":      {"ISOLATE_NETWORK", system, `ISOLATE_NETWORK is not carried out: guard.protected "kube-system" protects its target`},
		"without a name":    {"KILL_CONTAINER", database, `KILL_CONTAINER is not carried out: guard.protected "incident.container.image.startsWith(\"postgres\") && action != \"KILL_PROCESS\"" protects its target`},
		"another action":    {"KILL_PROCESS", database, ""},
		"not of its kind":   {"PAUSE_CONTAINER", database, ""},
		"another target":    {"KILL_CONTAINER", &incident.Incident{}, ""},
		"a label":           {"FILE_QUARANTINE", gold, `FILE_QUARANTINE is not carried out: guard.protected "gold" protects its target`},
		"a label, missing":  {"FILE_QUARANTINE", database, `FILE_QUARANTINE is not carried out: guard.protected "gold" cannot be evaluated, which protects, too: no such key: tier`},
		"a label, not gold": {"FILE_QUARANTINE", &incident.Incident{Labels: map[string]string{"tier": "free"}}, ""},
	} {
		require.Equal(t, test.want, p.Of(test.action, test.inc, false), name)
	}
	var none *incident.Protections
	require.Empty(t, none.Of("KILL_CONTAINER", system, false))
	require.False(t, none.About("KILL_CONTAINER"))
}

func TestAProtectionHoldsOfATargetThatNobodyHasSeen(t *testing.T) {
	t.Parallel()
	rule := func(when string) *incident.Protections {
		p, err := incident.NewProtections([]incident.Protection{{Name: "it", When: when}})
		require.NoError(t, err)
		return p
	}
	typed := &incident.Incident{Host: incident.Host{Name: "node-1"}, Container: incident.Container{ID: "6949e5f10829"}}
	for when, unknown := range map[string]string{
		`incident.kubernetes.namespace == "kube-system"`:                                   "kubernetes.namespace",
		`incident.container.image.startsWith("postgres") || incident.cloud.account == "1"`: "cloud.account, container.image",
		`"tier" in incident.labels && incident.labels["tier"] == "gold"`:                   "labels",
		`incident.host.name == "node-2"`:                                                   "",
		`incident.host.name == "node-2" && incident.kubernetes.namespace == "kube-system"`: "",
		`action == "PAUSE_CONTAINER"`:                                                      "",
	} {
		want := ""
		if unknown != "" {
			want = `KILL_CONTAINER is not carried out: guard.protected "it" may protect its target, of which nobody says ` + unknown + ": name its incident, or give it as a parameter"
		}
		require.Equal(t, want, rule(when).Of("KILL_CONTAINER", typed, true), when)
		require.Empty(t, rule(when).Of("KILL_CONTAINER", typed, false), when)
	}
	require.Contains(t, rule(`incident.host.name == "node-1"`).Of("KILL_CONTAINER", typed, true), "protects its target")
	typed.Kubernetes.Namespace = "shop"
	require.Empty(t, rule(`incident.kubernetes.namespace == "kube-system"`).Of("KILL_CONTAINER", typed, true), "it was said")
}

func TestProtectionsKnowWhichActionsTheyAreAbout(t *testing.T) {
	t.Parallel()
	some, err := incident.NewProtections([]incident.Protection{{When: "true", Actions: []string{"KILL_*", "FILE_QUARANTINE"}}})
	require.NoError(t, err)
	require.True(t, some.About("KILL_PROCESS"))
	require.False(t, some.About("FILE_ACQUIRE"))
	all, err := incident.NewProtections([]incident.Protection{{When: "true"}})
	require.NoError(t, err)
	require.True(t, all.About("FILE_ACQUIRE"))
}
