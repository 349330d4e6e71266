package activities_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
)

// The client does not know what an event holds, and the adapters do not know the
// client: what one returns the others must read.
func TestAnEventOfSysdigsAPIIsAnIncident(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "internal", "incident", "testdata", "payloads", "event-miner-ml.json"))
	require.NoError(t, err)
	b := newBench(t, sysdigtest.Options{Events: []json.RawMessage{raw}})
	const id = "1a334cdef0060123456789abcdef64ab"
	one, err := b.activities.Sysdig.Event(t.Context(), id)
	require.NoError(t, err)
	at := time.Unix(0, 1743822001115928611)
	listed, err := b.activities.Sysdig.Events(t.Context(), at.Add(-time.Minute), at.Add(time.Minute), `host.hostName = "gke-node-1"`, 10)
	require.NoError(t, err)
	require.Len(t, listed, 1)
	for _, raw := range []json.RawMessage{one, listed[0]} {
		events, err := incident.Parse(raw)
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, "sysdig-event", events[0].Adapter)
		require.Equal(t, id, events[0].Incident.ID)
		require.Equal(t, "xmrig", events[0].Incident.Process.Name)
	}
}
