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
		require.Equal(t, test.want, p.Of(test.action, test.inc), name)
	}
	var none *incident.Protections
	require.Empty(t, none.Of("KILL_CONTAINER", system))
	require.False(t, none.About("KILL_CONTAINER"))
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
