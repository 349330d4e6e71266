package command_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"

	"firebreak/internal/incident"
	"firebreak/signals"
)

const (
	running   = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	completed = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	failed    = enums.WORKFLOW_EXECUTION_STATUS_FAILED
	fullID    = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	actionID  = "action:KILL_CONTAINER:node-1:6949e5f10829:1850d578853a"
)

// manual is a Temporal where a manual action can be started, beside an incident.
type manual struct {
	*fakeTemporal
	// page is that of the action, once it is started; status and err are how its
	// run stands and why it failed.
	page   signals.Page
	status enums.WorkflowExecutionStatus
	err    error
	// silent makes it give no page.
	silent bool

	options client.StartWorkflowOptions
	started []signals.ManualInput
}

func newManual(i *fakeIncident, status enums.WorkflowExecutionStatus, page signals.Page) *manual {
	m := &manual{fakeTemporal: i.temporal(), page: page, status: status}
	describe, query := m.DescribeFn, m.QueryFn
	isAction := func(workflowID string) bool { return len(m.started) > 0 && workflowID == m.options.ID }
	m.DescribeFn = func(workflowID, runID string) (*workflow.WorkflowExecutionInfo, error) {
		if isAction(workflowID) {
			return execution{id: workflowID, run: "run-a", status: m.status}.info(), nil
		}
		return describe(workflowID, runID)
	}
	m.QueryFn = func(workflowID, runID string) (any, error) {
		switch {
		case !isAction(workflowID):
			return query(workflowID, runID)
		case m.silent:
			return nil, serviceerror.NewFailedPrecondition("no poller seen")
		default:
			return m.page, nil
		}
	}
	m.ExecuteFn = func(options client.StartWorkflowOptions, workflow any, args []any) (client.WorkflowRun, error) {
		m.options = options
		m.started = append(m.started, args[0].(signals.ManualInput))
		return fakeRun{runID: "run-a", get: func() error { return m.err }}, nil
	}
	return m
}

// awaitingApproval is a manual action that somebody is to approve.
func awaitingApproval() signals.Page {
	return signals.Page{State: signals.AwaitingApproval, Pending: &signals.Request{
		ID: "abcdef012345", Action: "KILL_CONTAINER", Need: 1, Have: []string{}, Parameters: map[string]any{"container.id": "6949e5f10829"},
		ExpiresAt: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
	}}
}

var killByHand = []string{"act", "KILL_CONTAINER", "--param", "host.name=node-1", "--param", "container.id=6949e5f10829", "--reason", "a miner"}

func TestAnActionByHandIsStartedAndSaysWhoIsToApproveIt(t *testing.T) {
	t.Parallel()
	m := newManual(newIncident(nil), running, awaitingApproval())
	code, stdout, stderr := run(t, m.fakeTemporal, killByHand...)
	require.Equal(t, 0, code, stderr)
	require.Equal(t, `action        action:KILL_CONTAINER:node-1:6949e5f10829:1850d578853a
run           run-a
state         awaiting-approval
pending       KILL_CONTAINER
  request     abcdef012345
  parameters  container.id=6949e5f10829
  approvals   0 of 1
  expires     2026-05-01 12:00:00Z
  answer      firebreak approve action:KILL_CONTAINER:node-1:6949e5f10829:1850d578853a --request abcdef012345 --reason WHY
              by somebody other than ann
`, stdout)
	require.Empty(t, stderr)
	require.Equal(t, []signals.ManualInput{{
		Action: "KILL_CONTAINER", Parameters: map[string]signals.Scalar{"host.name": "node-1", "container.id": "6949e5f10829"},
		Requester: "ann", Reason: "a miner",
	}}, m.started)
	require.Equal(t, client.StartWorkflowOptions{
		ID: actionID, TaskQueue: "firebreak",
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            `KILL\_CONTAINER, asked for by ann: a miner`,
		TypedSearchAttributes: sdk.NewSearchAttributes(signals.IncidentState.ValueSet("open"),
			signals.IncidentHost.ValueSet("node-1"), signals.IncidentContainer.ValueSet("6949e5f10829")),
	}, m.options)
}

func TestTheSummaryOfAnActionFitsIntoWhatTemporalTakes(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{strings.Repeat("*", 1000), strings.Repeat("\xff", 1000), strings.Repeat("é", 1000)} {
		m := newManual(newIncident(nil), running, awaitingApproval())
		code, _, stderr := run(t, m.fakeTemporal, append(killByHand[:len(killByHand)-1:len(killByHand)-1], reason)...)
		require.Equal(t, 0, code, stderr)
		require.LessOrEqual(t, len(m.options.StaticSummary), 400)
		require.Equal(t, reason, m.started[0].Reason)
	}
}

func TestAnActionByHandAsJSON(t *testing.T) {
	t.Parallel()
	m := newManual(newIncident(nil), running, awaitingApproval())
	code, stdout, stderr := run(t, m.fakeTemporal, append(killByHand, "--output", "json", "--task-queue", "q", "--tenant", "emea")...)
	require.Equal(t, 0, code, stderr)
	require.JSONEq(t, `{"workflow_id":"`+actionID+`:tenant=emea","run_id":"run-a","state":"awaiting-approval","outcome":"","pending":{"request":"abcdef012345",
		"action":"KILL_CONTAINER","parameters":{"container.id":"6949e5f10829"},"need":1,"have":[],"expires_at":"2026-05-01T12:00:00Z"}}`, stdout)
	require.Equal(t, "q", m.options.TaskQueue)
	require.Equal(t, "emea", m.started[0].Tenant)
	require.Equal(t, "emea", m.options.Priority.FairnessKey)
}

func TestAnIncidentTellsWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	i := newIncident(nil)
	i.page.Tenant = "emea"
	i.page.Incident = incident.Incident{
		ID: "event-1", Rule: incident.Rule{Name: "a\tminer"}, Severity: 2,
		Host: incident.Host{Name: "node-1", ID: "0a1b"}, Container: incident.Container{ID: "6949e5f10829"},
	}
	m := newManual(i, running, awaitingApproval())
	code, _, stderr := run(t, m.fakeTemporal, "act", "KILL_CONTAINER", "--incident", minerID, "--param", "container.id="+fullID, "--reason", "r")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, []signals.ManualInput{{
		Action: "KILL_CONTAINER", Incident: minerID, Parameters: map[string]signals.Scalar{"container.id": signals.Scalar(fullID[:12])}, Requester: "ann", Reason: "r",
	}}, m.started)
	require.Equal(t, sdk.NewSearchAttributes(
		signals.IncidentState.ValueSet("open"), signals.IncidentRule.ValueSet("a miner"), signals.IncidentHost.ValueSet("node-1"),
		signals.IncidentContainer.ValueSet(fullID[:12]), signals.IncidentSeverity.ValueSet(2)), m.options.TypedSearchAttributes)
	require.Equal(t, "emea", m.options.Priority.FairnessKey, "the incident's tenant")

	code, _, stderr = run(t, m.fakeTemporal, "act", "KILL_CONTAINER", "--incident", minerID, "--tenant", "apac", "--reason", "r")
	require.Equal(t, 2, code)
	require.Equal(t, `firebreak: --tenant "apac": incident `+minerID+` belongs to tenant "emea", and so does what is done about it`+"\n", stderr)
	require.Len(t, m.started, 1)
}

func TestWhatAnIncidentDoesNotTellIsNamed(t *testing.T) {
	t.Parallel()
	i := newIncident(nil)
	i.page.Incident.Host = incident.Host{MAC: "42:01:0a:80:00:05"}
	m := newManual(i, running, awaitingApproval())
	code, _, stderr := run(t, m.fakeTemporal, "act", "FILE_UNQUARANTINE", "--force", "--incident", minerID, "--reason", "r")
	require.Equal(t, 2, code)
	require.Equal(t, "firebreak: --param path.absolute is missing: want it; incident "+minerID+" does not tell file.path\n"+
		"firebreak: --param quarantined_file_path is missing: want it; no incident tells it\n", stderr)

	code, _, stderr = run(t, m.fakeTemporal, "act", "KILL_CONTAINER", "--incident", "crypto-miner:gone", "--reason", "r")
	require.Equal(t, 1, code)
	require.Equal(t, "firebreak: there is no incident \"crypto-miner:gone\", and none is open\n", stderr)
	require.Empty(t, m.started)
}

func TestWhatIsMissingWithoutAnIncidentIsNamed(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"act KILL_CONTAINER": "firebreak: --param host.id is missing: want it, or host.name, by which the worker looks it up, or --incident of one that tells host.id\n" +
			"firebreak: --param container.id is missing: want it, or --incident of one that tells container.id\n",
		"act KILL_PROCESS --param host.name=node-1": "firebreak: --param process.id is missing: want it, or --incident of one that tells process.pid\n",
		"act CAPTURE --param host.id=0a1b": "firebreak: --param capture.remote_storage_configuration_id is missing: want it; no incident tells it\n" +
			"firebreak: --param capture.duration_ns is missing: want it; no incident tells it\n" +
			"firebreak: a capture that is kept as evidence is `firebreak capture`\n",
	} {
		code, stdout, stderr := run(t, &fakeTemporal{}, append(strings.Fields(args), "--reason", "r")...)
		require.Equal(t, 2, code, args)
		require.Empty(t, stdout)
		require.Equal(t, want, stderr)
	}
}

func TestAFieldTellsAParameter(t *testing.T) {
	t.Parallel()
	m := newManual(newIncident(nil), running, awaitingApproval())
	code, _, stderr := run(t, m.fakeTemporal, "act", "KILL_PROCESS", "--param", "host.name=node-1", "--param", "process.pid=7", "--reason", "r")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, map[string]signals.Scalar{"host.name": "node-1", "process.pid": "7"}, m.started[0].Parameters)
}

func TestAnActionThatOnlySysdigKnowsIsLeftToTheWorker(t *testing.T) {
	t.Parallel()
	m := newManual(newIncident(nil), running, awaitingApproval())
	code, _, stderr := run(t, m.fakeTemporal, "act", "RESTART_AGENT", "--param", "agent.zone=a=b", "--reason", "r")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, "firebreak: RESTART_AGENT is not among the actions that this version knows: the worker asks Sysdig for it\n", stderr)
	require.Equal(t, map[string]signals.Scalar{"agent.zone": "a=b"}, m.started[0].Parameters)
}

func TestAnActionThatIsUnderWayIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	m := newManual(newIncident(nil), running, awaitingApproval())
	m.ExecuteFn = func(client.StartWorkflowOptions, any, []any) (client.WorkflowRun, error) {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("already", "", "run-1")
	}
	code, stdout, stderr := run(t, m.fakeTemporal, killByHand...)
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Equal(t, "firebreak: KILL_CONTAINER is under way already as "+actionID+": see `firebreak show "+actionID+"`\n", stderr)

	code, _, stderr = run(t, newIncident(nil).temporal(), killByHand...)
	require.Equal(t, 1, code)
	require.Equal(t, "firebreak: start "+actionID+": no\n", stderr)
}

func TestHowAnActionByHandEndsIsTheExitCode(t *testing.T) {
	t.Parallel()
	refused := sdk.NewNonRetryableApplicationError("incident failed: no permission", "failed", nil)
	for name, test := range map[string]struct {
		page   signals.Page
		status enums.WorkflowExecutionStatus
		silent bool
		err    error

		code                   int
		state, outcome, stderr string
	}{
		"contained":       {page: signals.Page{State: "contained", Outcome: "contained"}, status: completed, state: "contained", outcome: "contained"},
		"captured":        {page: signals.Page{State: "captured", Outcome: "captured"}, status: completed, state: "captured", outcome: "captured"},
		"missing a field": {page: signals.Page{State: "needs-fields", Pending: &signals.Request{ID: "r", Action: "AMEND"}}, status: running, state: "needs-fields"},
		"rejected": {
			page: signals.Page{State: "rejected", Outcome: "rejected"}, status: completed,
			code: 1, state: "rejected", outcome: "rejected", stderr: "firebreak: KILL_CONTAINER: rejected\n",
		},
		"failed": {
			page: signals.Page{State: "failed", Outcome: "failed"}, status: failed, err: refused,
			code: 1, state: "failed", outcome: "failed", stderr: "firebreak: KILL_CONTAINER: incident failed: no permission\n",
		},
		"failed before it could answer": {
			silent: true, status: failed, err: refused,
			code: 1, state: "failed", outcome: "failed", stderr: "firebreak: KILL_CONTAINER: incident failed: no permission\n",
		},
		"terminated": {
			page: signals.Page{State: "open"}, status: enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, err: errors.New("terminated"),
			code: 1, state: "terminated", outcome: "failed", stderr: "firebreak: KILL_CONTAINER: terminated\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newManual(newIncident(nil), test.status, test.page)
			m.silent, m.err = test.silent, test.err
			code, stdout, stderr := run(t, m.fakeTemporal, append(killByHand, "--output", "json")...)
			require.Equal(t, test.code, code, stderr)
			require.Equal(t, test.stderr, stderr)
			var shown struct{ State, Outcome string }
			require.NoError(t, json.Unmarshal([]byte(stdout), &shown))
			require.Equal(t, []string{test.state, test.outcome}, []string{shown.State, shown.Outcome})
		})
	}
}

func TestAnActionThatLacksFieldsSaysHowToSupplyThem(t *testing.T) {
	t.Parallel()
	page := awaitingApproval()
	page.State = signals.NeedsFields
	_, stdout, _ := run(t, newManual(newIncident(nil), running, page).fakeTemporal, killByHand...)
	require.Contains(t, stdout, "firebreak amend "+actionID+" --set FIELD=VALUE")
	require.NotContains(t, stdout, "firebreak approve")
}

func TestTheWaitForAnActionEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		silent         bool
		code           int
		stdout, stderr string
	}{
		"under way": {false, 0, "state   containing\n", ""},
		"no worker": {
			true, 1, "state   open\n",
			"firebreak: KILL_CONTAINER: started, but not answered within 3s: query " + actionID + ": no worker answers for it: is `firebreak worker` running?\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newManual(newIncident(nil), running, signals.Page{State: signals.Containing})
				m.silent = test.silent
				began := time.Now()
				code, stdout, stderr := run(t, m.fakeTemporal, append(killByHand, "--wait", "3s")...)
				require.Equal(t, test.code, code)
				require.Contains(t, stdout, test.stdout)
				require.Equal(t, test.stderr, stderr)
				require.Equal(t, 3*time.Second, time.Since(began))
			})
		})
	}
}

// The outcome is on the page before the report is stored.
func TestAnActionHasEndedWhenItsReportIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newManual(newIncident(nil), running, signals.Page{State: "failed", Outcome: "failed"})
		looks, describe := 0, m.DescribeFn
		m.DescribeFn = func(workflowID, runID string) (*workflow.WorkflowExecutionInfo, error) {
			if looks++; looks == 3 {
				m.status, m.err = failed, errors.New("no permission")
			}
			return describe(workflowID, runID)
		}
		_, _, stderr := run(t, m.fakeTemporal, killByHand...)
		require.Equal(t, "firebreak: KILL_CONTAINER: no permission\n", stderr)
	})
}

func TestActRefusesUndoActions(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"START_CONTAINER", "DELETE_NETWORK_POLICY", "UNDO_SOMETHING_NEW"} {
		code, _, stderr := run(t, &fakeTemporal{}, "act", action, "--param", "host.id=h", "--param", "container.id=6949e5f10829", "--reason", "r")
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "firebreak undo")
		require.Contains(t, stderr, "--force")
	}
}
