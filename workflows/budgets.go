package workflows

import (
	"fmt"
	"regexp"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// maxReservations bounds what the guard remembers: it travels from run to run and
// answers queries, and the server limits the size of both. Budgets can be larger
// together; then it is this that is spent first.
const maxReservations = 1000

// reservable are the names and IDs that a reservation may have: JSON writes them
// as they are.
var reservable = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,100}$`)

// budgetable are patterns of them.
var budgetable = regexp.MustCompile(`^[A-Za-z0-9_.:^*?\[\]\\-]{1,100}$`)

// allows is the validator of the update reserve: it refuses what is beyond a
// budget, which leaves no trace in the history, so that a flood of refusals costs
// the guard nothing.
func (g *guard) allows(ctx workflow.Context, in signals.Reserve) error {
	if !reservable.MatchString(in.CallerID) || !reservable.MatchString(in.Action) {
		return fmt.Errorf("action %q, caller_id %q: want names that match %s", signals.Clip(in.Action, maxQuoted), signals.Clip(in.CallerID, maxQuoted), reservable)
	}
	if len(in.Limits) > signals.MaxBudgets {
		return fmt.Errorf("%d limits; want at most %d", len(in.Limits), signals.MaxBudgets)
	}
	now := workflow.Now(ctx)
	if g.page.Reserved(in.CallerID, now) != nil {
		return nil
	}
	for i, budget := range in.Limits {
		per := time.Duration(budget.Per)
		if !budgetable.MatchString(budget.Action) || budget.Limit < 1 || per <= 0 || per > signals.MaxBudgetPer {
			return fmt.Errorf("limits[%d] is no budget", i)
		}
		if !budget.Counts(in.Action) {
			continue
		}
		if use := g.page.Use(budget, now); use.Used >= budget.Limit {
			return spent(use.FreesAt.Sub(now), "the budget of %s is spent: %d within %s without approval (guard.budgets[%d])", budget.Action, budget.Limit, per, i)
		}
	}
	counting := 0
	for i := range g.page.Reservations {
		if now.Before(g.page.Reservations[i].Until) {
			counting++
		}
	}
	if counting >= maxReservations {
		return spent(time.Minute, "the guard remembers no more than %d actions without approval", maxReservations)
	}
	return nil
}

// spent refuses for a while.
func spent(wait time.Duration, format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), signals.ErrBudgetSpent, nil, signals.Spent{For: incident.Duration(wait)})
}

// reserve takes a unit of every budget that the action counts against. That it may
// is decided, see allows.
func (g *guard) reserve(ctx workflow.Context, in signals.Reserve) (signals.Reservation, error) {
	taken, isNew := g.page.Take(in, workflow.Now(ctx))
	if !isNew {
		return taken, nil
	}
	for _, use := range g.page.Budgets {
		if use.Counts(in.Action) && use.Used == use.Limit {
			g.log(ctx, actorFirebreak, signals.KindCheck, fmt.Sprintf("the budget of %s is spent until %s: %d within %s without approval",
				use.Action, use.FreesAt.Format(time.RFC3339), use.Limit, use.Per))
		}
	}
	g.refresh(ctx)
	return taken, nil
}
