package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/command"
	"firebreak/internal/incident"
	"firebreak/signals"
)

func TestShowTellsWhatIsAskedAndHowToAnswer(t *testing.T) {
	t.Parallel()
	i := newIncident(nil)
	i.page.Pending.ExpiresAt = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	i.page.Incident = incident.Incident{ID: "event-1", Host: incident.Host{Name: "node-1"}}
	i.page.Evidence = []string{"capture.scap"}
	i.page.Tenant = "acme"
	i.page.WarRoom = append(i.page.WarRoom, signals.Entry{Actor: "eve", Kind: signals.KindNote, Text: "hi\n\x1b[1Aapproved\u202e"})
	code, stdout, stderr := run(t, i.temporal(), "show", minerID)
	require.Equal(t, 0, code, stderr)
	for _, want := range []string{
		"awaiting-approval", "0123456789ab", "container.id=6949e5f10829", "2026-05-01 12:00:00Z",
		"firebreak approve " + minerID + " --reason WHY", "firebreak reject " + minerID + " --reason WHY",
		"node-1", "tenant        acme\n", "capture.scap", "approved CAPTURE: earlier",
		"hi \uFFFD[1Aapproved\uFFFD\n", // what somebody wrote cannot draw on the terminal
	} {
		require.Contains(t, stdout, want)
	}
}

func TestShowOffersAmendWhileFieldsAreMissing(t *testing.T) {
	t.Parallel()
	i := newIncident(nil)
	i.page.State = signals.NeedsFields
	_, stdout, _ := run(t, i.temporal(), "show", minerID)
	require.Contains(t, stdout, "firebreak amend "+minerID+" --set FIELD=VALUE")
	require.NotContains(t, stdout, "firebreak approve")
}

func TestShowAsJSONIsTheQueryAsItWasAnswered(t *testing.T) {
	t.Parallel()
	answer := `{"workflow_id":"` + minerID + `","pending":null,"field_of_a_newer_worker":9007199254740993,"war_room":[]}`
	temporal := &fakeTemporal{QueryFn: func(string, string) (any, error) { return json.RawMessage(answer), nil }}
	code, stdout, stderr := run(t, temporal, "show", minerID, "--output", "json")
	require.Equal(t, 0, code, stderr)
	require.JSONEq(t, answer, stdout)
	require.Contains(t, stdout, "9007199254740993")
}

func TestShowSaysWhyItHasNothingToShow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		temporal *fakeTemporal
		want     string
	}{
		"unknown": {listing(waiting(minerID, time.Time{})), `firebreak: there is no incident "x"; open: ` + minerID + "\n"},
		"no worker": {
			&fakeTemporal{QueryFn: func(string, string) (any, error) { return nil, serviceerror.NewDeadlineExceeded("timeout") }},
			"firebreak: query x: no worker answers for it: is `firebreak worker` running?\n",
		},
		"something else": {
			&fakeTemporal{QueryFn: func(string, string) (any, error) { return nil, serviceerror.NewPermissionDenied("no", "") }},
			"firebreak: query x: no\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, c.temporal, "show", "x")
			require.Equal(t, 1, code)
			require.Empty(t, stdout)
			require.Equal(t, c.want, stderr)
		})
	}
}

// Once nothing runs on a version of the worker any more, its workers are stopped,
// and nobody is left to ask.
func TestShowOfAClosedIncidentNeedsNoWorker(t *testing.T) {
	t.Parallel()
	page := signals.Page{WorkflowID: minerID, RunID: "run-1", Pending: nil, WarRoom: []signals.Entry{{Actor: "ann", Kind: signals.KindNote, Text: "the last word"}}}
	details, err := json.Marshal(page)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		status enums.WorkflowExecutionStatus
		result func(runID string) (any, error)
		code   int
	}{
		"completed": {enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, func(string) (any, error) { return page, nil }, 0},
		"failed": {
			enums.WORKFLOW_EXECUTION_STATUS_FAILED,
			func(string) (any, error) {
				return nil, fmt.Errorf("workflow execution error: %w", temporal.NewNonRetryableApplicationError("failed", "failed", nil, json.RawMessage(details)))
			}, 0,
		},
		"terminated": {enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, func(string) (any, error) { return nil, errors.New("terminated") }, 1},
		// Who waits for its result would wait until it is closed.
		"running": {enums.WORKFLOW_EXECUTION_STATUS_RUNNING, func(string) (any, error) { panic("not asked for") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temporal := &fakeTemporal{
				QueryFn: func(string, string) (any, error) { return nil, serviceerror.NewFailedPrecondition("drained") },
				DescribeFn: func(string, string) (*workflow.WorkflowExecutionInfo, error) {
					i := execution{id: minerID, run: "run-1"}.info()
					i.Status = c.status
					return i, nil
				},
				ResultFn: func(_, runID string) (any, error) {
					require.Equal(t, "run-1", runID)
					return c.result(runID)
				},
			}
			code, stdout, stderr := run(t, temporal, "show", minerID)
			require.Equal(t, c.code, code, stderr)
			if c.code == 0 {
				require.Contains(t, stdout, "the last word")
			} else {
				require.Contains(t, stderr, "no worker answers for it")
			}
		})
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// The page of an incident that has everything is testdata/show.txt, and
// testdata/show.json for programs.
func TestShowTellsWhatWasDoneAndWhatElseHappened(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	i := newIncident(nil)
	i.page.State, i.page.Outcome, i.page.Pending = signals.Contained, signals.Contained, nil
	i.page.Incident = incident.Incident{ID: "event-1", Host: incident.Host{Name: "node-1"}, OccurredAt: noon}
	i.page.Actions = []signals.Executed{
		{Action: "PAUSE_CONTAINER", ExecutionID: "exec-1", Parameters: map[string]any{"container.id": "6949e5f10829"}, At: noon, UndoneBy: "bob", UndoID: "exec-2"},
		{Action: "KILL_CONTAINER", ExecutionID: "exec-3", Parameters: map[string]any{"container.id": "6949e5f10829", "host.id": "0a1b"}, At: noon.Add(time.Minute)},
		{Action: "FILE_QUARANTINE", Parameters: map[string]any{"path.absolute": "/tmp/x\n\x1b[1A"}, At: noon.Add(time.Hour), Observed: true},
	}
	i.page.RelatedCut = true
	i.page.Related = []signals.RelatedEvent{
		{ID: "event-0", Time: noon.Add(-time.Minute), Rule: "Launch Package Management", Severity: 5, Output: "apk add\nxmrig" + strings.Repeat(" x", 200)},
		{ID: "event-2", Time: noon.Add(time.Second), Rule: "Connection to a pool", Severity: 0},
	}
	i.page.Evidence = []string{"report.md"}
	for file, flags := range map[string][]string{"testdata/show.txt": nil, "testdata/show.json": {"--output", "json"}} {
		code, stdout, stderr := run(t, i.temporal(), append([]string{"show", minerID}, flags...)...)
		require.Equal(t, 0, code, stderr)
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(stdout), 0o600))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), stdout)
	}
}

func TestShowOfAManualActionNamesNoRoute(t *testing.T) {
	t.Parallel()
	i := newIncident(nil)
	i.page.Playbook, i.page.Route = signals.PlaybookManual, ""
	_, stdout, _ := run(t, i.temporal(), "show", minerID)
	require.Regexp(t, `(?m)^playbook +response-action$`, stdout)
}

// look is what one look at an incident shows: its run, the first of its chain,
// how the run stands, and the state on its page.
type look struct {
	run, chain string
	status     enums.WorkflowExecutionStatus
	state      signals.State
}

// lookingOn is a Temporal where an incident is looked at again and again; the
// last look repeats.
func lookingOn(i *fakeIncident, looks ...look) *fakeTemporal {
	temporal, n := i.temporal(), -1
	temporal.DescribeFn = func(string, string) (*workflow.WorkflowExecutionInfo, error) {
		n = min(n+1, len(looks)-1)
		return execution{id: minerID, run: looks[n].run, chain: looks[n].chain, status: looks[n].status}.info(), nil
	}
	temporal.QueryFn = func(_, runID string) (any, error) {
		page := i.page
		for _, l := range looks[:n+1] {
			if l.run == runID {
				page.State = l.state
			}
		}
		return page, nil
	}
	return temporal
}

func TestWatchingAnIncidentEndsWithIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		looks []look
		want  []string
	}{
		"closed before": {[]look{{"run-1", "run-1", completed, signals.Contained}}, []string{"contained"}},
		"closed": {
			[]look{
				{"run-1", "run-1", running, signals.AwaitingApproval},
				{"run-1", "run-1", running, signals.AwaitingApproval},
				{"run-1", "run-1", running, signals.Watching},
				{"run-1", "run-1", completed, signals.Contained},
			},
			[]string{"awaiting-approval", "watching", "contained"},
		},
		"moved on": {
			[]look{
				{"run-1", "run-1", running, signals.AwaitingApproval},
				{"run-2", "run-1", running, signals.Watching},
				{"run-2", "run-1", completed, signals.Contained},
			},
			[]string{"awaiting-approval", "watching", "contained"},
		},
		"terminated": {
			[]look{{"run-1", "run-1", running, signals.Open}, {"run-1", "run-1", enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, signals.Open}},
			[]string{"open"},
		},
		"followed by another one": {
			[]look{{"run-1", "run-1", running, signals.Open}, {"run-7", "run-7", running, signals.Capturing}},
			[]string{"open"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				code, stdout, stderr := run(t, lookingOn(newIncident(nil), test.looks...), "show", minerID, "--watch", "--output", "json")
				require.Equal(t, 0, code, stderr)
				var shown []string
				for d := json.NewDecoder(strings.NewReader(stdout)); d.More(); {
					var page signals.Page
					require.NoError(t, d.Decode(&page))
					shown = append(shown, string(page.State))
				}
				require.Equal(t, test.want, shown)
			})
		})
	}
}

func TestWatchingAnIncidentEndsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		code, stdout, stderr := runIn(ctx, newIncident(nil).temporal(), command.Env{}, "show", minerID, "--watch")
		require.Equal(t, 0, code, stderr)
		require.Equal(t, 1, strings.Count(stdout, "war room"), "nothing has changed")
	})
}

func TestWatchingAnUnknownIncidentIsAFailure(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run(t, listing(), "show", "x", "--watch")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Equal(t, "firebreak: there is no incident \"x\", and none is open\n", stderr)
}
