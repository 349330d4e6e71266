package workflows_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

// answers are those to updates, by caller ID: nil or the refusal.
type answers map[string]error

// reserve asks the guard for a unit after a time.
func (b *bench) reserve(after time.Duration, into answers, in signals.Reserve) {
	b.RegisterDelayedCallback(func() { b.ask(into, in) }, after)
}

// ask asks the guard now.
func (b *bench) ask(into answers, in signals.Reserve) {
	b.UpdateWorkflow(signals.UpdateReserve, in.CallerID+b.Now().String(), &asked{into, in.CallerID, func() {}}, in)
}

type asked struct {
	into     answers
	caller   string
	accepted func()
}

func (a *asked) Accept()                   { a.accepted() }
func (a *asked) Reject(err error)          { a.into[a.caller] = err }
func (a *asked) Complete(_ any, err error) { a.into[a.caller] = err }

// kills are budgets for KILL_CONTAINER, and one for all actions.
func kills(limit int, per time.Duration, all int) []signals.Budget {
	return []signals.Budget{
		{Action: "*", Limit: all, Per: incident.Duration(24 * time.Hour)}, {Action: "KILL_CONTAINER", Limit: limit, Per: incident.Duration(per)},
	}
}

func killing(caller string, limits []signals.Budget) signals.Reserve {
	return signals.Reserve{Action: "KILL_CONTAINER", CallerID: caller, Target: "container " + caller, Limits: limits}
}

// refusedBecause checks a refusal and returns how long it holds.
func refusedBecause(t *testing.T, err error, want string) time.Duration {
	t.Helper()
	var refused *temporal.ApplicationError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, signals.ErrBudgetSpent, refused.Type())
	require.Equal(t, want, refused.Message())
	var spent signals.Spent
	require.NoError(t, refused.Details(&spent))
	return time.Duration(spent.For)
}

// movesOnAfter has the guard move on after a time.
func (b *bench) movesOnAfter(after time.Duration) {
	b.RegisterDelayedCallback(func() { b.SetContinueAsNewSuggested(true) }, after)
	b.at(after+time.Second, "wake", nil)
}

func TestABudgetIsSpentUntilItsOldestUnitIsFreeAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := answers{}
	limits := kills(2, time.Hour, 9)
	b.reserve(time.Minute, got, killing("a", limits))
	b.reserve(31*time.Minute, got, killing("b", limits))
	b.reserve(41*time.Minute, got, killing("c", limits))
	b.reserve(42*time.Minute, got, signals.Reserve{Action: "KILL_PROCESS", CallerID: "p", Limits: limits})
	b.reserve(61*time.Minute-time.Second, got, killing("d", limits))
	b.reserve(61*time.Minute, got, killing("e", limits))
	b.reserve(62*time.Minute, got, killing("f", limits))
	b.movesOnAfter(63 * time.Minute)
	page := guardOf(t, b, signals.GuardInput{})
	for _, taken := range []string{"a", "b", "p", "e"} {
		require.NoError(t, got[taken], taken)
	}
	const want = "the budget of KILL_CONTAINER is spent: 2 within 1h0m0s without approval (guard.budgets[1])"
	require.Equal(t, 20*time.Minute, refusedBecause(t, got["c"], want))
	require.Equal(t, time.Second, refusedBecause(t, got["d"], want))
	require.Equal(t, 29*time.Minute, refusedBecause(t, got["f"], want))

	start := page.Reservations[0].Time.Add(-time.Minute)
	require.Equal(t, []signals.BudgetUse{
		{Budget: limits[0], Used: 4, FreesAt: start.Add(24*time.Hour + time.Minute)},
		{Budget: limits[1], Used: 2, FreesAt: start.Add(91 * time.Minute)},
	}, page.Budgets)
	require.Len(t, page.Reservations, 4)
	require.Equal(t, signals.Reservation{
		Time: start.Add(time.Minute), Action: "KILL_CONTAINER", CallerID: "a", Target: "container a", Limits: killing("a", limits).Digest(),
		Until: start.Add(24*time.Hour + time.Minute),
	}, page.Reservations[0], "it counts as long as against the longest")
	require.Equal(t, []string{
		"the budget of KILL_CONTAINER is spent until " + start.Add(61*time.Minute).Format(time.RFC3339) + ": 2 within 1h0m0s without approval",
		"the budget of KILL_CONTAINER is spent until " + start.Add(91*time.Minute).Format(time.RFC3339) + ": 2 within 1h0m0s without approval",
	}, checks(page))
}

// checks are what the guard noted by itself.
func checks(page signals.GuardPage) []string {
	var noted []string
	for _, entry := range page.WarRoom {
		if entry.Kind == signals.KindCheck {
			noted = append(noted, entry.Text)
		}
	}
	return noted
}

func TestEveryActionCountsAgainstABudgetForAll(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := answers{}
	limits := kills(5, time.Hour, 2)
	b.reserve(time.Minute, got, killing("a", limits))
	b.reserve(2*time.Minute, got, signals.Reserve{Action: "KILL_PROCESS", CallerID: "b", Limits: limits})
	b.reserve(3*time.Minute, got, signals.Reserve{Action: "FILE_QUARANTINE", CallerID: "c", Limits: limits})
	b.movesOnAfter(time.Hour)
	guardOf(t, b, signals.GuardInput{})
	require.NoError(t, got["b"])
	refusedBecause(t, got["c"], "the budget of * is spent: 2 within 24h0m0s without approval (guard.budgets[0])")
}

// An activity that is tried again asks again: by another worker, in another run of
// the guard, as another update.
func TestAnActionTakesOneUnitHoweverOftenItAsks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := answers{}
	limits := kills(2, time.Hour, 9)
	b.reserve(time.Minute, got, killing("a", limits))
	b.reserve(2*time.Minute, got, killing("a", limits))
	b.reserve(3*time.Minute, got, killing("b", limits))
	b.movesOnAfter(4 * time.Minute)
	page := guardOf(t, b, signals.GuardInput{})
	require.NoError(t, got["a"])
	require.NoError(t, got["b"])
	require.Len(t, page.Reservations, 2)

	next := b.after()
	next.reserve(time.Minute, got, killing("a", limits))
	next.reserve(2*time.Minute, got, killing("c", limits))
	next.movesOnAfter(3 * time.Minute)
	page = guardOf(t, next, signals.GuardInput{Carried: &page})
	require.NoError(t, got["a"], "it has one, although all are taken")
	require.Error(t, got["c"], "the next run knows what the one before gave")
	require.Len(t, page.Reservations, 2)
	require.Equal(t, 2, page.Budgets[1].Used)

	last := next.after()
	last.reserve(2*time.Hour, got, killing("c", limits))
	last.movesOnAfter(150 * time.Minute)
	page = guardOf(t, last, signals.GuardInput{Carried: &page})
	require.NoError(t, got["c"])
	require.Equal(t, 1, page.Budgets[1].Used)
}

// A reservation that comes with the end of a run is not lost with it.
func TestAReservationThatComesAsTheGuardMovesOnIsHandedOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := answers{}
	b.RegisterDelayedCallback(func() {
		full := &asked{got, "a", func() { b.SetContinueAsNewSuggested(true) }}
		b.UpdateWorkflow(signals.UpdateReserve, "update", full, killing("a", kills(2, time.Hour, 9)))
	}, time.Minute)
	page := guardOf(t, b, signals.GuardInput{})
	require.Contains(t, got, "a")
	require.NoError(t, got["a"])
	require.Len(t, page.Reservations, 1)
}

func TestWhatIsNoReservationIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 101)
	limits := kills(2, time.Hour, 9)
	b := newBench(t)
	wrong := map[string]signals.Reserve{
		"no caller":     {Action: "KILL_CONTAINER", Limits: limits},
		"a long caller": {Action: "KILL_CONTAINER", CallerID: long, Limits: limits},
		"no action":     {CallerID: "a", Limits: limits},
		"a long action": {Action: long, CallerID: "b", Limits: limits},
		"many limits":   {Action: "KILL_CONTAINER", CallerID: "c", Limits: make([]signals.Budget, 33)},
		"no limit":      {Action: "KILL_CONTAINER", CallerID: "d", Limits: kills(0, time.Hour, 9)},
		"for ever":      {Action: "KILL_CONTAINER", CallerID: "e", Limits: kills(2, 31*24*time.Hour, 9)},
		"not at all":    {Action: "KILL_CONTAINER", CallerID: "f", Limits: kills(2, 0, 9)},
	}
	got := map[string]answers{}
	for name, in := range wrong {
		got[name] = answers{}
		b.reserve(time.Minute, got[name], in)
	}
	b.movesOnAfter(time.Hour)
	require.Empty(t, guardOf(t, b, signals.GuardInput{}).Reservations)
	for name, in := range wrong {
		err := got[name][in.CallerID]
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "is spent", name)
	}
}

// TestTheGuardSurvivesWhatAnybodyReserves: who may signal may also reserve.
func TestTheGuardSurvivesWhatAnybodyReserves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := answers{}
	in := signals.Reserve{Action: strings.Repeat("X", 100), Target: strings.Repeat("<", 1<<10), Limits: []signals.Budget{{Action: "*", Limit: 1 << 30, Per: incident.Duration(time.Hour)}}}
	// What an earlier run was asked for; the test environment takes no thousand
	// updates.
	carried := signals.GuardPage{State: signals.GuardOpen, WarRoom: []signals.Entry{}, Budgets: []signals.BudgetUse{}}
	for n := range 999 {
		carried.Reservations = append(carried.Reservations, signals.Reservation{
			Time: b.Now().UTC(), Action: in.Action, CallerID: fmt.Sprintf("%0100d", n), Until: b.Now().UTC().Add(time.Hour),
			Target: signals.Clip(in.Target, 100),
		})
	}
	for n := range 2 {
		in.CallerID = fmt.Sprintf("%0100d", 1000+n)
		b.reserve(time.Duration(n+1)*time.Second, got, in)
	}
	b.movesOnAfter(2 * time.Minute)
	page := guardOf(t, b, signals.GuardInput{Carried: &carried})
	require.Len(t, page.Reservations, 1000)
	require.Equal(t, carried.Reservations[0].Target, page.Reservations[999].Target)
	refusals := 0
	for _, err := range got {
		if err != nil {
			refusals++
			refusedBecause(t, err, "the guard remembers no more than 1000 actions without approval")
		}
	}
	require.Equal(t, 1, refusals)
	encoded, err := json.Marshal(page)
	require.NoError(t, err)
	require.Less(t, len(encoded), 1<<20)
}

// TestAWorkerThatWantsTheIncidentIsToldOfIt is about a worker whose configuration
// is newer than the starter's.
func TestAWorkerThatWantsTheIncidentIsToldOfIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := minerInput()
	in.Route.Approval.Mode = incident.ModeNone
	in.Route.CaptureFirst = true
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		if in.Claim.Incident == nil {
			return activities.Capture{}, refusal(activities.ErrIncidentWanted, "not told of it")
		}
		require.True(t, in.Claim.First)
		return activities.Capture{ID: 7, Name: in.Name, Size: 100}, nil
	}
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if in.Claim.Incident == nil {
			return activities.Execution{}, refusal(activities.ErrIncidentWanted, "not told of it")
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.NotEmpty(t, page.Evidence)
	require.Len(t, b.executed, 1, "what the capture was asked for is known from then on")
	require.Equal(t, "6949e5f10829", b.executed[0].Claim.Incident.Container.ID)

	alone := newBench(t)
	in.Route.CaptureFirst = false
	alone.execute = b.execute
	page = alone.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Len(t, alone.executed, 2)
	require.Equal(t, alone.executed[0].CallerID, alone.executed[1].CallerID)

	undone := newBench(t)
	undone.execute = func(in activities.ActionInput) (activities.Execution, error) {
		if in.Undo != "" && in.Claim.Incident == nil {
			return activities.Execution{}, refusal(activities.ErrIncidentWanted, "not told of it")
		}
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	in = respondInput("PAUSE_CONTAINER")
	in.Route.AutoUndoAfter = incident.Duration(time.Hour)
	page = undone.run(workflows.Respond, in, everything())
	require.Equal(t, "firebreak", page.Actions[0].UndoneBy)
	require.Len(t, undone.executed, 3)
	require.Equal(t, undone.executed[1].CallerID, undone.executed[2].CallerID)
}
