package incident_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

func TestScopedFilter(t *testing.T) {
	t.Parallel()
	const fargate = "0123456789abcdef0123456789abcdef-4242424242"
	for name, tc := range map[string]struct{ container, filter, want, err string }{
		"nothing":              {"", "", "", ""},
		"the whole host":       {"", "proc.name=sh", "proc.name=sh", ""},
		"container":            {"6949e5f10829", "  ", "container.id=6949e5f10829", ""},
		"both":                 {"6949e5f10829", "proc.name=sh or proc.name=nc", "container.id=6949e5f10829 and (proc.name=sh or proc.name=nc)", ""},
		"Fargate":              {fargate, "", "container.id=" + fargate, ""},
		"no ID":                {"6949e5f10829 or evt.type=open", "", "", "expected 12 to 64 hexadecimal digits"},
		"too short":            {"6949e5", "", "", "expected 12 to 64 hexadecimal digits"},
		"leaves its brackets":  {"6949e5f10829", "proc.name=a) or (proc.name=b", "", "must be balanced"},
		"a bracket in a quote": {"6949e5f10829", `proc.cmdline contains "a)"`, `container.id=6949e5f10829 and (proc.cmdline contains "a)")`, ""},
	} {
		got, err := incident.ScopedFilter(tc.container, tc.filter)
		require.Equal(t, tc.want, got, name)
		if tc.err != "" {
			require.ErrorContains(t, err, tc.err, name)
			continue
		}
		require.NoError(t, err, name)
	}
}

func TestCaptureOptionsCheckScopeAndFilter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options incident.CaptureOptions
		want    string
	}{
		"default":        {incident.CaptureOptions{}, ""},
		"host":           {incident.CaptureOptions{Scope: incident.ScopeHost}, ""},
		"container":      {incident.CaptureOptions{Scope: incident.ScopeContainer, Filter: `proc.args contains "("`}, ""},
		"unknown scope":  {incident.CaptureOptions{Scope: "pod"}, `capture.scope: "pod": expected container or host`},
		"closed too far": {incident.CaptureOptions{Filter: "a) or (b"}, "capture.filter: \"a) or (b\": parentheses and quotation marks must be balanced"},
		"never closed":   {incident.CaptureOptions{Filter: "(a"}, "must be balanced"},
		"open quotation": {incident.CaptureOptions{Filter: `a contains "x`}, "must be balanced"},
	} {
		err := tc.options.Check()
		if tc.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, tc.want, name)
	}
}
