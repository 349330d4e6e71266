package incident_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

func route(name, when string) incident.Route {
	return incident.Route{Name: name, When: when, Playbook: "capture"}
}

func TestTheFirstMatchingRouteWinsAndEveryRouteSaysWhy(t *testing.T) {
	t.Parallel()
	r, err := incident.NewRouter([]incident.Route{
		route("broken", `incident.labels["team"] == "red"`),
		route("mild", `incident.severity > 3`),
		route("miner", `incident.rule.name == "Detect crypto miners using the Stratum protocol"`),
		route("severe", `incident.severity <= 3`),
	})
	require.NoError(t, err)
	match, verdicts := r.Match(one(t, payload(t, "forwarder-stratum-batch.json")))
	require.Equal(t, "miner", match.Name)
	require.Empty(t, cmp.Diff([]incident.Verdict{
		{Name: "broken", Reason: `error evaluating incident.labels["team"] == "red": no such key: team`, Failed: true},
		{Name: "mild", Reason: `false: incident.severity > 3`},
		{Name: "miner", Matched: true, Reason: `true: incident.rule.name == "Detect crypto miners using the Stratum protocol"`},
		{Name: "severe", Reason: `not reached, route miner matched before; true: incident.severity <= 3`},
	}, verdicts))

	match, verdicts = r.Match(&incident.Incident{Severity: 4, Labels: map[string]string{"team": "blue"}})
	require.Equal(t, "mild", match.Name)
	require.Len(t, verdicts, 4)

	none, err := incident.NewRouter(nil)
	require.NoError(t, err)
	match, verdicts = none.Match(&incident.Incident{})
	require.Nil(t, match)
	require.NotNil(t, verdicts)
	require.Empty(t, verdicts)
}

func TestAConditionSeesTheWholeIncidentByItsJSONNames(t *testing.T) {
	t.Parallel()
	i := one(t, payload(t, "forwarder-stratum-batch.json"))
	i.Actions = []incident.PolicyAction{{Type: "POLICY_ACTION_KILL", Successful: true}}
	for _, condition := range []string{
		`incident.id.startsWith("18")`,
		`incident.severity in [0, 1] && incident.severity_label == "high" && incident.priority == "critical"`,
		`incident.occurred_at > timestamp("2024-01-01T00:00:00Z") && incident.occurred_at.getFullYear() == 2024`,
		`incident.rule.tags.exists(t, t.contains("T1496"))`,
		`incident.policy.version >= 35`,
		`incident.host.agent_id == "58014837" && has(incident.host.mac) && !has(incident.host.id)`,
		`incident.kubernetes.workload_type == "deployment" && incident.kubernetes.namespace == "default"`,
		`incident.process.pid == 2140169 && incident.process.cmdline.matches("stratum2?[+](tcp|ssl)")`,
		`incident.file.path == ""`,
		`"gcp.region" in incident.labels && incident.labels["gcp.region"] == "us-central1"`,
		`incident.fields["proc.ppid"] == "2140088"`,
		`incident.actions.exists(a, a.successful && a.type == "POLICY_ACTION_KILL")`,
		`!has(incident.tenant.id) && incident.user == "root" && incident.cloud.provider != "aws"`,
		`true`,
	} {
		r, err := incident.NewRouter([]incident.Route{route("r", condition)})
		require.NoError(t, err, condition)
		match, verdicts := r.Match(i)
		require.NotNil(t, match, verdicts)
	}
}

func TestAConditionThatCostsTooMuchDoesNotHold(t *testing.T) {
	t.Parallel()
	r, err := incident.NewRouter([]incident.Route{
		route("cubic", `incident.labels.exists(a, incident.labels.exists(b, incident.labels.exists(c, a + b + c == "x")))`),
		route("rest", `true`),
	})
	require.NoError(t, err)
	labels := map[string]string{}
	for n := range 256 {
		labels[fmt.Sprint(n)] = ""
	}
	match, verdicts := r.Match(&incident.Incident{Labels: labels})
	require.Equal(t, "rest", match.Name)
	require.Contains(t, verdicts[0].Reason, "cost limit")
}

func TestAMistakeInARouteIsNamedWithWhatIsAccepted(t *testing.T) {
	t.Parallel()
	severity := func(s incident.Severity) *incident.Severity { return &s }
	for name, tc := range map[string]struct {
		change func(r *incident.Route)
		field  string
		says   []string
	}{
		"no name":            {func(r *incident.Route) { r.Name = " " }, "name", []string{"empty"}},
		"unknown playbook":   {func(r *incident.Route) { r.Playbook = "resopnd" }, "playbook", []string{`"resopnd"`, "capture", "crypto-miner", "respond"}},
		"misspelt field":     {func(r *incident.Route) { r.When = "incident.sevrity <= 3" }, "when", []string{"line 1, column 9", "sevrity", "incident.sevrity <= 3"}},
		"on the second line": {func(r *incident.Route) { r.When = "true &&\n incident.rule.nam == ''" }, "when", []string{"line 2, column 15", "nam"}},
		"every mistake":      {func(r *incident.Route) { r.When = "incident.a == 1 || incident.b == 1" }, "when", []string{"'a'", "'b'"}},
		"no boolean":         {func(r *incident.Route) { r.When = "incident.severity" }, "when", []string{"int", "want bool"}},
		"type mismatch":      {func(r *incident.Route) { r.When = `incident.severity == "high"` }, "when", []string{"no matching overload"}},
		"syntax":             {func(r *incident.Route) { r.When = "incident.severity <=" }, "when", []string{"line 1", "Syntax error"}},
		"unknown variable":   {func(r *incident.Route) { r.When = "event.id == ''" }, "when", []string{"undeclared reference", "event"}},
		"no condition":       {func(r *incident.Route) { r.When = "" }, "when", []string{"empty", "or true"}},
		"unknown field":      {func(r *incident.Route) { r.CorrelateBy = []string{"host.name", "host.nam"} }, "correlate_by[1]", []string{`"host.nam"`, "container.id"}},
		"field twice":        {func(r *incident.Route) { r.CorrelateBy = []string{"user", "user"} }, "correlate_by[1]", []string{"twice"}},
		"severity too mild":  {func(r *incident.Route) { r.MaxSeverity = severity(8) }, "max_severity", []string{"8", "0..7"}},
		"negative severity":  {func(r *incident.Route) { r.MaxSeverity = severity(-1) }, "max_severity", []string{"-1", "0..7"}},
		"capture too long":   {func(r *incident.Route) { r.Capture.Duration = minutes(6) }, "capture.duration", []string{"6m0s", "1s to 5m0s"}},
		"capture too short":  {func(r *incident.Route) { r.Capture.Duration = incident.Duration(time.Millisecond) }, "capture.duration", []string{"1ms"}},
		"capture fraction":   {func(r *incident.Route) { r.Capture.Duration = incident.Duration(1500 * time.Millisecond) }, "capture.duration", []string{"whole seconds"}},
		"mode three":         {func(r *incident.Route) { r.Approval.Mode = "three" }, "approval.mode", []string{`"three"`, "none, one or two"}},
		"save mode three":    {func(r *incident.Route) { r.SaveApproval.Mode = "three" }, "save_approval.mode", []string{`"three"`}},
		"late reminder": {func(r *incident.Route) {
			r.Approval.RemindEvery, r.Approval.ExpireAfter = minutes(10), minutes(10)
		}, "approval.remind_every", []string{"10m0s", "expire_after"}},
		"late escalation": {func(r *incident.Route) { r.Approval.EscalateAfter = minutes(24 * 60) }, "approval.escalate_after", []string{"24h0m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := route("r", "true")
			tc.change(&bad)
			_, err := incident.NewRouter([]incident.Route{route("good", "true"), bad})
			var problem *incident.RouteError
			require.ErrorAs(t, err, &problem)
			require.Equal(t, tc.field, problem.Field)
			require.Equal(t, 1, problem.Index)
			for _, part := range tc.says {
				require.Contains(t, err.Error(), part)
			}
			require.NotContains(t, err.Error(), `"good"`)
		})
	}
}

func TestAllMistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, err := incident.NewRouter([]incident.Route{
		{Name: "a", When: "incident.sevrity <= 3", Playbook: "nope"},
		{Name: "a", When: "1", Playbook: "capture"},
	})
	var joined interface{ Unwrap() []error }
	require.True(t, errors.As(err, &joined))
	require.Len(t, joined.Unwrap(), 4)
	require.Contains(t, err.Error(), `route "a": name: routes[0] has it too`)
}

func TestARouteIsFilledWithDefaults(t *testing.T) {
	t.Parallel()
	filled := incident.Route{}.WithDefaults()
	standard := incident.Approval{Mode: incident.ModeOne, RemindEvery: minutes(15), ExpireAfter: minutes(24 * 60)}
	require.Equal(t, []string{"host.name", "container.id"}, filled.CorrelateBy)
	require.Equal(t, standard, filled.Approval)
	require.Equal(t, standard, filled.SaveApproval)
	require.Equal(t, incident.Duration(15*time.Second), filled.Capture.Duration)
	require.Equal(t, incident.Duration(30*time.Second), *filled.CoolDown)
	require.Nil(t, filled.MaxSeverity)

	zero := incident.Duration(0)
	kept := incident.Route{CorrelateBy: []string{"user"}, CoolDown: &zero, Capture: incident.CaptureOptions{Duration: minutes(1)}}.WithDefaults()
	require.Equal(t, []string{"user"}, kept.CorrelateBy)
	require.Zero(t, *kept.CoolDown, "0s is not absence here")
	require.Equal(t, minutes(1), kept.Capture.Duration)
}

func TestAPartialApprovalGetsTheRest(t *testing.T) {
	t.Parallel()
	const none, one = incident.ModeNone, incident.ModeOne
	for name, tc := range map[string]struct {
		approval, save         incident.Approval
		wantApproval, wantSave incident.Approval
	}{
		"the rest is the default": {
			incident.Approval{EscalateAfter: minutes(30)},
			incident.Approval{},
			approval(one, minutes(15), minutes(30), minutes(1440)),
			approval(one, minutes(15), minutes(30), minutes(1440)),
		},
		"the save approval's rest is the approval": {
			incident.Approval{RemindEvery: minutes(5), ExpireAfter: minutes(60)},
			incident.Approval{Mode: none},
			approval(one, minutes(5), 0, minutes(60)),
			approval(none, minutes(5), 0, minutes(60)),
		},
		"a reminder after the expiry is left out": {
			incident.Approval{ExpireAfter: minutes(10)},
			incident.Approval{},
			approval(one, 0, 0, minutes(10)),
			approval(one, 0, 0, minutes(10)),
		},
		"an escalation after the expiry is left out": {
			incident.Approval{EscalateAfter: minutes(30)},
			incident.Approval{ExpireAfter: minutes(20)},
			approval(one, minutes(15), minutes(30), minutes(1440)),
			approval(one, minutes(15), 0, minutes(20)),
		},
		"no approval keeps its durations for the questions that remain": {
			incident.Approval{Mode: none},
			incident.Approval{},
			approval(none, minutes(15), 0, minutes(1440)),
			approval(none, minutes(15), 0, minutes(1440)),
		},
		"who writes durations wants to be asked": {
			incident.Approval{Mode: none},
			incident.Approval{ExpireAfter: minutes(60)},
			approval(none, minutes(15), 0, minutes(1440)),
			approval(one, minutes(15), 0, minutes(60)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			written := route("r", "true")
			written.Approval, written.SaveApproval = tc.approval, tc.save
			filled := written.WithDefaults()
			require.Equal(t, tc.wantApproval, filled.Approval)
			require.Equal(t, tc.wantSave, filled.SaveApproval)
			require.Empty(t, cmp.Diff(filled, filled.WithDefaults()), "filling twice changes nothing")
			_, err := incident.NewRouter([]incident.Route{filled})
			require.NoError(t, err, "a filled route is a valid one")
		})
	}
}

func minutes(n int) incident.Duration { return incident.Duration(time.Duration(n) * time.Minute) }

func approval(mode incident.Mode, remind, escalate, expire incident.Duration) incident.Approval {
	return incident.Approval{Mode: mode, RemindEvery: remind, EscalateAfter: escalate, ExpireAfter: expire}
}
