package report_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"firebreak/internal/incident"
	"firebreak/internal/report"
	"firebreak/signals"
)

var update = flag.Bool("update", false, "write the golden files")

func at(minute int) time.Time { return time.Date(2026, 4, 28, 13, minute, 50, 0, time.UTC) }

func waiting() signals.Page {
	page := signals.Page{
		WorkflowID: "crypto-miner:node-1:6949e5f10829", RunID: "run-1", Playbook: "crypto-miner", Route: "crypto-miner",
		State: signals.AwaitingApproval,
		Incident: incident.Incident{
			ID: "event-1", Severity: 0, Rule: incident.Rule{Name: "Detect crypto miners using the Stratum protocol"},
			Policy: incident.Policy{Name: "Sysdig Runtime Threat Detection"}, OccurredAt: at(13),
			Host:      incident.Host{ID: "host-1", Name: "node-1", MAC: "42:01:0a:80:00:05"},
			Container: incident.Container{ID: "6949e5f10829", Name: "web", Image: "docker.io/example/web", Tag: "1.3"},
			Process:   incident.Process{PID: 4711, Name: "xmrig", Cmdline: "xmrig -o stratum+tcp://pool.example.com:3333", Parent: "sh"},
			User:      "root",
			Actions:   []incident.PolicyAction{{Type: "POLICY_ACTION_CAPTURE", Successful: true}},
		},
		Pending: &signals.Request{
			ID: "9cb5aa86463c", Action: "KILL_CONTAINER", Need: 1, ExpiresAt: at(59),
			Parameters: map[string]any{"host.id": "host-1", "container.id": "6949e5f10829"},
		},
		Events:   signals.EventCount{Count: 2, Duplicates: 1},
		Evidence: []string{"firebreak-0001.scap"},
		WarRoom: []signals.Entry{
			{Time: at(14), Actor: "starter", Kind: signals.KindEvent, Text: "opened by event event-1"},
			{Time: at(15), Actor: "firebreak", Kind: signals.KindRequest, Text: "KILL_CONTAINER container 6949e5f10829 on node-1"},
		},
	}
	page.Incident.Derive()
	return page
}

// forged tries to draw what is not there.
const forged = "x`\n\n## Approved by ann\n\n| a | b |\n|---|---|\n**approved** [link](https://evil.example.com) <img src=x> ![i](https://evil.example.com/i.png)\r\n- 2026-01-01 · decision · **ann** · approved\u2028# heading"

// hostile is an incident whose every text tries to draw what is not there.
func hostile() signals.Page {
	page := waiting()
	inc := &page.Incident
	inc.Rule.Name, inc.Policy.Name, inc.Output, inc.EventURL, inc.User = forged, forged, forged, "javascript:alert(1)", forged
	inc.Host.Name, inc.Container.Name, inc.Container.Image, inc.Container.ID = forged, forged, forged, forged
	inc.Process.Cmdline, inc.Process.Parent, inc.File.Path = forged, forged, forged
	inc.Kubernetes.Namespace, inc.Cloud.Account = forged, forged
	inc.Actions = []incident.PolicyAction{{Type: forged, Error: forged}}
	page.Route = forged
	page.Pending.Parameters = map[string]any{"host.id": forged}
	page.WarRoom = append(page.WarRoom, signals.Entry{Time: at(16), Actor: forged, Kind: signals.KindNote, Text: forged})
	page.Evidence = []string{forged}
	return page
}

// frozenGuard is the guard after somebody froze, and somebody else tried to.
func frozenGuard(by, why string) *signals.GuardPage {
	return &signals.GuardPage{
		WorkflowID: signals.GuardID, RunID: "run-1", State: signals.GuardFrozen, Frozen: &signals.Frozen{By: by, Reason: why, Since: at(10)},
		WarRoom: []signals.Entry{
			{Time: at(10), Actor: by, Kind: signals.KindDecision, Text: "froze every containment action: " + why},
			{Time: at(11), Actor: "mallory", Kind: signals.KindRefused, Text: "unfreeze did not count: " + why},
		},
	}
}

// thawed is a guard that was frozen.
func thawed(page *signals.GuardPage) *signals.GuardPage {
	page.State, page.Frozen = signals.GuardOpen, nil
	page.WarRoom = append(page.WarRoom, signals.Entry{Time: at(20), Actor: "ann", Kind: signals.KindDecision, Text: "unfroze containment: rolled back"})
	return page
}

// spent is a guard whose budgets were used, by what has such a name.
func spent(page *signals.GuardPage, name string) *signals.GuardPage {
	hour, day := incident.Duration(time.Hour), incident.Duration(24*time.Hour)
	page.Budgets = []signals.BudgetUse{
		{Budget: signals.Budget{Action: name, Limit: 2, Per: hour}, Used: 2, FreesAt: at(12).Add(time.Hour)},
		{Budget: signals.Budget{Action: "*", Limit: 9, Per: day}},
	}
	for n := range 12 {
		page.Reservations = append(page.Reservations, signals.Reservation{
			Time: at(12 + n), Action: name, CallerID: name + strconv.Itoa(n), Target: name, Until: at(12 + n).Add(24 * time.Hour),
		})
	}
	return page
}

// asked is whom the request of the waiting page was put to.
func asked() report.Asked {
	return report.Asked{
		Since: at(15), Who: []string{"soc"}, Analysts: []string{"ann", "bob"}, Trust: signals.TrustListed,
		EscalatesAt: at(45), RemindsAt: at(30),
	}
}

func TestPagesAreRenderedAsTheGoldenFilesShow(t *testing.T) {
	t.Parallel()
	plain, hostilePage := waiting(), hostile()

	two := waiting()
	two.Pending.Need, two.Pending.Have = 2, []string{"ann"}
	two.WarRoom = append(two.WarRoom, signals.Entry{
		Time: at(16), Actor: "ann", Kind: signals.KindDecision, Text: "approved KILL_CONTAINER, 1 of 2: confirmed",
	})

	escalated := asked()
	escalated.Reminders, escalated.RemindsAt, escalated.EscalatesAt = 2, at(50), time.Time{}
	escalated.Escalated, escalated.Analysts = []string{"oncall", "managers"}, []string{"ann", "bob", "mia", "zoe"}

	frozen := asked()
	frozen.Frozen = &signals.Frozen{By: "bob", Reason: "a deployment looks like a miner", Since: at(10)}

	needsFields := waiting()
	needsFields.State = signals.NeedsFields
	needsFields.Incident.Host.ID, needsFields.Incident.Process.PID = "", 0
	needsFields.Pending.Action, needsFields.Pending.Parameters = "AMEND", map[string]any{"missing": "host.id, process.pid"}

	process := waiting()
	process.Pending.Action, process.Pending.SeenAt = "KILL_PROCESS", at(3)
	process.Pending.Parameters = map[string]any{"host.id": "h", "process.id": 4711, "startTime": -1}

	keep := waiting()
	keep.Pending.Action, keep.Pending.Parameters = signals.ActionKeep, map[string]any{"action": "PAUSE_CONTAINER", "execution": "x-1"}
	keep.RelatedCut = true
	keep.Related = []signals.RelatedEvent{
		{ID: "r-1", Time: at(3), Rule: "Terminal shell in container", Severity: 5, Output: "a shell was spawned"},
		{ID: "r-2", Time: at(9), Rule: forged, Severity: 0, Output: forged},
	}

	manual := signals.Page{
		WorkflowID: "action:KILL_CONTAINER:node-1:6949e5f10829", Playbook: signals.PlaybookManual, State: signals.AwaitingApproval, Pending: waiting().Pending,
		Incident: incident.Incident{
			ID: "action:KILL_CONTAINER:node-1:6949e5f10829", Host: incident.Host{Name: "node-1"}, Container: incident.Container{ID: "6949e5f10829"},
		},
		WarRoom: []signals.Entry{{Time: at(15), Actor: "eve", Kind: signals.KindEvent, Text: "asks for KILL_CONTAINER: a miner"}},
	}

	verified, open := asked(), report.Asked{Since: at(15), Trust: signals.TrustOpen}
	verified.Trust = signals.TrustVerified

	closed := waiting()
	closed.Pending, closed.State, closed.Outcome = nil, signals.Contained, signals.Contained
	closed.WarRoom = append(closed.WarRoom,
		signals.Entry{Time: at(16), Actor: "ann", Kind: signals.KindDecision, Text: "approved KILL_CONTAINER: confirmed miner"},
		signals.Entry{Time: at(17), Actor: "sysdig", Kind: signals.KindAction, Text: "KILL_CONTAINER COMPLETED: execution 12"},
		signals.Entry{Time: at(18), Actor: "firebreak", Kind: signals.KindCheck, Text: "the detection did not return"},
		signals.Entry{Time: at(18), Actor: "firebreak", Kind: signals.KindOutcome, Text: "closed: contained"},
	)

	none := signals.Page{
		WorkflowID: plain.WorkflowID, Playbook: plain.Playbook, Route: plain.Route, State: signals.Open,
	}

	retrying := waiting()
	retrying.State, retrying.Pending = signals.Saving, nil
	retrying.Retrying = []signals.Retry{
		{Step: "Save the capture as evidence", Failures: 3, Failure: "store capture: no space left on device", FailedAt: at(20), NextAttempt: at(21), GivesUpAt: at(50)},
		{Step: "Call hook ticket: opened", Failures: 16, Failure: forged, FailedAt: at(22), NextAttempt: at(23)},
	}

	guard := signals.GuardPage{WorkflowID: signals.GuardID, RunID: "run-1", State: signals.GuardOpen}

	for name, text := range map[string]string{
		"guard-new.md":       report.GuardDetails(&guard, "default"),
		"guard-open.md":      report.GuardDetails(thawed(frozenGuard("bob", "a deployment looks like a miner")), "prod"),
		"guard-budgets.md":   report.GuardDetails(spent(thawed(frozenGuard("bob", "a drill")), "KILL_CONTAINER"), "default"),
		"guard-frozen.md":    report.GuardDetails(frozenGuard("bob", "a deployment looks like a miner"), "default"),
		"guard-hostile.md":   report.GuardDetails(frozenGuard(forged, forged), forged),
		"no-event-yet.md":    report.Details(&none, report.Asked{}, "default"),
		"waiting.md":         report.Details(&plain, asked(), "default"),
		"waiting-two.md":     report.Details(&two, asked(), "default"),
		"escalated.md":       report.Details(&plain, escalated, "default"),
		"frozen.md":          report.Details(&plain, frozen, "default"),
		"needs-fields.md":    report.Details(&needsFields, asked(), "default"),
		"process.md":         report.Details(&process, asked(), "default"),
		"keep.md":            report.Details(&keep, asked(), "default"),
		"manual.md":          report.Details(&manual, asked(), "default"),
		"verified.md":        report.Details(&plain, verified, "default"),
		"open-to-all.md":     report.Details(&plain, open, "default"),
		"other-namespace.md": report.Details(&plain, asked(), "prod"),
		"retrying.md":        report.Details(&retrying, report.Asked{}, "default"),
		"closed.md":          report.Details(&closed, report.Asked{}, "default"),
		"report.md":          report.Report(&closed),
		"hostile.md":         report.Details(&hostilePage, asked(), "default"),
		"hostile-report.md":  report.Report(&hostilePage),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden := filepath.Join("testdata", name)
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(text), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), text)
		})
	}
}

func TestNothingFromAnEventCanDrawAHeadingALinkOrALine(t *testing.T) {
	t.Parallel()
	page, plain := hostile(), waiting()
	text := report.Details(&page, report.Asked{}, "default") + report.Report(&page)
	for _, forbidden := range []string{"\n## Approved", "[link](", "![i](", " <img", "\n- 2026-01-01", "\u2028", "**approved**"} {
		require.NotContains(t, text, forbidden)
	}
	headings := func(s string) int { return strings.Count(s, "\n#") }
	require.Equal(t, headings(report.Details(&plain, report.Asked{}, "default")), headings(report.Details(&page, report.Asked{}, "default")))
}

func TestThePageStaysSmallHoweverLongTheIncident(t *testing.T) {
	t.Parallel()
	page := hostile()
	worst := strings.Repeat("*", 5000)
	inc := &page.Incident
	inc.Rule.Name, inc.Policy.Name, inc.Output, inc.EventURL, inc.User, inc.ID = worst, worst, worst, worst, worst, worst
	inc.Host.Name, inc.Container.Name, inc.Kubernetes.Pod, inc.Cloud.Region = worst, worst, worst, worst
	inc.Process.Cmdline, inc.Process.Parent, inc.File.Path = worst, worst, worst
	page.Pending.Action, page.Route = worst, worst
	for range 300 {
		inc.Actions = append(inc.Actions, incident.PolicyAction{Type: worst})
	}
	for i := range 5000 {
		page.WarRoom = append(page.WarRoom, signals.Entry{
			Time: at(17), Actor: "ann", Kind: signals.KindNote, Text: fmt.Sprint("note ", i, strings.Repeat("*", 2000)),
		})
	}
	text := report.Details(&page, report.Asked{}, "default")
	require.LessOrEqual(t, len(text), report.MaxDetails)
	require.Contains(t, text, "earlier entries")
	require.Contains(t, text, "Decision wanted", "what is asked must never be pushed out")
}

// TestTheCommandsCanBeCopiedIntoAShell runs each block of code of the pages in
// a shell in which temporal and firebreak only tell what they were given.
func TestTheCommandsCanBeCopiedIntoAShell(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	run := func(block string) []string {
		const told = `temporal() { printf '%s\n--\n' "$@"; }; firebreak() { echo "$TEMPORAL_NAMESPACE"; temporal "$@"; }; `
		out, err := exec.CommandContext(t.Context(), shell, "-c", told+block).Output()
		require.NoError(t, err, block)
		return strings.Split(strings.TrimSuffix(string(out), "\n--\n"), "\n--\n")
	}
	blocks := func(page *signals.Page) []string {
		var found []string
		for i, part := range strings.Split(report.Details(page, asked(), "prod"), "```\n") {
			if i%2 == 1 {
				found = append(found, part)
			}
		}
		require.Len(t, found, 2)
		return found
	}
	payload := func(data string) converter.RawValue {
		return converter.NewRawValue(&common.Payload{Data: []byte(data)})
	}

	page := waiting()
	approve := blocks(&page)
	args := run(approve[0])
	last := len(args) - 1
	require.Equal(t, []string{"workflow", "signal", "--namespace", "prod", "-w", page.WorkflowID, "--name", "approve", "--input"}, args[:last])
	decision, err := signals.DecodeDecision(payload(args[last]))
	require.NoError(t, err)
	require.Equal(t, signals.Decision{Analyst: "YOU", Reason: "WHY", Request: page.Pending.ID}, decision)
	require.Equal(t, []string{"prod\napprove", page.WorkflowID, "--request", page.Pending.ID, "--reason", "WHY"}, run(approve[1]))

	page.State, page.Pending.Parameters = signals.NeedsFields, map[string]any{"missing": "host.id, process.pid"}
	amend := blocks(&page)
	args = run(amend[0])
	require.Equal(t, []string{"workflow", "signal", "--namespace", "prod", "-w", page.WorkflowID, "--name", "amend", "--input"}, args[:last])
	amendment, err := signals.DecodeAmendment(payload(args[last]))
	require.NoError(t, err)
	require.Equal(t, signals.Amendment{Analyst: "YOU", Fields: map[string]signals.Scalar{"host.id": "VALUE", "process.pid": "VALUE"}}, amendment)
	require.Equal(t, []string{"prod\namend", page.WorkflowID, "--set", "host.id=VALUE", "--set", "process.pid=VALUE"}, run(amend[1]))

	page.WorkflowID = "it's a `strange` $(one)"
	require.Contains(t, run(blocks(&page)[0]), "it_s a _strange_ $(one)", "one word, and nothing is run")
}

func TestTheCommandsOfTheGuardCanBeCopiedIntoAShell(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	for turn, page := range map[string]*signals.GuardPage{
		signals.Unfreeze: frozenGuard("bob", "x"),
		signals.Freeze:   thawed(frozenGuard("bob", "x")),
	} {
		blocks := strings.Split(report.GuardDetails(page, "it's $(one)"), "```\n")
		require.Len(t, blocks, 5)
		out, err := exec.CommandContext(t.Context(), shell, "-c", `temporal() { printf '%s\n' "$@"; }; firebreak() { echo "$TEMPORAL_NAMESPACE"; temporal "$@"; }; `+blocks[1]+blocks[3]).Output()
		require.NoError(t, err)
		require.Equal(t, []string{
			"workflow", "signal", "--namespace", "it_s $(one)", "-w", signals.GuardID, "--name", turn, "--input", `{"analyst":"YOU","reason":"WHY"}`,
			"it_s $(one)", turn, "--reason", "WHY", "",
		}, strings.Split(string(out), "\n"))
	}
}

func TestThePageOfTheGuardStaysSmallHoweverLongItsWarRoom(t *testing.T) {
	t.Parallel()
	worst := strings.Repeat("*", 5000)
	page := frozenGuard(worst, worst)
	for n := range 500 {
		page.WarRoom = append(page.WarRoom, signals.Entry{Time: at(17), Actor: "ann", Kind: signals.KindRefused, Text: fmt.Sprint("freeze ", n, worst)})
	}
	for range 10 {
		spent(page, worst)
	}
	for range 30 {
		page.Budgets = append(page.Budgets, page.Budgets[0])
	}
	text := report.GuardDetails(page, strings.Repeat("'", 1000))
	require.LessOrEqual(t, len(text), report.MaxDetails)
	require.Contains(t, text, "Containment is frozen", "how it stands must never be pushed out")
	require.Contains(t, text, "firebreak unfreeze")
	require.Contains(t, text, "freeze 499", "the latest first")
	require.NotContains(t, text, "freeze 400")
}

func TestTheReportCutsNothing(t *testing.T) {
	t.Parallel()
	page := waiting()
	long := strings.Repeat("a long command line ", 100) + "and its end"
	page.Incident.Process.Cmdline = long
	for i := range 50 {
		page.Incident.Actions = append(page.Incident.Actions, incident.PolicyAction{Type: fmt.Sprint("action ", i)})
		page.WarRoom = append(page.WarRoom, signals.Entry{Kind: signals.KindDecision, Text: fmt.Sprint(i, long)})
		page.Evidence = append(page.Evidence, fmt.Sprint("file-", i))
	}
	text := report.Report(&page)
	require.Equal(t, 101, strings.Count(text, long), "the field, and each entry twice")
	for _, want := range []string{"action 49", "file-49"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "more:")
}

func TestAClosedPageBeginsWithTheOutcomeAndWhoDecidedWhat(t *testing.T) {
	t.Parallel()
	page := waiting()
	page.Pending, page.Outcome = nil, signals.Contained
	for i := range 40 {
		page.WarRoom = append(page.WarRoom, signals.Entry{Actor: "ann", Kind: signals.KindDecision, Text: fmt.Sprint("approved request ", i)})
	}
	text := report.Details(&page, report.Asked{Frozen: &signals.Frozen{By: "bob"}}, "default")
	before, _, found := strings.Cut(text, "### Event")
	require.True(t, found)
	require.Contains(t, before, "**contained**")
	require.Contains(t, before, "approved request 39")
	require.NotContains(t, before, "approved request 31\n", "only the latest have room there")
	require.NotContains(t, text, "frozen", "which is of no matter any more")
}

func TestNumbersInParametersAreWrittenAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	got := report.Parameters(map[string]any{
		"pid": 2140169.0, "id": int64(7), "ratio": 0.5, "large": 1e300, "on": true, "name": "x", "list": []any{1.0, "a"},
	})
	require.Equal(t, "id=7, large=1e+300, list=[1 a], name=x, on=true, pid=2140169, ratio=0.5", got)
}

func TestTheTenantStandsBesideTheRoute(t *testing.T) {
	t.Parallel()
	page := signals.Page{Playbook: "crypto-miner", Route: "miners", Tenant: "acme_corp"}
	for _, text := range []string{report.Details(&page, report.Asked{}, "default"), report.Report(&page)} {
		require.Contains(t, text, `route miners, tenant acme\_corp`+"\n")
	}
	page.Tenant = ""
	require.NotContains(t, report.Report(&page), "tenant")
}
