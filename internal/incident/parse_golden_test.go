package incident_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

var update = flag.Bool("update", false, "rewrite testdata/golden from what Parse gives")

// outcome is an event as the golden files show it, without the raw element.
type outcome struct {
	Adapter  string             `json:"adapter"`
	Path     string             `json:"path,omitzero"`
	Ignored  string             `json:"ignored,omitzero"`
	Incident *incident.Incident `json:"incident,omitzero"`
}

// Every payload maps to exactly the incidents of its golden file.
func TestEveryPayloadMapsAsItsGoldenFileSays(t *testing.T) {
	t.Parallel()
	payloads, err := filepath.Glob("testdata/payloads/*")
	require.NoError(t, err)
	require.NotEmpty(t, payloads)
	for _, path := range payloads {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(path)
			require.NoError(t, err)
			events, err := incident.Parse(body)
			require.NoError(t, err)

			var outcomes []outcome
			for _, e := range events {
				require.True(t, json.Valid(e.Raw))
				o := outcome{Adapter: e.Adapter, Path: e.Path, Ignored: e.Ignored}
				if e.Adapter != "" && e.Ignored == "" {
					o.Incident = &e.Incident
				}
				outcomes = append(outcomes, o)
			}
			got, err := json.MarshalIndent(outcomes, "", "  ")
			require.NoError(t, err)

			golden := filepath.Join("testdata/golden", strings.TrimSuffix(name, filepath.Ext(name))+".json")
			if *update {
				require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(strings.TrimSpace(string(want)), string(got)))
		})
	}
}
