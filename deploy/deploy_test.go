// Package deploy_test checks what operations deploy beside the processes.
package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// rules is the part of Prometheus' rule files that is checked here.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// dashboard is the part of Grafana's dashboards that is checked here.
type dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ H, W, X, Y int }
	Datasource  struct{ UID string } `json:"datasource"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		RefID string `json:"refId"`
		Expr  string `json:"expr"`
	} `json:"targets"`
}

func readRules(t *testing.T) rules {
	t.Helper()
	text, err := os.ReadFile("prometheus/alerts.yaml")
	require.NoError(t, err)
	var r rules
	require.NoError(t, yaml.Unmarshal(text, &r))
	return r
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("grafana/firebreak.json")
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

// documented are the metrics of docs/metrics.md, by name, with their types.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	types := map[string]string{}
	for _, match := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\|").FindAllStringSubmatch(string(text), -1) {
		types[match[1]] = match[2]
	}
	require.NotEmpty(t, types)
	return types
}

var named = regexp.MustCompile(`\b(?:firebreak|temporal)_[a-z0-9_]+`)

// unknown are the metrics an expression names that are not documented. The series
// of a histogram have suffixes.
func unknown(known map[string]string, expression string) (names []string) {
	for _, name := range named.FindAllString(expression, -1) {
		histogram := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
		if known[name] != "counter" && known[name] != "gauge" && (known[histogram] != "histogram" || histogram == name) {
			names = append(names, name)
		}
	}
	return names
}

func TestAlertsAndDashboardNameOnlyDocumentedMetrics(t *testing.T) {
	t.Parallel()
	known := documented(t)
	used := map[string]bool{}
	use := func(where, expression string) {
		require.Empty(t, unknown(known, expression), where)
		for _, name := range named.FindAllString(expression, -1) {
			used[name] = true
			used[regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")] = true
		}
	}
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			use(rule.Alert, rule.Expr)
		}
	}
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			use(p.Title, target.Expr)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		require.True(t, used[name], "%s is documented, and neither an alert nor the dashboard shows it", name)
	}
	require.Equal(t, []string{"firebreak_actions", "firebreak_approval_wait_seconds"},
		unknown(known, "firebreak_actions > 0 and firebreak_approval_wait_seconds > firebreak_approval_wait_seconds_sum"))
}

func TestEveryAlertSaysWhatItIsAndWhatToDo(t *testing.T) {
	t.Parallel()
	tests, err := os.ReadFile("prometheus/alerts_test.yaml")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			require.Regexp(t, `^Firebreak[A-Z]`, rule.Alert)
			require.False(t, seen[rule.Alert], "%s is there twice", rule.Alert)
			seen[rule.Alert] = true
			require.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
			for _, annotation := range []string{"summary", "description", "action"} {
				require.NotEmpty(t, rule.Annotations[annotation], "%s: %s", rule.Alert, annotation)
			}
			firing := `ALERTS{alertname="` + rule.Alert + `",alertstate="firing"}`
			require.Contains(t, string(tests), "{expr: '"+firing+"', eval_time: ", "%s: a test in which it does not fire", rule.Alert)
			require.Regexp(t, regexp.QuoteMeta("{expr: 'count("+firing+")', eval_time: ")+`\d+m, exp_samples: `, string(tests), "%s: a test in which it fires", rule.Alert)
		}
	}
}

// Only Prometheus' own tool knows whether rules fire.
func TestAlertsFireWhenTheyShouldAndOnlyThen(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: it comes with Prometheus (Debian's package prometheus)")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"check", "config", "prometheus.yml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "prometheus"
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", strings.Join(args, " "), output)
	}
}

func TestTheQueriesOfTheDashboardAreQueries(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: it comes with Prometheus (Debian's package prometheus)")
	}
	var recorded []map[string]string
	for _, p := range readDashboard(t).Panels {
		for i, target := range p.Targets {
			recorded = append(recorded, map[string]string{
				"record": fmt.Sprintf("panel_%d_%d", p.ID, i), "expr": strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"),
			})
		}
	}
	file := filepath.Join(t.TempDir(), "rules.json") // which is YAML, too
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": recorded}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	output, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// Grafana shows a dashboard with holes where it does not understand it; what can be
// seen without it is that panels are whole, apart, and ask a data source there is.
func TestTheDashboardIsWhole(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	require.Equal(t, "firebreak", d.UID)
	require.NotEmpty(t, d.Title)
	require.Len(t, d.Templating.List, 1)
	require.Equal(t, "datasource", d.Templating.List[0].Name)
	require.Equal(t, "datasource", d.Templating.List[0].Type)
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		require.Positive(t, p.ID, p.Title)
		require.False(t, ids[p.ID], "%s: the ID %d is there twice", p.Title, p.ID)
		ids[p.ID] = true
		require.NotEmpty(t, p.Title)
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, taken[at], "%s covers it", p.Title)
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.Contains(t, []string{"stat", "timeseries"}, p.Type, p.Title)
		require.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
		require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		refs := map[string]bool{}
		for _, target := range p.Targets {
			require.NotEmpty(t, target.Expr, p.Title)
			require.False(t, refs[target.RefID], "%s: the query %s is there twice", p.Title, target.RefID)
			refs[target.RefID] = true
		}
	}
}
