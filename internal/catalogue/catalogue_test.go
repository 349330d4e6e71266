package catalogue_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
)

var update = flag.Bool("update", false, "write docs/actions.md anew")

// page is the table as people read it.
const page = "../../docs/actions.md"

func TestTheDocumentationListsTheTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Response actions\n\n" +
		"What Firebreak knows of Sysdig's response actions (`internal/catalogue`). A parameter in bold is required; behind the arrow stands\n" +
		"the incident's field that it is taken from, or its value when nothing is said. Everything else a route or `firebreak act` has to give.\n" +
		"KILL_PROCESS's startTime is `process.start_time` where the event has it and the account's catalogue names the unit. What undoes\n" +
		"another action is done by `firebreak undo`, not by a route; `firebreak act` submits it only with `--force`.\n\n" +
		"| action | class | undone by | parameters |\n|---|---|---|---|\n")
	for _, a := range catalogue.All() {
		undone := a.UndoneBy
		if a.Undoes != "" {
			undone = "(undoes " + a.Undoes + ")"
		}
		var parameters []string
		for _, p := range a.Parameters {
			text := p.Name
			if p.Required {
				text = "**" + p.Name + "**"
			}
			if p.Type != catalogue.Text {
				text += " (" + string(p.Type) + ")"
			}
			switch {
			case p.From != "":
				text += " ← `" + p.From + "`"
			case p.Default != nil:
				text += fmt.Sprintf(" ← %v", p.Default)
			}
			parameters = append(parameters, text)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", a.Name, a.Class, undone, strings.Join(parameters, ", "))
	}
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(b.String()), 0o644))
	}
	written, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(written), "run go test ./internal/catalogue -update")
}

func TestTheTableIsWholeAndConsistent(t *testing.T) {
	t.Parallel()
	all := catalogue.All()
	require.Len(t, all, 24)
	for _, a := range all {
		require.NotEmpty(t, a.Parameters, a.Name)
		if a.UndoneBy != "" {
			reverse, known := catalogue.Find(a.UndoneBy)
			require.True(t, known, a.Name)
			require.Equal(t, a.Name, reverse.Undoes)
			require.Equal(t, a.Class == catalogue.DataGathering, reverse.Contains(), "a freeze must not keep anybody from taking %s back, nor let evidence go", a.Name)
		}
		for _, p := range a.Parameters {
			require.Equal(t, p.From, catalogue.From(p.Name), "%s: %s has one source in every action", a.Name, p.Name)
			if p.From == "" || strings.HasPrefix(p.From, "fields.") {
				continue
			}
			_, known := new(incident.Incident).Field(p.From)
			require.True(t, known, "%s: %s", a.Name, p.From)
			if p.Required {
				require.Contains(t, incident.AmendablePaths(), p.From, "%s: what is required an analyst can supply", a.Name)
			}
		}
	}
}

func TestParametersAreFilledFromWhatIsGivenThenTheIncidentThenTheDefault(t *testing.T) {
	t.Parallel()
	kill, _ := catalogue.Find("KILL_PROCESS")
	incidents := map[string]string{"host.id": "h", "process.pid": "4711"}
	lookup := func(field string) string { return incidents[field] }
	filled, err := kill.Fill(map[string]any{"host.id": "given"}, lookup)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"host.id": "given", "process.id": int64(4711), "startTime": -1}, filled)
}

func TestOnlyFieldsOfWhatIsRequiredAndNotGivenAreAskedFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		given map[string]string
		want  []string
	}{
		"KILL_PROCESS":     {nil, []string{"host.id", "process.pid"}},                     // the start time has a default
		"FILE_ACQUIRE":     {map[string]string{"path.absolute": ""}, []string{"host.id"}}, // the container is optional
		"IAM_UNQUARANTINE": {nil, []string{"cloud.provider", "cloud.account", "user"}},    // nobody can supply fields.*
		"GET_LOGS":         {map[string]string{"kubernetes.cluster.name": ""}, []string{"kubernetes.namespace"}},
	} {
		action, _ := catalogue.Find(name)
		require.Equal(t, test.want, action.Fields(test.given), name)
	}
}

func TestAParameterThatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	nothing := func(string) string { return "" }
	for name, test := range map[string]struct {
		action string
		given  map[string]any
		want   string
	}{
		"missing, of the incident": {"KILL_CONTAINER", map[string]any{"host.id": "h"}, "KILL_CONTAINER: parameter container.id is missing: the incident has no container.id"},
		"missing, of nobody":       {"DELETE_NETWORK_POLICY", map[string]any{"kubernetes.cluster.name": "c", "kubernetes.namespace.name": "n"}, "parameter network_policy_name is missing: no incident tells it"},
		"no number":                {"KILL_PROCESS", map[string]any{"host.id": "h", "process.id": "x"}, `parameter process.id: "x": want a whole number`},
		"a fraction":               {"KILL_PROCESS", map[string]any{"host.id": "h", "process.id": 4711.5}, "parameter process.id: 4711.5: want a whole number"},
		"no number that is exact":  {"KILL_PROCESS", map[string]any{"host.id": "h", "process.id": 1e17}, "parameter process.id: 1e+17: want a whole number"},
		"a boolean as a number":    {"KILL_PROCESS", map[string]any{"host.id": "h", "process.id": true}, "parameter process.id: true: want a whole number"},
		"a control character":      {"FILE_ACQUIRE", map[string]any{"host.id": "h", "path.absolute": "/tmp/x\n"}, "want printable ASCII"},
		"no boolean":               {"GET_LOGS", map[string]any{"kubernetes.cluster.name": "c", "kubernetes.namespace.name": "n", "previous": "yes"}, `parameter previous: "yes": want true or false`},
		"not ASCII":                {"FILE_ACQUIRE", map[string]any{"host.id": "h", "path.absolute": "/tmp/ü"}, "want printable ASCII"},
		"too long":                 {"FILE_ACQUIRE", map[string]any{"host.id": "h", "path.absolute": strings.Repeat("x", 513)}, "it has 513 characters: want at most 512"},
		"another type":             {"KILL_CONTAINER", map[string]any{"host.id": []string{"h"}, "container.id": "c"}, "parameter host.id: [h]: want a text"},
		"unknown":                  {"KILL_CONTAINER", map[string]any{"host.id": "h", "container.id": "c", "force": true}, "parameter force: it has no such parameter: want some of host.id, container.id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			action, _ := catalogue.Find(test.action)
			_, err := action.Fill(test.given, nothing)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestZeroAndFalseAreValues(t *testing.T) {
	t.Parallel()
	logs, _ := catalogue.Find("GET_LOGS")
	p, _ := logs.Parameter("previous")
	v, err := p.Value("false")
	require.NoError(t, err)
	require.Equal(t, false, v)
	capture, _ := catalogue.Find("CAPTURE")
	p, _ = capture.Parameter("capture.past_duration_ns")
	v, err = p.Value(0.0)
	require.NoError(t, err)
	require.Equal(t, int64(0), v)
}

func TestAMisspeltActionIsSuggestedOrListed(t *testing.T) {
	t.Parallel()
	require.EqualError(t, catalogue.Unknown("kill-container"), `action "kill-container": want KILL_CONTAINER`)
	require.ErrorContains(t, catalogue.Unknown("KILL_CONTAINR"), "want one of CAPTURE, CLOUD_VOLUME_SNAPSHOT, DELETE_NETWORK_POLICY")
}

func TestUndoActionsAreRecognised(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"START_CONTAINER": true, "UNPAUSE_CONTAINER": true, "FILE_UNQUARANTINE": true, "DELETE_NETWORK_POLICY": true,
		"KUBERNETES_DELETE_VOLUME_SNAPSHOT": true, "IAM_UNQUARANTINE": true,
		"UNDO_MAKE_PRIVATE_CLOUD_RESOURCE": true, "UNDO_CLOUD_VOLUME_SNAPSHOT": true,
		"UNDO_SOMETHING_NEW": true, "SOMETHING_NEW": false, "": false,
		"KILL_CONTAINER": false, "STOP_CONTAINER": false, "DELETE_POD": false, "CLOUD_VOLUME_SNAPSHOT": false,
	} {
		require.Equal(t, want, catalogue.IsUndo(name), name)
	}
}

func TestExecutionsAreVisibleByTheirClasses(t *testing.T) {
	t.Parallel()
	both := catalogue.Classes()
	for name, test := range map[string]struct {
		action string
		undo   bool
		want   []catalogue.Class
	}{
		"a containment":               {"KILL_CONTAINER", false, []catalogue.Class{catalogue.Containment}},
		"a containment's undo":        {"ISOLATE_NETWORK", true, []catalogue.Class{catalogue.Containment}},
		"a file":                      {"FILE_ACQUIRE", false, []catalogue.Class{catalogue.DataGathering}},
		"a capture":                   {"CAPTURE", false, []catalogue.Class{catalogue.DataGathering}},
		"a snapshot":                  {"CLOUD_VOLUME_SNAPSHOT", false, both},
		"a snapshot's undo":           {"KUBERNETES_VOLUME_SNAPSHOT", true, both},
		"a snapshot's undo by itself": {"KUBERNETES_DELETE_VOLUME_SNAPSHOT", false, both},
		"logs of a cloud":             {"FETCH_CLOUD_LOGS", false, both},
		"an action that is not known": {"SOMETHING_NEW", false, both},
		"undo of what has none":       {"KILL_CONTAINER", true, both},
	} {
		require.Equal(t, test.want, catalogue.VisibleBy(test.action, test.undo), name)
	}
	require.Equal(t, "containment-response-actions.read", catalogue.Containment.Read())
	require.Equal(t, "data-gathering-response-actions.exec", catalogue.DataGathering.Exec())
}
