package activities_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// incidents is a Temporal that has a history, and incidents by their workflow ID.
type incidents struct {
	histories

	pages map[string]signals.Page
	// deaf is why an incident that there is cannot be asked.
	deaf error
}

func (i incidents) QueryWorkflow(_ context.Context, id, _, _ string, _ ...any) (converter.EncodedValue, error) {
	page, there := i.pages[id]
	if !there {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	if i.deaf != nil {
		return nil, i.deaf
	}
	answer, err := converter.GetDefaultDataConverter().ToPayloads(page)
	return client.NewValue(answer), err
}

// startedBy is a history that somebody began.
func startedBy(kind, principal string) histories {
	event := &history.HistoryEvent{EventType: enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED}
	if principal != "" {
		event.Principal = &common.Principal{Type: kind, Name: principal}
	}
	return histories{events: []*history.HistoryEvent{event, {Principal: &common.Principal{Type: "jwt", Name: "the next"}}}}
}

func prepareManual(t *testing.T, temporal client.Client, yaml string, in signals.ManualInput) (activities.Manual, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(&activities.Activities{Temporal: temporal, Approvals: rules(t, yaml)})
	var known activities.Manual
	value, err := env.ExecuteActivity(a.PrepareManual, in)
	if err != nil {
		return known, err
	}
	return known, value.Get(&known)
}

func TestWhoAsksByHandIsWhomTheServerAuthenticatedWhereTrustIsVerified(t *testing.T) {
	t.Parallel()
	const listed, verified = "approvals: {groups: {soc: [ann, bob]}, trust: listed}", "approvals: {groups: {soc: [ann, bob]}, trust: verified}"
	in := signals.ManualInput{Action: "KILL_CONTAINER", Requester: "ann", Reason: "a miner"}
	for name, test := range map[string]struct {
		yaml  string
		began histories
		want  string
	}{
		"claimed":             {listed, startedBy("jwt", "mallory"), "ann"},
		"verified":            {verified, startedBy("jwt", "mallory"), "mallory"},
		"not authenticated":   {verified, startedBy("", ""), ""},
		"the server's own":    {verified, startedBy("temporal", "internal"), ""},
		"without any history": {verified, histories{}, ""},
		"not readable":        {verified, histories{broken: errors.New("connection refused")}, ""},
	} {
		known, err := prepareManual(t, test.began, test.yaml, in)
		if test.want == "" {
			require.Error(t, err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, test.want, known.Requester, name)
		require.Equal(t, []string{"ann", "bob"}, known.Approvers.Analysts, name)
	}
	_, err := prepareManual(t, startedBy("", ""), verified, in)
	require.Equal(t, activities.ErrNotPermitted, final(t, err))
	require.ErrorContains(t, err, `unverified: the Temporal server has not authenticated who started it, who claims to be "ann"`)
	_, err = prepareManual(t, histories{broken: errors.New("connection refused")}, verified, in)
	retried(t, err)
}

func TestAManualActionIsAboutItsIncidentInItsTenant(t *testing.T) {
	t.Parallel()
	temporal := incidents{pages: map[string]signals.Page{
		"crypto-miner:node-1:host": {Incident: incident.Incident{ID: "event-1", Severity: 1}, Tenant: "acme"},
		"crypto-miner:node-2:host": {Incident: incident.Incident{ID: "event-2", Severity: 5}},
	}}
	const two = "approvals: {policies: [{actions: [KILL_*], when: incident.severity <= 3, approval: two}]}"
	for id, want := range map[string]activities.Manual{
		"crypto-miner:node-1:host": {Tenant: "acme", Incident: &incident.Incident{ID: "event-1", Severity: 1}, Approval: incident.Approval{Mode: incident.ModeTwo}},
		"crypto-miner:node-2:host": {Incident: &incident.Incident{ID: "event-2", Severity: 5}, Approval: incident.Approval{Mode: incident.ModeOne}},
		"":                         {Tenant: "umbrella", Approval: incident.Approval{Mode: incident.ModeTwo}}, // severity 0
	} {
		known, err := prepareManual(t, temporal, two, signals.ManualInput{Action: "KILL_CONTAINER", Requester: "ann", Incident: id, Tenant: "umbrella"})
		require.NoError(t, err, id)
		require.Equal(t, want.Tenant, known.Tenant, "%s: the incident's own wins", id)
		require.Equal(t, want.Incident, known.Incident, id)
		require.Equal(t, want.Approval.Mode, known.Approval.Mode, id)
		require.Equal(t, incident.DefaultApproval().ExpireAfter, known.Approval.ExpireAfter, id)
		require.Equal(t, "ann", known.Requester, id)
	}
}

func TestAnIncidentThatCannotBeAskedIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	temporal := incidents{pages: map[string]signals.Page{"crypto-miner:node-1:host": {}}, deaf: errors.New("no worker answers")}
	in := signals.ManualInput{Action: "KILL_CONTAINER", Requester: "ann", Incident: "crypto-miner:node-1:host"}
	_, err := prepareManual(t, temporal, "", in)
	retried(t, err)
	require.ErrorContains(t, err, "ask incident crypto-miner:node-1:host: no worker answers")
	in.Incident = "crypto-miner:node-9:host"
	_, err = prepareManual(t, temporal, "", in)
	require.Equal(t, activities.ErrNotFound, final(t, err))
	require.ErrorContains(t, err, `incident "crypto-miner:node-9:host": there is none of that workflow ID`)
}
