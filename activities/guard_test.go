package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"firebreak/activities"
	"firebreak/internal/guard"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// ledger is a guard that has so many units left.
type ledger struct {
	thawed

	left     int
	broken   error
	reserved []signals.Reserve
	again    []bool
}

func (*ledger) Hold(context.Context, signals.Hold) error { return nil }

func (l *ledger) Reserve(_ context.Context, in signals.Reserve, again bool) error {
	l.reserved, l.again = append(l.reserved, in), append(l.again, again)
	if l.broken != nil {
		return l.broken
	}
	if l.left--; l.left < 0 {
		return &guard.SpentError{Reason: "the budget of KILL_CONTAINER is spent"}
	}
	return nil
}

var budgets = []signals.Budget{{Action: "KILL_*", Limit: 1, Per: incident.Duration(time.Hour)}}

// protecting is a bench on which targets in kube-system are not killed.
func protecting(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, sysdigtest.Options{})
	var err error
	b.activities.Protected, err = incident.NewProtections([]incident.Protection{
		{Name: "kube-system", When: `incident.kubernetes.namespace == "kube-system"`, Actions: []string{"KILL_*", "DELETE_POD"}},
	})
	require.NoError(t, err)
	return b
}

func of(namespace string) *incident.Incident {
	return &incident.Incident{Kubernetes: incident.Kubernetes{Namespace: namespace}}
}

func TestAProtectedTargetIsNeverContainedApprovedOrNot(t *testing.T) {
	t.Parallel()
	b := protecting(t)
	for _, approvers := range [][]string{nil, {"ann", "bob"}} {
		in := kill()
		in.Claim.Incident, in.Claim.ApprovedBy = of("kube-system"), approvers
		_, err := run[activities.Execution](b, a.ExecuteAction, in)
		require.Equal(t, activities.ErrProtected, final(t, err))
		require.ErrorContains(t, err, `KILL_CONTAINER is not carried out: guard.protected "kube-system" protects its target`)
	}
	require.Empty(t, b.sysdig.Ledger())
	capture := captureOfNode()
	capture.Claim.Incident = of("kube-system")
	_, err := run[activities.Capture](b, a.CreateCapture, capture)
	require.NoError(t, err, "a capture contains nothing")
	in := kill()
	in.Claim.Incident = of("web")
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
}

// A protection comes before a freeze: it does not end.
// The expressions of a route can tell another target than its incident's fields.
func TestATargetThatOnlyTheParametersTellIsProtectedToo(t *testing.T) {
	t.Parallel()
	b := protecting(t)
	in := kill()
	in.Action, in.Parameters = "DELETE_POD", map[string]any{
		"kubernetes.cluster.name": "prod", "kubernetes.namespace.name": "kube-system", "kubernetes.pod.name": "dns-1",
	}
	in.Claim.Incident = of("web")
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrProtected, final(t, err))
}

func TestWhatIsProtectedIsNotSaidToBeFrozen(t *testing.T) {
	t.Parallel()
	b := protecting(t)
	b.activities.Guard = frozenBy("bob")
	in := kill()
	in.Claim.Incident = of("kube-system")
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrProtected, final(t, err))
}

func TestAWorkerThatIsNotToldOfTheIncidentDoesNotGuess(t *testing.T) {
	t.Parallel()
	b := protecting(t)
	_, err := run[activities.Execution](b, a.ExecuteAction, kill())
	require.Equal(t, activities.ErrIncidentWanted, final(t, err))
	require.Empty(t, b.sysdig.Ledger())
	_, err = run[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err, "nothing of it looks at the incident")

	b = newBench(t, sysdigtest.Options{})
	b.activities.Approvals = rules(t, "approvals: {policies: [{actions: [CAPTURE, KILL_*], when: incident.severity <= 3, approval: two}]}\n"+
		"routes: [{name: automatic, when: 'true', playbook: crypto-miner, approval: none}]")
	_, err = run[activities.Execution](b, a.ExecuteAction, kill())
	require.Equal(t, activities.ErrIncidentWanted, final(t, err))
	capture := captureOfNode()
	capture.Claim.Action = "CAPTURE"
	_, err = run[activities.Capture](b, a.CreateCapture, capture)
	require.Equal(t, activities.ErrIncidentWanted, final(t, err))
	require.Empty(t, b.sysdig.Ledger())
}

func TestAChoiceSaysThatItsTargetIsProtected(t *testing.T) {
	t.Parallel()
	b := protecting(t)
	for name, test := range map[string]struct {
		in   activities.ApprovalInput
		want string
	}{
		"contains":         {activities.ApprovalInput{Action: "KILL_CONTAINER", Contains: true, Incident: *of("kube-system")}, `KILL_CONTAINER is not carried out: guard.protected "kube-system" protects its target`},
		"another target":   {activities.ApprovalInput{Action: "KILL_CONTAINER", Contains: true, Incident: *of("web")}, ""},
		"contains nothing": {activities.ApprovalInput{Action: "KILL_LOGS", Incident: *of("kube-system")}, ""},
	} {
		test.in.Route = incident.DefaultApproval()
		choice, err := run[activities.Choice](b, a.ChooseApproval, test.in)
		require.NoError(t, err, name)
		require.Equal(t, activities.Choice{Approval: incident.DefaultApproval(), Protected: test.want}, choice, name)
	}
}

// Histories hold results of earlier versions, and workers of earlier versions read
// those of this one.
func TestAChoiceIsAnApprovalAndMore(t *testing.T) {
	t.Parallel()
	before, err := json.Marshal(incident.DefaultApproval())
	require.NoError(t, err)
	var choice activities.Choice
	require.NoError(t, json.Unmarshal(before, &choice))
	require.Equal(t, activities.Choice{Approval: incident.DefaultApproval()}, choice)
	after, err := json.Marshal(choice)
	require.NoError(t, err)
	require.JSONEq(t, string(before), string(after))
}

func TestWhatNobodyApprovedTakesAUnitOfTheBudget(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	l := &ledger{left: 1}
	b.activities.Guard, b.activities.Budgets = l, budgets
	in := kill()
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	require.Equal(t, []signals.Reserve{{Action: "KILL_CONTAINER", CallerID: "firebreak-0001", Target: nodeContainer, Limits: budgets}}, l.reserved)

	in.CallerID = "firebreak-0002"
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrNotPermitted, final(t, err))
	require.ErrorContains(t, err, "the budget of KILL_CONTAINER is spent")
	var demanded incident.Approval
	var approvers signals.Approvers
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.NoError(t, app.Details(&demanded, &approvers))
	require.Equal(t, incident.ModeOne, demanded.Mode, "a human is asked, although the route asks nobody")
	require.Equal(t, incident.DefaultApproval().ExpireAfter, demanded.ExpireAfter)
	require.Equal(t, 1, b.sysdig.Requests(http.MethodPost, executions))

	in.Claim.ApprovedBy = []string{"ann"}
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrFailed, final(t, err), "the container is dead already")
	require.Equal(t, 2, b.sysdig.Requests(http.MethodPost, executions))
	require.Len(t, l.reserved, 2, "what was approved counts against no budget")
}

// Whoever may start workflows can start an incident that trusts whom they like.
func TestAnApprovalOfSomebodyWhoMayNotTakesAUnitOfTheBudget(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	l := &ledger{}
	b.activities.Guard, b.activities.Budgets = l, budgets
	b.activities.Approvals = rules(t, `
approvals: {trust: listed, groups: {soc: [ann]}}
routes: [{name: automatic, when: 'true', playbook: crypto-miner, approval: none}]
`)
	in := kill()
	in.Claim.Trust, in.Claim.ApprovedBy = signals.TrustVerified, []string{"mallory"}
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrNotPermitted, final(t, err))
	require.Len(t, l.reserved, 1)
	require.Empty(t, b.sysdig.Ledger())
}

func TestWhatNoBudgetBoundsAsksNobodyForOne(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	l := &ledger{}
	b.activities.Guard, b.activities.Budgets = l, []signals.Budget{{Action: "KILL_PROCESS", Limit: 1, Per: incident.Duration(time.Hour)}}
	_, err := run[activities.Execution](b, a.ExecuteAction, kill())
	require.NoError(t, err)
	_, err = run[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err)
	require.Empty(t, l.reserved)
}

func TestALedgerThatCannotBeAskedAllowsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	l := &ledger{left: 1, broken: errors.New("ask the guard: no answer")}
	b.activities.Guard, b.activities.Budgets = l, budgets
	in := kill()
	in.Resumed = true
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	retried(t, err)
	require.ErrorContains(t, err, "ask the guard: no answer")
	require.Empty(t, b.sysdig.Ledger())
	require.Equal(t, []bool{true}, l.again, "it may have been taken by the run before")
}

// What is not permitted anyway takes no unit.
func TestTheBudgetIsAskedForLast(t *testing.T) {
	t.Parallel()
	b := protecting(t)
	l := &ledger{left: 9}
	b.activities.Guard, b.activities.Budgets = l, budgets
	in := kill()
	in.Claim.Incident = of("kube-system")
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrProtected, final(t, err))
	in.Claim.Incident, in.Claim.Route = of("web"), "nobody knows it"
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrNotPermitted, final(t, err))
	require.Empty(t, l.reserved)
}

// The attempt before may have taken one, whether or not it lived to tell.
func TestARetryMayHaveAUnitAlready(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	l := &ledger{left: 2}
	b.activities.Guard, b.activities.Budgets = l, budgets
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Status: http.StatusTooManyRequests})
	in := kill()
	in.Claim.Incident = of("web")
	in.Claim.Incident.Container = incident.Container{ID: "6949e5f10829", Name: "miner"}
	_, err := persist[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, l.again)
	require.Equal(t, l.reserved[0], l.reserved[1])
	require.Equal(t, in.Claim.Incident.Target(), l.reserved[0].Target)
}

// shut is a guard under which nothing is contained: it is frozen, and there is
// nothing left of its budgets.
type shut struct{ frozenBy }

func (shut) Hold(context.Context, signals.Hold) error { return nil }

func (shut) Reserve(context.Context, signals.Reserve, bool) error {
	return &guard.SpentError{Reason: "the budget of * is spent"}
}

func TestNeitherFreezeNorProtectionNorBudgetKeepsAnybodyFromTakingBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.activities.Approvals = rules(t,
		"routes: [{name: automatic, when: 'true', playbook: respond, action: PAUSE_CONTAINER, approval: none, auto_undo_after: 1h}]")
	in := kill()
	in.Action, in.Claim.Action, in.Claim.Playbook = "PAUSE_CONTAINER", "PAUSE_CONTAINER", "respond"
	paused, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)

	b.activities.Guard, b.activities.Budgets = shut{"bob"}, []signals.Budget{{Action: "*", Limit: 1, Per: incident.Duration(time.Hour)}}
	b.activities.Protected, err = incident.NewProtections([]incident.Protection{{Name: "all", When: "true", Actions: []string{"*"}}})
	require.NoError(t, err)
	in.CallerID, in.Undo, in.Claim.Undo = "firebreak-0002", paused.ID, true
	undone, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	require.NotEqual(t, paused.ID, undone.ID)
	ledger := b.sysdig.Ledger()
	require.Len(t, ledger, 2)
	require.Equal(t, sysdigtest.Undo, ledger[1].Kind)
	require.Equal(t, "UNPAUSE_CONTAINER", ledger[1].Action)
	require.Equal(t, "firebreak-0002", ledger[1].CallerID)
}

func TestAnActionThatTheCatalogueDoesNotKnowMayContain(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.activities.Guard = frozenBy("bob")
	in := kill()
	in.Action, in.Claim.Action = "MELT_CONTAINER", "MELT_CONTAINER"
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrFrozen, final(t, err))
	require.Zero(t, b.submits())
}

func TestADryRunChecksEverythingAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := protecting(t)
	l := &ledger{}
	b.activities.Guard, b.activities.Budgets, b.activities.Observe = l, budgets, true
	in := kill()
	in.Claim.Incident = of("web")
	done, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	require.Equal(t, activities.Execution{Status: activities.StatusObserved, Observed: true}, done)
	capture, err := run[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err)
	require.Equal(t, activities.Capture{Name: captureOfNode().Name, Observed: true}, capture)
	awaited, err := run[activities.Capture](b, a.AwaitCapture, activities.AwaitInput{Capture: capture})
	require.NoError(t, err)
	require.Equal(t, capture, awaited)
	require.Empty(t, l.reserved, "a worker that acts may have the budget")

	in.Claim.Incident = of("kube-system")
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrProtected, final(t, err))
	in.Claim.Incident, in.Claim.Route = of("web"), "nobody knows it"
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrNotPermitted, final(t, err))
	b.activities.Guard = frozenBy("bob")
	in = kill()
	in.Claim.Incident = of("web")
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrFrozen, final(t, err))
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		require.Zero(t, b.sysdig.Requests(method, ""), method)
	}
	require.Empty(t, b.sysdig.Ledger())
}
