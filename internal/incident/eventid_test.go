package incident_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

func TestSysdigEventID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"179854fbe16a1279f2ebeb558f1ebe99": true,
		"event-1":                          true,
		"":                                 false,
		"..":                               false,
		"action:KILL_CONTAINER:node-1":     false,
		"capture:node-1":                   false,
		"sha256:0123456789abcdef0123456789abcdef": false,
		"a/b":                   false,
		"a?b":                   false,
		"a b":                   false,
		"é":                     false,
		strings.Repeat("a", 32): true,
		strings.Repeat("a", 33): false,
	} {
		require.Equal(t, want, incident.SysdigEventID(id), id)
	}
	require.False(t, incident.SysdigEventID(falcoAlertID(t)), "Falco gives no ID")
}

// falcoAlertID is the ID of an alert of Falco.
func falcoAlertID(t *testing.T) string {
	t.Helper()
	return one(t, payload(t, "falco-stratum.json")).ID
}
