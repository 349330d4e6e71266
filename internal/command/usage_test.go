package command_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/command"
	"firebreak/signals"
)

func TestWhatIsAskedWronglyExitsWithTwoAndSaysWhatIsAccepted(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                               "a command is missing",
		"expl":                           `unknown command "expl": want explain`,
		"aprove":                         `unknown command "aprove": want approve`,
		"frobnicate":                     `unknown command "frobnicate": want act, amend, approve, capture,`,
		"incidents --nope":               "unknown flag: --nope",
		"incidents x":                    "incidents: 1 arguments: expected none",
		"incidents --output xml":         `--output "xml": want text or json`,
		"incidents --state sleeping":     `--state "sleeping": want one of open, needs-fields, `,
		"incidents --limit 0":            "--limit 0: want 1 to 1000",
		"show":                           "show: 0 arguments: expected the workflow ID of an incident",
		"approve":                        "--reason is missing: want why, for the war room",
		"approve --reason r":             "approve: 0 arguments: expected workflow IDs of incidents, or --query",
		"approve a":                      "--reason is missing",
		"approve a --reason r --query q": `--query "q": 1 IDs are given as well: want one or the other`,
		"reject --query q --reason r --request x": `--request "x": with --query each incident is sent its own`,
		"approve --query q --reason r":            `--query "q": there is no terminal to ask for your consent: want --yes`,
		"undo":                                    "undo: 0 arguments: expected the workflow ID of an incident",
		"undo a b --reason r":                     "undo: 2 arguments: expected the workflow ID of an incident",
		"undo a":                                  "--reason is missing",
		"amend a b --set host.id=1":               "amend: 2 arguments: expected the workflow ID of an incident",
		"show a b":                                "show: 2 arguments: expected the workflow ID of an incident",
		"act":                                     "act: 0 arguments: expected a response action, like KILL_CONTAINER",
		"act KILL_CONTAINER":                      "--reason is missing",
		"act kill-container --reason r":           `action "kill-container": want KILL_CONTAINER`,
		"act explode! --reason r":                 `action "explode!": want one of CAPTURE, `,

		"act KILL_CONTAINER --reason r --param x":                                                       `--param "x": want NAME=VALUE, like container.id=6949e5f10829`,
		"act KILL_CONTAINER --reason r --param pid=7":                                                   `KILL_CONTAINER has no parameter "pid": expected one of host.id, container.id, or a field`,
		"act KILL_CONTAINER --reason r --param host.id=":                                                `--param "host.id=": the value is empty`,
		"act KILL_CONTAINER --reason r --param container.id=host":                                       `field container.id: value "host" means the host itself`,
		"act KILL_CONTAINER --reason r --param host.id=1 --param host.id=1":                             "host.id is given twice",
		"act KILL_PROCESS --reason r --param process.id=x":                                              `--param "process.id=x": "x": want a whole number`,
		"act GET_LOGS --reason r --param previous=yes":                                                  `--param "previous=yes": "yes": want true or false`,
		"act KILL_CONTAINER --reason r --param host.id=é":                                               "want printable ASCII",
		"act KILL_CONTAINER --reason r --param host.id=1 --param container.id=6949e5f10829 --wait 0s":   "--wait 0s: must be more than 0",
		"act KILL_CONTAINER --reason r --param host.id=1 --param container.id=6949e5f10829 --config no": "no",
		"capture --host node-1":                                                                         "--reason is missing",
		"capture node-1 --reason r":                                                                     "capture: 1 arguments: expected none",
		"capture --reason r":                                                                            "--host is missing: expected the name of a host",
		"capture --host h --reason r --container host":                                                  `--container "host": field container.id: value "host" means the host itself`,
		"capture --host h --reason r":                                                                   "--container, --whole-host: expected one of them",
		"capture --host h --reason r --whole-host --container 6949e5f10829":                             "--container, --whole-host: expected one of them",
		"capture --host h --reason r --whole-host --filter (":                                           `--filter: capture.filter: "(": parentheses`,
		"capture --host h --reason r --duration 1500ms":                                                 "--duration 1.5s: must be whole seconds, 1s to 5m0s",
		"capture --host h --reason r --duration 0s":                                                     "--duration 0s: must be whole seconds",
		"capture --host h --reason r --duration 5m1s":                                                   "--duration 5m1s: must be whole seconds",
		"freeze":                                 "--reason is missing",
		"unfreeze --reason=":                     "--reason is missing",
		"freeze all --reason r":                  "freeze: 1 arguments: expected none",
		"freeze --reason r --task-queue=":        `--task-queue "": it is empty`,
		"approve a --reason=":                    "--reason is missing",
		"reject a b --reason r --request q":      `--request "q": a request is that of one incident: want one ID, not 2`,
		"approve a --reason r --wait 0s":         "--wait 0s: must be more than 0, like 10s",
		"approve a --reason r --wait soon":       `invalid argument "soon" for "--wait" flag`,
		"note a":                                 "note: 1 arguments: expected the workflow ID of an incident, and the note in quotes",
		"amend a":                                "--set is missing: want FIELD=VALUE",
		"amend a --set host.id":                  `--set "host.id": want FIELD=VALUE`,
		"amend a --set severity=0":               `field "severity": expected one of tenant.id,`,
		"amend a --set process.pid=x":            `field process.pid: value "x": must be the number of a process`,
		"amend a --set host.id=1 --set host.id=": "host.id is set twice",
		"worker --log-level loud":                `log level "loud": want debug, info, warn or error`,
		"starter --listen nowhere":               `--listen "nowhere": want HOST:PORT, like 127.0.0.1:8080`,
		"worker --metrics-listen :99999":         `--metrics-listen ":99999": want HOST:PORT`,
		"worker --sysdig-region mars":            `--sysdig-region "mars"`,
		"worker --task-queue=":                   `--task-queue "": it is empty`,
		"worker --config nowhere.yaml":           "nowhere.yaml",
		"worker --build-id 2":                    `build ID "2" is given without a deployment name: want both, or none`,
		"worker --deployment-name f":             `deployment name "f" is given without a build ID: want both, or none`,
		"worker --deployment-name=":              "environment variable SYSDIG_SECURE_API_TOKEN is not set",
		"worker":                                 "environment variable SYSDIG_SECURE_API_TOKEN is not set",
		"starter":                                "environment variable FIREBREAK_WEBHOOK_TOKEN is not set",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, &fakeTemporal{}, append(strings.Fields(args), evidenceFlag(t, args)...)...)
			require.Equal(t, 2, code, stderr)
			require.Contains(t, stderr, "firebreak: ")
			require.Contains(t, stderr, want)
			require.Empty(t, stdout)
		})
	}
}

// evidenceFlag keeps processes away from the default evidence store.
func evidenceFlag(t *testing.T, args string) []string {
	if strings.HasPrefix(args, "worker") || strings.HasPrefix(args, "starter") {
		return []string{"--evidence-url", "file://" + t.TempDir()}
	}
	return nil
}

func TestAnAnalystWithoutANameIsRefused(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	code := command.Run(t.Context(), []string{"approve", "a", "--reason", "r"}, command.Env{Stdout: &out, Stderr: &out})
	require.Equal(t, 2, code)
	require.Equal(t, "firebreak: --analyst is missing, USER is not set, and the account has no name: want your name\n", out.String())
}

func TestAnAnalystIsWhoIsGivenOrTheUserOrTheAccount(t *testing.T) {
	t.Parallel()
	for want, tc := range map[string]struct{ given, user string }{"ann": {" ann", "bob"}, "bob": {"", "bob"}, "root": {"", " "}} {
		i := newIncident(counts("done"))
		code := command.Run(t.Context(), []string{"note", minerID, "seen before", "--analyst", tc.given}, command.Env{
			Environ: []string{"USER=" + tc.user}, Account: "root", Stdout: io.Discard, Stderr: io.Discard,
			Connect: func(context.Context) (command.Temporal, error) { return i.temporal(), nil },
		})
		require.Zero(t, code)
		require.Equal(t, []sent{{"run-1", signals.Note, signals.NoteText{Analyst: want, Text: "seen before"}}}, i.sent)
	}
}

func TestATemporalThatCannotBeReachedIsAFailure(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"incidents", "incidents --watch", "show a", "approve a --reason r", "note a b", "amend a --set host.id=1",
		"undo a --reason r", "freeze --reason r", "unfreeze --reason r", "show a --watch",
		"capture --host h --whole-host --reason r", "act KILL_CONTAINER --incident a --reason r", "approve --query q --yes --reason r",
	} {
		var out, errs bytes.Buffer
		code := command.Run(t.Context(), strings.Fields(args), command.Env{
			Environ: []string{"USER=ann"}, Stdout: &out, Stderr: &errs,
			Connect: func(context.Context) (command.Temporal, error) {
				return nil, errors.New("connect to Temporal at x: down")
			},
		})
		require.Equal(t, 1, code, args)
		require.Empty(t, out.String())
		require.Equal(t, "firebreak: connect to Temporal at x: down\n", errs.String())
	}
}
