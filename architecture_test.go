package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dependencies lists the packages of ours that a package needs, itself left out.
func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./"+pkg).Output()
	require.NoError(t, err)
	var ours []string
	for dep := range strings.Lines(string(out)) {
		if dep = strings.TrimSpace(dep); strings.HasPrefix(dep, "firebreak/") && dep != "firebreak/"+pkg {
			ours = append(ours, strings.TrimPrefix(dep, "firebreak/"))
		}
	}
	return ours
}

func TestPackagesNeedOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	for pkg, allowed := range map[string][]string{
		"internal/catalogue": {},
		"internal/incident":  {"internal/catalogue"},
		"internal/sysdig":    {},
		"signals":            {"internal/catalogue", "internal/incident"},
		"internal/report":    {"internal/catalogue", "internal/incident", "signals"},
		"internal/notify":    {"internal/catalogue", "internal/incident", "signals"},
		"internal/hooks":     {"internal/catalogue", "internal/incident", "signals"},
	} {
		require.Subset(t, allowed, dependencies(t, pkg), pkg)
	}
	require.NotContains(t, dependencies(t, "activities"), "workflows")
	require.NotContains(t, dependencies(t, "starter"), "workflows")
	require.NotContains(t, dependencies(t, "starter"), "activities")
	for _, pkg := range []string{"signals", "workflows", "activities", "worker", "starter", "internal/command"} {
		require.NotContains(t, dependencies(t, pkg), "internal/sysdig/sysdigtest", pkg)
	}
}

// TestPlaybooksAreDeterministicByWhatTheyImport forbids what a playbook must not
// touch; workflowcheck, in make lint, looks at every call.
func TestPlaybooksAreDeterministicByWhatTheyImport(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{join .Imports "\n"}}`, "./workflows").Output()
	require.NoError(t, err)
	imports := strings.Fields(string(out))
	for _, forbidden := range []string{"os", "net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "sync", "go.uber.org/fx"} {
		require.NotContains(t, imports, forbidden)
	}
}

func TestTheTemporalServerStaysOutOfTheProduct(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(content), "go.temporal.io/server")
		require.NotContains(t, string(content), "ui-server")
	}
}
