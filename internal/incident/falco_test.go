package incident_test

import (
	"encoding/json"
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
		"another second":       {"2026-05-25T13:44:06Z", json.Number("1779716645478445995"), exact},
		"a log agent's time":   {"2026-05-25T13:45:01.25Z", json.Number("1779716645478445995"), exact},
		"a float as text":      {nil, "1779716645478446000.000000", exact.Add(5)},
		"six digits":           {"2026-05-25T13:44:05.478Z", json.Number("1.77972e18"), exact.Truncate(time.Millisecond)},
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
