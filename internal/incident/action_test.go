package incident_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

func TestAMistakeInARoutesActionIsNamedWithWhatIsAccepted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit  func(*incident.Route)
		field string
		want  string
	}{
		"misspelt action": {func(r *incident.Route) { r.Action = "kill-container" }, "action", `action "kill-container": want KILL_CONTAINER, or auto`},
		"age of no process": {
			func(r *incident.Route) { r.Action, r.MaxProcessAge = "KILL_CONTAINER", 1 }, "max_process_age", "the route does not ask for KILL_PROCESS",
		},
		"age of a captured process": {
			func(r *incident.Route) { r.Playbook, r.MaxProcessAge = "capture", 1 }, "max_process_age", "the route does not ask for KILL_PROCESS",
		},
		"no action":          {func(r *incident.Route) { r.Action = "kill it" }, "action", "want one of CAPTURE"},
		"parameters of auto": {func(r *incident.Route) { r.Parameters = map[string]string{"host.id": `"x"`} }, "parameters", "want action: NAME with them"},
		"unknown parameter": {
			func(r *incident.Route) { r.Action, r.Parameters = "KILL_CONTAINER", map[string]string{"force": "true"} },
			"parameters.force", "KILL_CONTAINER has no such parameter; want some of host.id, container.id",
		},
		"parameter that no incident has": {
			func(r *incident.Route) {
				r.Action, r.Parameters = "FETCH_CLOUD_LOGS", map[string]string{"fromTimestamp": "'1'"}
			},
			"parameters.toTimestamp", "it is missing",
		},
		"undo action":             {func(r *incident.Route) { r.Action = "DELETE_NETWORK_POLICY" }, "action", "takes another action back"},
		"undo action of Sysdig's": {func(r *incident.Route) { r.Action = "UNDO_SOMETHING_NEW" }, "action", "takes another action back"},
		"undo action, auto undo":  {func(r *incident.Route) { r.Action = "UNPAUSE_CONTAINER" }, "action", "takes another action back"},
		"expression": {
			func(r *incident.Route) {
				r.Action, r.Parameters = "FILE_ACQUIRE", map[string]string{"path.absolute": "incident.fil.path"}
			}, "parameters.path.absolute", "undefined field 'fil'",
		},
		"a list": {
			func(r *incident.Route) {
				r.Action, r.Parameters = "FILE_ACQUIRE", map[string]string{"path.absolute": "incident.rule.tags"}
			}, "parameters.path.absolute", "its type is list(string)",
		},
		"undo of what nothing undoes": {func(r *incident.Route) { r.Action, r.AutoUndoAfter = "KILL_CONTAINER", 1 }, "auto_undo_after", "nothing undoes KILL_CONTAINER"},
		"action of another playbook":  {func(r *incident.Route) { r.Playbook, r.Action = "crypto-miner", "KILL_CONTAINER" }, "action", "want playbook: respond"},
		"undo of another playbook":    {func(r *incident.Route) { r.Playbook, r.AutoUndoAfter = "crypto-miner", 1 }, "auto_undo_after", "want playbook: respond"},
		"unknown backend":             {func(r *incident.Route) { r.Capture.Backend = "s3" }, "capture.backend", `"s3": want capture or response-action`},
		"backend without storage":     {func(r *incident.Route) { r.Capture.Backend = incident.BackendResponseAction }, "capture.storage_configuration_id", "it is missing"},
		"storage without backend":     {func(r *incident.Route) { r.Capture.StorageConfigurationID = "7" }, "capture.storage_configuration_id", "want it left out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			route := incident.Route{Name: "act", When: "true", Playbook: "respond"}
			test.edit(&route)
			_, err := incident.NewRouter([]incident.Route{route})
			var wrong *incident.RouteError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, test.field, wrong.Field)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestRoutesOfRespondAreAccepted(t *testing.T) {
	t.Parallel()
	for _, route := range []incident.Route{
		{},
		{Action: "auto"},
		{Action: "PAUSE_CONTAINER", AutoUndoAfter: incident.Duration(time.Hour)},
		{Action: "FILE_QUARANTINE", Parameters: map[string]string{"path.absolute": `incident.fields["fd.name"]`}},
		{Action: "SYSDIG_MAY_HAVE_MORE", Parameters: map[string]string{"anything": "1 + 1"}},
	} {
		route.Name, route.When, route.Playbook = "act", "true", "respond"
		_, err := incident.NewRouter([]incident.Route{route})
		require.NoError(t, err)
	}
}

func TestParametersAreTextsNumbersAndBooleans(t *testing.T) {
	t.Parallel()
	p, err := incident.NewParameters(map[string]string{
		"text": `incident.host.name + "/x"`, "number": "incident.process.pid + 1", "unsigned": `uint("4711")`, "truth": `incident.severity <= 3`,
		"field": `incident.fields["fd.name"]`, "chosen": `"k" in incident.labels ? incident.labels["k"] : "none"`, "nothing": `dyn(null)`,
	})
	require.NoError(t, err)
	values, err := p.Eval(&incident.Incident{Host: incident.Host{Name: "node-1"}, Process: incident.Process{PID: 4710}})
	require.Equal(t, map[string]any{"text": "node-1/x", "number": json.Number("4711"), "unsigned": json.Number("4711"), "truth": true, "chosen": "none"}, values)
	require.EqualError(t, err, "parameter field: no such key: fd.name")

	p, err = incident.NewParameters(map[string]string{"fraction": "dyn(1.5)", "list": "dyn([1])"})
	require.NoError(t, err)
	values, err = p.Eval(&incident.Incident{})
	require.Empty(t, values)
	require.EqualError(t, err, "parameter fraction: its type is double; want a text, a whole number or a boolean\n"+
		"parameter list: its type is list; want a text, a whole number or a boolean")
}

func TestRoutesThatMayKillAProcessLimitItsAge(t *testing.T) {
	t.Parallel()
	for _, route := range []incident.Route{
		{Playbook: "crypto-miner"}, {Playbook: "respond"}, {Playbook: "respond", Action: incident.ActionAuto}, {Playbook: "respond", Action: "KILL_PROCESS"},
	} {
		route.Name, route.When, route.MaxProcessAge = "kill", "true", incident.Duration(time.Minute)
		_, err := incident.NewRouter([]incident.Route{route})
		require.NoError(t, err, "%s %s", route.Playbook, route.Action)
	}
}
