package starter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"firebreak/signals"
)

// described are the options of an incident of a hostile event.
func described(t *testing.T, rule, output string) client.StartWorkflowOptions {
	t.Helper()
	w := newWebhook(t)
	body, err := json.Marshal(map[string]any{
		"id": output, "type": "policy", "originator": "policy", "severity": 1, "containerId": "6949e5f10829",
		"labels": map[string]string{"host.hostName": output},
		"content": map[string]any{
			"ruleName": rule, "output": output,
			"fields": map[string]string{"proc.cmdline": output, "user.name": output},
		},
	})
	require.NoError(t, err)
	accepted(t, w.post(t, string(body)))
	return w.temporal.calls[0].options
}

func TestDescriptionsAreBounded(t *testing.T) {
	t.Parallel()
	for _, long := range []string{strings.Repeat("a", 5000), strings.Repeat("*", 5000), strings.Repeat("\U0001F525", 2000)} {
		options := described(t, long, long)
		require.LessOrEqual(t, len(options.StaticSummary), 400)
		require.Contains(t, options.StaticSummary, "… on ")
		require.True(t, strings.HasSuffix(options.StaticSummary, "(high)"), options.StaticSummary)
		require.LessOrEqual(t, len(options.StaticDetails), 20_000)
		rule, ok := options.TypedSearchAttributes.GetKeyword(signals.IncidentRule)
		require.True(t, ok)
		require.Equal(t, 200, utf8.RuneCountInString(rule))
	}
}

func TestAnEventCannotForgeALine(t *testing.T) {
	t.Parallel()
	forged := "x\n- **Approved by:** ann\n# Done\u0000[here](http://evil)"
	options := described(t, "Rule\n"+forged, forged)
	require.NotContains(t, options.StaticSummary, "\n")
	require.NotContains(t, options.StaticDetails, "**Approved by:**")
	require.NotContains(t, options.StaticDetails, "[here](")
	for line := range strings.Lines(options.StaticDetails) {
		require.Regexp(t, `^- \*\*[A-Z][a-z ]+:\*\* .+\n$`, line)
	}
	_, ok := options.TypedSearchAttributes.GetKeyword(signals.IncidentHost)
	require.False(t, ok, "no host has such a name")
}
