package command_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"firebreak/internal/incident"
	"firebreak/signals"
)

func TestFreezeAndUnfreezeStartTheGuardAndWaitForItsAnswer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{signals.Freeze, signals.Unfreeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newIncident(counts("done"))
			temporal := g.temporal()
			temporal.StartFn = func(workflowID, signal string, arg any, options client.StartWorkflowOptions, workflow any, args []any) (string, error) {
				require.Equal(t, "firebreak-guard", workflowID)
				require.Equal(t, client.StartWorkflowOptions{
					TaskQueue: "elsewhere", WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
					WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
				}, options)
				require.Equal(t, "Guard", workflow)
				require.Equal(t, []any{signals.GuardInput{}}, args)
				g.take("run-of-guard", signal, arg)
				return "run-of-guard", nil
			}
			temporal.ReceiptFn = func(workflowID, runID, id string) (signals.Receipt, error) {
				require.Equal(t, "firebreak-guard", workflowID)
				require.Equal(t, "run-of-guard", runID)
				return g.receipts[id], nil
			}
			code, stdout, stderr := run(t, temporal, name, "--reason", "a drill", "--task-queue", "elsewhere")
			require.Equal(t, 0, code, stderr)
			require.Equal(t, "firebreak-guard  counted  done\n", stdout)
			require.Equal(t, []sent{{"run-of-guard", name, signals.Instruction{Analyst: "ann", Reason: "a drill"}}}, g.sent)

			g.answer = refuses("it is so already")
			code, stdout, _ = run(t, temporal, name, "--reason", "a drill", "--task-queue", "elsewhere", "--output", "json")
			require.Equal(t, 1, code)
			require.JSONEq(t, `[{"workflow_id":"firebreak-guard","verdict":"refused","counted":false,"analyst":"ann","reason":"it is so already"}]`, stdout)
		})
	}
}

// The guard may have been ended from outside: what it said last holds.
func TestAGuardThatIsStartedAgainGoesOnFromTheLastOne(t *testing.T) {
	t.Parallel()
	frozen := &signals.Frozen{By: "ann", Reason: "a drill", Since: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	for name, test := range map[string]struct {
		memo map[string]any
		want signals.GuardInput
	}{
		"frozen":   {map[string]any{"frozen": frozen}, signals.GuardInput{Carried: &signals.GuardPage{State: signals.GuardFrozen, Frozen: frozen, WarRoom: []signals.Entry{}}}},
		"unfrozen": {map[string]any{"frozen": nil}, signals.GuardInput{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newIncident(refuses("you are not entitled"))
			temporal := g.temporal()
			temporal.DescribeFn = func(string, string) (*workflow.WorkflowExecutionInfo, error) {
				return execution{id: "firebreak-guard", status: enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, memo: test.memo}.info(), nil
			}
			temporal.StartFn = func(_, signal string, arg any, _ client.StartWorkflowOptions, _ any, args []any) (string, error) {
				require.Equal(t, []any{test.want}, args)
				g.take("run-of-guard", signal, arg)
				return "run-of-guard", nil
			}
			code, stdout, _ := run(t, temporal, "unfreeze", "--reason", "eve was here")
			require.Equal(t, 1, code)
			require.Equal(t, "firebreak-guard  refused  you are not entitled\n", stdout)
		})
	}
}

func TestAGuardThatCannotBeSignalledSaysWhy(t *testing.T) {
	t.Parallel()
	code, stdout, _ := run(t, &fakeTemporal{}, "freeze", "--reason", "a drill")
	require.Equal(t, 1, code)
	require.Equal(t, "firebreak-guard  refused  send freeze: no\n", stdout)

	unknown := &fakeTemporal{DescribeFn: func(string, string) (*workflow.WorkflowExecutionInfo, error) {
		return nil, serviceerror.NewUnavailable("down")
	}}
	_, stdout, _ = run(t, unknown, "freeze", "--reason", "a drill")
	require.Equal(t, "firebreak-guard  refused  look up the guard: down\n", stdout)
}

func TestShowTellsWhetherContainmentIsFrozen(t *testing.T) {
	t.Parallel()
	page := signals.GuardPage{
		WorkflowID: signals.GuardID, RunID: "run-1", State: signals.GuardFrozen,
		Frozen:  &signals.Frozen{By: "ann", Reason: "a drill", Since: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)},
		WarRoom: []signals.Entry{{Time: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Actor: "ann", Kind: signals.KindDecision, Text: "frozen: a drill"}},
	}
	temporal := &fakeTemporal{QueryFn: func(string, string) (any, error) { return page, nil }}
	code, stdout, stderr := run(t, temporal, "show", "firebreak-guard")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, `guard     firebreak-guard
run       run-1
state     frozen
  by      ann
  since   2026-05-01 12:00:00Z
  reason  a drill
  answer  firebreak unfreeze --reason WHY
war room
  2026-05-01 12:00:00Z  ann  decision  frozen: a drill
`, stdout)

	_, stdout, _ = run(t, temporal, "show", "firebreak-guard", "--output", "json")
	want, err := json.Marshal(page)
	require.NoError(t, err)
	require.JSONEq(t, string(want), stdout)

	page.State, page.Frozen = signals.GuardOpen, nil
	_, stdout, _ = run(t, temporal, "show", "firebreak-guard")
	require.Contains(t, stdout, "state  unfrozen\nwar room\n")
}

func TestShowTellsWhatIsUsedOfBudgets(t *testing.T) {
	t.Parallel()
	hour := incident.Duration(time.Hour)
	now := time.Now().UTC().Truncate(time.Second)
	page := signals.GuardPage{
		WorkflowID: signals.GuardID, RunID: "run-1", State: signals.GuardOpen, WarRoom: []signals.Entry{},
		Budgets: []signals.BudgetUse{
			// As of the last reservation: one of them counts no more.
			{Budget: signals.Budget{Action: "KILL_CONTAINER", Limit: 2, Per: hour}, Used: 2, FreesAt: now.Add(-time.Minute)},
			{Budget: signals.Budget{Action: "FILE_*", Limit: 9, Per: hour}},
		},
		Reservations: []signals.Reservation{
			{Time: now.Add(-61 * time.Minute), Action: "KILL_CONTAINER", CallerID: "firebreak-1", Target: "container a", Until: now.Add(time.Hour)},
			{Time: now.Add(-time.Minute), Action: "KILL_CONTAINER", CallerID: "firebreak-2", Target: "container b", Until: now.Add(time.Hour)},
		},
	}
	temporal := &fakeTemporal{QueryFn: func(string, string) (any, error) { return page, nil }}
	code, stdout, stderr := run(t, temporal, "show", "firebreak-guard")
	require.Equal(t, 0, code, stderr)
	stamp := func(d time.Duration) string { return now.Add(d).Format("2006-01-02 15:04:05Z") }
	require.Contains(t, stdout, `budgets of what nobody approves
  KILL_CONTAINER  1 of 2 within 1h0m0s  one is free again at `+stamp(59*time.Minute)+`
  FILE_*          0 of 9 within 1h0m0s
taken last
  `+stamp(-61*time.Minute)+`  KILL_CONTAINER  firebreak-1  container a
  `+stamp(-time.Minute)+`  KILL_CONTAINER  firebreak-2  container b
war room
`)
	_, stdout, _ = run(t, temporal, "show", "firebreak-guard", "--output", "json")
	want, err := json.Marshal(page)
	require.NoError(t, err)
	require.JSONEq(t, string(want), stdout)
}

func TestShowSaysWhyItCannotShowTheGuard(t *testing.T) {
	t.Parallel()
	for want, temporal := range map[string]*fakeTemporal{
		"there is no guard: containment was never frozen": {},
		"query firebreak-guard: no worker answers for it: is `firebreak worker` running?": {
			QueryFn: func(string, string) (any, error) { return nil, serviceerror.NewDeadlineExceeded("timeout") },
		},
	} {
		code, stdout, stderr := run(t, temporal, "show", "firebreak-guard")
		require.Equal(t, 1, code)
		require.Empty(t, stdout)
		require.Equal(t, "firebreak: "+want+"\n", stderr)
	}
	code, _, stderr := run(t, &fakeTemporal{}, "show", "firebreak-guard", "--watch")
	require.Equal(t, 1, code)
	require.Equal(t, "firebreak: there is no guard: containment was never frozen\n", stderr)
}
