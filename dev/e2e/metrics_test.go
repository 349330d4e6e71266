package e2e_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

var updateMetrics = flag.Bool("update-metrics", false, "write the table of docs/metrics.md anew")

// metricsPage is the table of metrics as people read it.
const metricsPage = "../../docs/metrics.md"

// address is where a process listens, as its log says.
func (p *process) address(f *installation) string {
	f.t.Helper()
	address, err := p.await(f.ctx, `"msg":"listening","address":"([^"]+)"`)
	require.NoError(f.t, err)
	return "http://" + address
}

// scrape reads the metrics of a process, by name.
func (f *installation) scrape(url string) map[string]*dto.MetricFamily {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.ctx, http.MethodGet, url+"/metrics", nil)
	require.NoError(f.t, err)
	response, err := f.http.Do(request)
	require.NoError(f.t, err)
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(f.t, err)
	return families
}

// value is that of the series with these labels, in pairs of names and values.
func value(family *dto.MetricFamily, labels ...string) float64 {
	for _, series := range family.GetMetric() {
		has := map[string]string{}
		for _, label := range series.GetLabel() {
			has[label.GetName()] = label.GetValue()
		}
		matches := true
		for i := 0; i+1 < len(labels); i += 2 {
			matches = matches && has[labels[i]] == labels[i+1]
		}
		if matches {
			return series.GetCounter().GetValue() + series.GetGauge().GetValue() + float64(series.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

// row is the line of a metric in the table.
func row(process string, family *dto.MetricFamily) string {
	unit := ""
	for _, u := range []string{"seconds", "bytes"} {
		if strings.Contains(family.GetName(), "_"+u) {
			unit = u
		}
	}
	labels := map[string]bool{}
	for _, series := range family.GetMetric() {
		for _, label := range series.GetLabel() {
			labels["`"+label.GetName()+"`"] = true
		}
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |\n", family.GetName(), strings.ToLower(family.GetType().String()),
		unit, process, strings.Join(slices.Sorted(maps.Keys(labels)), ", "), family.GetHelp())
}

// The table lists what the processes export, all of it and nothing else, in an
// installation that uses everything that has metrics. Names and help are theirs.
func TestTheDocumentationListsTheMetricsThatTheProcessesExport(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, http.StatusOK)
	f := prepare(t, shared, minerRoute(`, approval: {mode: none}`), sysdigtest.Options{}, newHost())
	f.configure("notify: {urls: ['" + channel.url() + "']}")
	f.journal()
	f.starter()
	worker := f.worker()
	f.openMiner().contained()

	var table strings.Builder
	add := func(process, url string) {
		families := f.scrape(url)
		for _, name := range slices.Sorted(maps.Keys(families)) {
			if strings.HasPrefix(name, "firebreak_") {
				table.WriteString(row(process, families[name]))
			}
		}
	}
	add("starter", f.starterURL)
	add("worker", worker.address(f))

	page, err := os.ReadFile(metricsPage)
	require.NoError(t, err)
	const head, end = "| metric | type | unit | process | labels | meaning |\n|---|---|---|---|---|---|\n", "\n## "
	before, rest, found := strings.Cut(string(page), head)
	require.True(t, found, "the table's head")
	documented, after, found := strings.Cut(rest, end)
	require.True(t, found, "the heading after the table")
	if *updateMetrics {
		require.NoError(t, os.WriteFile(metricsPage, []byte(before+head+table.String()+end+after), 0o644))
		return
	}
	require.Equal(t, table.String(), documented, "run go test ./e2e -run %s -args -update-metrics", t.Name())
}

// What the page says of the SDK's metrics holds where the SDK has exported them;
// the others only come to be when what they count happens, and are at least names
// that the SDK knows.
func TestTheSDKsMetricsInTheDocumentationExist(t *testing.T) {
	t.Parallel()
	f := install(t, shared, minerRoute(`, approval: {mode: none}`), sysdigtest.Options{})
	worker := f.worker()
	f.openMiner().contained()
	exported := f.scrape(worker.address(f))
	source := sdkMetricNames(t)
	page, err := os.ReadFile(metricsPage)
	require.NoError(t, err)
	listed := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`temporal_") {
			continue
		}
		listed++
		name, kind := strings.Trim(cells[1], " `"), strings.TrimSpace(cells[2])
		if family := exported[name]; family != nil {
			require.Equal(t, kind, strings.ToLower(family.GetType().String()), name)
			for _, label := range strings.FieldsFunc(cells[3], func(r rune) bool { return strings.ContainsRune("`, ", r) }) {
				require.GreaterOrEqual(t, value(&dto.MetricFamily{Metric: withLabel(family, label)}), 0.0, "%s has label %s", name, label)
			}
			continue
		}
		bare := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "temporal_"), "_total"), "_seconds")
		require.Contains(t, source, `TemporalMetricsPrefix + "`+bare+`"`, "%s is neither exported nor known to the SDK", name)
	}
	require.Positive(t, listed)
}

// withLabel are the series of a family that have a label.
func withLabel(family *dto.MetricFamily, label string) (with []*dto.Metric) {
	for _, series := range family.GetMetric() {
		if slices.ContainsFunc(series.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label }) {
			with = append(with, series)
		}
	}
	return with
}

// sdkMetricNames is the source of the SDK that names its metrics.
func sdkMetricNames(t *testing.T) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "go.temporal.io/sdk").Output()
	require.NoError(t, err)
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "common", "metrics", "constants.go"))
	require.NoError(t, err)
	return string(source)
}

// A request that is past its escalation is counted by whichever worker is asked,
// also by one that was not there when it was escalated.
func TestARequestThatWaitsPastItsEscalationIsCounted(t *testing.T) {
	t.Parallel()
	f := install(t, ownTemporal(t), minerRoute(`, approval: {mode: one, escalate_after: 300ms, expire_after: 1h}`), sysdigtest.Options{})
	first := f.worker()
	i := f.openMiner()
	f.await("it is escalated", func() bool {
		page, err := i.look()
		return err == nil && told(page, signals.KindReminder, "escalated")
	})
	// An index is a moment behind; each worker counts once, and then not for a while.
	for _, query := range []string{signals.Escalated(), signals.Waiting(signals.AwaitingApproval)} {
		f.await("Temporal counts it", func() bool { return f.count(query) == 1 })
	}
	families := f.scrape(first.address(f))
	require.Equal(t, 1.0, value(families["firebreak_approval_escalations_total"], "playbook", "crypto-miner"))
	first.kill()
	second := f.worker()
	families = f.scrape(second.address(f))
	require.Equal(t, 1.0, value(families["firebreak_incidents_waiting_escalated"]))
	require.Equal(t, 1.0, value(families["firebreak_incidents_waiting"], "state", string(signals.AwaitingApproval)))
	require.Zero(t, value(families["firebreak_incidents_waiting"], "state", string(signals.NeedsFields)))

	i.approve()
	i.contained()
	f.await("Temporal counts none", func() bool { return f.count(signals.Escalated()) == 0 })
	families = f.scrape(second.address(f))
	require.Equal(t, 1.0, value(families["firebreak_actions_total"], "action", "KILL_CONTAINER", "operation", "execute", "outcome", "completed"))
	require.Equal(t, 1.0, value(families["firebreak_incidents_closed_total"], "playbook", "crypto-miner", "outcome", "contained"))
	require.Equal(t, 0.0, value(families["firebreak_incidents_opened_total"], "playbook", "crypto-miner"), "a replay counts nothing again")
	require.Zero(t, value(families["firebreak_approval_escalations_total"], "playbook", "crypto-miner"), "nor here")
}

// Every line about an incident or an event says which, in the same words.
func TestLogLinesSayWhichIncidentTheyAreAbout(t *testing.T) {
	t.Parallel()
	channel := newChannel(t, http.StatusNotFound)
	f := prepare(t, shared, minerRoute(`, approval: {mode: one}`), sysdigtest.Options{}, newHost())
	f.configure("notify: {urls: ['" + channel.url() + "']}")
	f.journal()
	f.starter()
	worker := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	require.NoError(t, f.temporal.SignalWorkflow(f.ctx, i.WorkflowID, "", signals.Approve, "approve"))
	i.approve()
	i.contained()

	// Those of a process, which are about no incident.
	ofProcess := map[string]bool{
		"listening": true, "Started Worker": true, "The worker has started.": true, "Stopped Worker": true, "guard": true, "Containment is allowed again.": true,
		"The guard of this namespace is on another task queue.": true, "waiting incidents not counted": true,
		"Task processing failed with error": true, "No logger configured for temporal client. Created default one.": true,
	}
	about := 0
	for name, p := range map[string]*process{"starter": f.starterProc, "worker": worker} {
		text, err := os.ReadFile(p.output)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			var fields map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
			for key := range fields {
				require.Regexp(t, `^[a-z][a-z_]*$`, key, line)
			}
			if ofProcess[fmt.Sprint(fields["msg"])] || fields["workflow_id"] == signals.GuardID {
				continue
			}
			about++
			require.Equal(t, i.WorkflowID, fields["workflow_id"], "%s: %s", name, line)
			require.NotEmpty(t, fields["run_id"], "%s: %s", name, line)
			if strings.HasPrefix(fmt.Sprint(fields["msg"]), "incident opened") {
				require.NotEmpty(t, fields["event_id"], "%s: %s", name, line)
			}
		}
	}
	require.GreaterOrEqual(t, about, 7, "opened twice, asked, refused, decided, done, closed, not notified")
}
