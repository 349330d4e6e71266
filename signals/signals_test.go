package signals_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/signals"
)

func TestParametersKeepLargeNumbers(t *testing.T) {
	t.Parallel()
	const raw = `{"pending":{"parameters":{"startTime":1796130000123456789}},"actions":[{"parameters":{"startTime":1796130000123456789}}]}`
	var page struct {
		Pending *signals.Request   `json:"pending"`
		Actions []signals.Executed `json:"actions"`
	}
	require.NoError(t, json.Unmarshal([]byte(raw), &page))
	for _, parameters := range []map[string]any{page.Pending.Parameters, page.Actions[0].Parameters} {
		require.Equal(t, json.Number("1796130000123456789"), parameters["startTime"])
	}
}
