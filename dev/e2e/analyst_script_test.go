package e2e_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// Each script in testdata/script is an analyst at a shell, beside an
// installation of its own: with the routes of a file routes.yaml in the script,
// or else those of most tests, and with the other settings of a file
// settings.yaml. $USER is ann. What a script can do besides what testscript
// documents is listed in commands.
func TestAnalystsAtAShell(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/script/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temporal := shared
			switch name {
			case "freeze": // there is one guard in a namespace, and it stops everybody
				temporal = ownTemporal(t)
			case "verified":
				temporal = ownTemporal(t, "ann", "bob", "mallory")
			}
			s := &shell{t: t, temporal: temporal}
			testscript.RunT(inline{t}, testscript.Params{
				Files: []string{file}, Setup: s.setup, Cmds: s.commands(), RequireExplicitExec: true, RequireUniqueNames: true,
			})
		})
	}
}

// inline runs a script as part of a test, whose helpers it may then use.
type inline struct{ *testing.T }

func (t inline) Run(_ string, f func(testscript.T)) { f(t) }
func (t inline) Parallel()                          {}
func (t inline) Verbose() bool                      { return testing.Verbose() }

// containers is how many containers the host of a script has.
const containers = 3

// shell is what the commands of a script work on.
type shell struct {
	t        *testing.T
	temporal *temporalServer
	*installation
	// opened are the script's incidents by workflow ID, the last one of each.
	opened map[string]*incident
	// running is the worker, and watching the command that was left running.
	running, watching *process
}

// setup installs what the script asks for. It runs beside a starter, and without
// a worker until the script starts one.
func (s *shell) setup(env *testscript.Env) error {
	own := map[string]string{}
	for _, name := range []string{"routes.yaml", "settings.yaml"} {
		content, err := os.ReadFile(filepath.Join(env.WorkDir, name))
		switch {
		case err == nil:
			own[name] = "\n" + string(content)
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
	}
	s.installation = prepare(s.t, s.temporal, cmp.Or(own["routes.yaml"], routes), sysdigtest.Options{}, newTargets(containers)...)
	s.configure(own["settings.yaml"])
	s.opened = map[string]*incident{}
	s.starter()
	env.Setenv("PATH", binaries+string(os.PathListSeparator)+os.Getenv("PATH"))
	env.Setenv("HOME", s.t.TempDir())
	env.Setenv("USER", "ann")
	env.Setenv("TEMPORAL_ADDRESS", s.temporal.address)
	env.Setenv("FIREBREAK_TASK_QUEUE", s.host.Name)
	env.Setenv("HOST", s.host.Name)
	env.Setenv("HOST_ID", s.host.ID)
	return nil
}

// commands are those that scripts have.
func (s *shell) commands() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, []string){
		// exits CODE COMMAND… runs a command that ends with an exit code.
		"exits": func(ts *testscript.TestScript, args []string) {
			code := 0
			if err := ts.Exec(args[1], args[2:]...); err != nil {
				var exit *exec.ExitError
				require.ErrorAs(s.t, err, &exit)
				code = exit.ExitCode()
			}
			require.Equal(s.t, args[0], strconv.Itoa(code), "the exit code of %q", args[1:])
		},
		// until-done COMMAND… runs a command until it ends with exit code 0.
		"until-done": func(ts *testscript.TestScript, args []string) {
			s.await(strings.Join(args, " ")+" succeeds", func() bool { return ts.Exec(args[0], args[1:]...) == nil })
		},
		// as PRINCIPAL has commands act with a token of the Temporal server from now on.
		"as": func(ts *testscript.TestScript, args []string) {
			token, err := s.temporal.token(args[0])
			ts.Check(err)
			ts.Setenv("TEMPORAL_GRPC_META_AUTHORIZATION", "Bearer "+token)
		},
		// action sets $ACTION to the workflow ID of the action that the last command
		// asked for.
		"action": func(ts *testscript.TestScript, _ []string) {
			ts.Setenv("ACTION", regexp.MustCompile(`action:[^\s"]+`).FindString(ts.ReadFile("stdout")))
		},
		// worker starts a worker; stop-worker kills it.
		"worker":      func(*testscript.TestScript, []string) { s.running = s.worker() },
		"stop-worker": func(*testscript.TestScript, []string) { s.running.kill() },
		// open KIND [N] opens an incident about the host's container N and sets $ID.
		// A miner on an unknown host lacks fields.
		"open": func(ts *testscript.TestScript, args []string) {
			target := s.host
			if len(args) > 1 {
				n, err := strconv.Atoi(args[1])
				ts.Check(err)
				target.Containers = target.Containers[n:]
			}
			rule := minerRule
			if args[0] == "capture" {
				rule = toolRule
			}
			e := newEvent(s.t, target, rule)
			if args[0] == "unknown-host" {
				unknownHost(s.installation, e)
			}
			i := s.open(e)
			s.opened[i.WorkflowID] = i
			ts.Setenv("ID", i.WorkflowID)
			ts.Setenv("RUN", i.RunID)
		},
		// await-request ACTION waits until $ID asks for a decision and sets $REQUEST.
		"await-request": func(ts *testscript.TestScript, args []string) {
			i := s.opened[ts.Getenv("ID")]
			i.awaitRequest(args[0])
			ts.Setenv("REQUEST", i.show().Pending.ID)
		},
		// await-state STATE waits until $ID is in a state.
		"await-state": func(ts *testscript.TestScript, args []string) {
			s.opened[ts.Getenv("ID")].awaitState(signals.State(args[0]))
		},
		// await-closed waits until $ID takes no more signals, and checks its evidence.
		"await-closed": func(ts *testscript.TestScript, _ []string) {
			i := s.opened[ts.Getenv("ID")]
			i.verify(i.page())
		},
		// await-listed N QUERY waits until Temporal lists N workflows of the
		// installation that match.
		"await-listed": func(ts *testscript.TestScript, args []string) {
			n, err := strconv.Atoi(args[0])
			ts.Check(err)
			query := fmt.Sprintf("TaskQueue = '%s' AND (%s)", s.host.Name, args[1])
			s.await(args[0]+" are listed", func() bool { return s.count(query) == n })
		},
		// move has $ID move on to another run.
		"move": func(ts *testscript.TestScript, _ []string) { s.opened[ts.Getenv("ID")].latest().moves() },
		// terminate ends $ID from outside.
		"terminate": func(ts *testscript.TestScript, _ []string) {
			ts.Check(s.temporal.TerminateWorkflow(s.ctx, ts.Getenv("ID"), "", "a drill"))
		},
		// killed N checks how many containers were killed.
		"killed": func(_ *testscript.TestScript, args []string) {
			n := 0
			for _, container := range s.host.Containers {
				n += s.sysdig.Ledger().Killed(container)
			}
			require.Equal(s.t, args[0], strconv.Itoa(n), "killed containers")
		},
		// json WANT ELEMENT… checks a value in the JSON document on stdout; an element
		// is a key, an index, or KEY=VALUE for the item of an array that has it.
		"json": func(ts *testscript.TestScript, args []string) {
			require.Equal(s.t, args[0], fmt.Sprint(s.find(ts, args[1:])), "%q", args[1:])
		},
		// keys WANT ELEMENT… checks which keys an object has.
		"keys": func(ts *testscript.TestScript, args []string) {
			keys := slices.Collect(maps.Keys(s.find(ts, args[1:]).(map[string]any)))
			require.ElementsMatch(s.t, strings.Fields(args[0]), keys)
		},
		// type FILE LINE adds a line to what is typed; \t is the tab key.
		"type": func(ts *testscript.TestScript, args []string) {
			file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			ts.Check(err)
			_, err = fmt.Fprintln(file, strings.ReplaceAll(args[1], `\t`, "\t"))
			ts.Check(errors.Join(err, file.Close()))
		},
		// watch ARGS… starts a firebreak that keeps running; watched PATTERN waits for
		// what it prints; interrupt stops it as Ctrl-C does, and ended waits until it
		// ends by itself: both want exit code 0.
		"watch": func(ts *testscript.TestScript, args []string) {
			s.watching = start(s.t, "watch", s.env, firebreak(), args...)
		},
		"watched": func(ts *testscript.TestScript, args []string) {
			_, err := s.watching.await(s.ctx, "(?s)("+args[0]+")")
			ts.Check(err)
		},
		"interrupt": func(ts *testscript.TestScript, _ []string) {
			ts.Check(s.watching.cmd.Process.Signal(syscall.SIGINT))
			require.Zero(s.t, s.watching.code(s.ctx, s.t), s.watching.tail())
		},
		"ended": func(*testscript.TestScript, []string) {
			require.Zero(s.t, s.watching.code(s.ctx, s.t), s.watching.tail())
		},
	}
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for name, command := range all {
		commands[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("%s cannot be negated", name)
			}
			command(ts, args)
		}
	}
	return commands
}

// find finds a value in the document on stdout, which must be the only one.
func (s *shell) find(ts *testscript.TestScript, elements []string) any {
	s.t.Helper()
	text := ts.ReadFile("stdout")
	var value any
	require.NoError(s.t, json.Unmarshal([]byte(text), &value), text)
	for _, element := range elements {
		switch v := value.(type) {
		case map[string]any:
			require.Contains(s.t, v, element, text)
			value = v[element]
		case []any:
			key, want, _ := strings.Cut(element, "=")
			n, err := strconv.Atoi(element)
			if err != nil {
				n = slices.IndexFunc(v, func(item any) bool { return fmt.Sprint(item.(map[string]any)[key]) == want })
			}
			require.True(s.t, n >= 0 && n < len(v), "%s: %s", element, text)
			value = v[n]
		default:
			require.Fail(s.t, "no such element", "%s: %s", element, text)
		}
	}
	return value
}
