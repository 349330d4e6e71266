package command_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"firebreak/internal/incident"
	"firebreak/signals"
)

func TestShowTellsWhatIsAskedAndHowToAnswer(t *testing.T) {
	t.Parallel()
	i := newIncident(nil)
	i.page.Pending.ExpiresAt = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	i.page.Incident = incident.Incident{ID: "event-1", Host: incident.Host{Name: "node-1"}}
	i.page.Evidence = []string{"capture.scap"}
	i.page.WarRoom = append(i.page.WarRoom, signals.Entry{Actor: "eve", Kind: signals.KindNote, Text: "hi\n\x1b[1Aapproved\u202e"})
	code, stdout, stderr := run(t, i.temporal(), "show", minerID)
	require.Equal(t, 0, code, stderr)
	for _, want := range []string{
		"awaiting-approval", "0123456789ab", "container.id=6949e5f10829", "2026-05-01 12:00:00Z",
		"firebreak approve " + minerID + " --reason WHY", "firebreak reject " + minerID + " --reason WHY",
		"node-1", "capture.scap", "approved CAPTURE: earlier",
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
			"firebreak: query incident x: no worker answers for it: is `firebreak worker` running?\n",
		},
		"something else": {
			&fakeTemporal{QueryFn: func(string, string) (any, error) { return nil, serviceerror.NewPermissionDenied("no", "") }},
			"firebreak: query incident x: no\n",
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

func TestIncidentIDsCompleteToThoseThatAreOpen(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"show", "approve", "reject", "note", "amend"} {
		_, stdout, _ := run(t, listing(execution{id: minerID}), "__complete", command, "")
		require.Contains(t, stdout, minerID+"\n", command)
	}
}
