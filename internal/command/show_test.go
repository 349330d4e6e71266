package command_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"

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
	const (
		running   = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
		completed = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	)
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
