package command_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/signals"
)

func TestACaptureByHandIsAnActionWithItsOptions(t *testing.T) {
	t.Parallel()
	m := newManual(newIncident(nil), running, awaitingApproval())
	code, stdout, stderr := run(t, m.fakeTemporal, "capture", "--host", "node-1", "--container", fullID, "--duration", "1m", "--filter", "proc.name=x",
		"--tenant", "emea", "--reason", "what does it do?", "--analyst", "bob")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "action        action:CAPTURE:node-1:0123456789ab:24ee71e72791:tenant=emea\n")
	require.Contains(t, stdout, "by somebody other than bob\n")
	require.Equal(t, []signals.ManualInput{{
		Action: "CAPTURE", Parameters: map[string]signals.Scalar{"host.name": "node-1", "container.id": "0123456789ab"},
		Capture: &incident.CaptureOptions{Duration: incident.Duration(time.Minute), Filter: "proc.name=x"},
		Tenant:  "emea", Requester: "bob", Reason: "what does it do?",
	}}, m.started)
}

func TestACaptureOfAHostTakes15Seconds(t *testing.T) {
	t.Parallel()
	m := newManual(newIncident(nil), running, awaitingApproval())
	code, _, stderr := run(t, m.fakeTemporal, "capture", "--host", "node-1", "--whole-host", "--reason", "r")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, "action:CAPTURE:node-1:dd8880462185", m.options.ID)
	require.Equal(t, map[string]signals.Scalar{"host.name": "node-1"}, m.started[0].Parameters)
	require.Equal(t, incident.Duration(15*time.Second), m.started[0].Capture.Duration)
	require.Equal(t, incident.ScopeHost, m.started[0].Capture.Scope)
}
