package signals

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	"firebreak/internal/incident"
)

// GuardID is the workflow ID of the guard, of which there is one in a namespace.
const GuardID = "firebreak-guard"

// WorkflowGuard is the guard's workflow type.
const WorkflowGuard = "Guard"

// The guard's states, as its search attribute IncidentState shows them.
const (
	GuardOpen   State = "unfrozen"
	GuardFrozen State = "frozen"
)

// MemoFrozen is the field of the guard's memo that holds a Frozen; it is absent
// while containment is allowed. Workers read it there, which needs nobody to
// replay the guard.
const MemoFrozen = "frozen"

// Frozen says who stopped containment, when and why.
type Frozen struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// String words it for whoever wants to contain something.
func (f Frozen) String() string {
	return fmt.Sprintf("containment is frozen by %s since %s: %s", f.By, f.Since.UTC().Format(time.RFC3339), f.Reason)
}

// Budget bounds how often an action is carried out that nobody approved: at most
// Limit times within any time span of length Per, by all workers of the namespace
// together.
type Budget struct {
	// Action is a pattern of action names, as path.Match has them: KILL_CONTAINER,
	// KILL_*, or * for all of them together.
	Action string            `yaml:"action" json:"action"`
	Limit  int               `yaml:"limit" json:"limit"`
	Per    incident.Duration `yaml:"per" json:"per"`
}

// Counts reports whether an action counts against the budget.
func (b *Budget) Counts(action string) bool {
	counts, err := path.Match(b.Action, action)
	return err == nil && counts
}

// Bounds of budgets: the guard remembers every action of the longest time span,
// and hands all of it from run to run.
const (
	MaxBudgets     = 32
	MaxBudgetLimit = 1000
	MaxBudgetPer   = 30 * 24 * time.Hour
)

// UpdateReserve is the update of the guard by which a worker asks for a unit of
// the budgets; its argument is a Reserve, and it returns a Reservation. Its ID is
// the caller ID of the action, so that one is taken for an action however often it
// is asked for. Whoever may signal may send it, too: what is reserved by nobody
// who acts only makes Firebreak do less by itself, see [Reservation.Of].
const UpdateReserve = "reserve"

// ErrBudgetSpent is the type of the error by which the guard refuses a Reserve.
// Its detail is a Spent.
const ErrBudgetSpent = "budget-spent"

// Spent says how long a budget stays spent.
type Spent struct {
	For incident.Duration `json:"for"`
}

// Reserve asks for a unit of every budget that an action counts against.
type Reserve struct {
	Action   string `json:"action"`
	CallerID string `json:"caller_id"`
	// Target is for people.
	Target string `json:"target,omitzero"`
	// Limits are all budgets of the worker's configuration, in its order.
	Limits []Budget `json:"limits"`
}

// Reservation is a unit that was taken. It counts whatever became of the action:
// a budget errs on the side of doing less.
type Reservation struct {
	Time     time.Time `json:"time"`
	Action   string    `json:"action"`
	CallerID string    `json:"caller_id"`
	Target   string    `json:"target,omitzero"`
	// Limits is a digest of those under which it was taken.
	Limits string `json:"limits,omitzero"`
	// Until is when it counts against no budget any more.
	Until time.Time `json:"until"`
}

// Of reports whether it was taken for what a worker asks for, under its budgets:
// somebody else may have asked in its name.
func (r *Reservation) Of(in Reserve) bool {
	return r.CallerID == in.CallerID && r.Action == in.Action && r.Limits == in.Digest()
}

// Digest is a digest of the limits.
func (in Reserve) Digest() string {
	encoded, err := json.Marshal(in.Limits)
	if err != nil {
		return "" // no budget that is checked has such a value
	}
	return digest(string(encoded))[:16]
}

// BudgetUse is a budget and how much of it is used.
type BudgetUse struct {
	Budget

	Used int `json:"used"`
	// FreesAt is when the oldest unit that is used is free again; zero if none is.
	FreesAt time.Time `json:"frees_at,omitzero"`
}

// GuardPage is the guard as people and programs see it: its answer to
// QueryIncident.
type GuardPage struct {
	WorkflowID string  `json:"workflow_id"`
	RunID      string  `json:"run_id"`
	State      State   `json:"state"`
	Frozen     *Frozen `json:"frozen"`
	// Budgets are as the worker has them that reserved last, and used as they were
	// when the guard last heard of anything: see Use.
	Budgets []BudgetUse `json:"budgets"`
	// Reservations are those that count, the latest last.
	Reservations []Reservation `json:"reservations"`
	// Slots are the hosts whose turn for a system capture is held.
	Slots   []Slot  `json:"slots"`
	WarRoom []Entry `json:"war_room"`
}

// Use is how much of a budget is used at a time.
func (p *GuardPage) Use(b Budget, at time.Time) BudgetUse {
	use := BudgetUse{Budget: b}
	for i := range p.Reservations {
		r := &p.Reservations[i]
		free := r.Time.Add(time.Duration(b.Per))
		if !b.Counts(r.Action) || !at.Before(free) {
			continue
		}
		if use.Used++; use.Used == 1 {
			use.FreesAt = free
		}
	}
	return use
}

// GuardInput starts the guard, which the first signal to it does. It is empty;
// Carried is what the run before this one knew.
type GuardInput struct {
	Carried *GuardPage `json:"carried,omitempty"`
}

// maxTarget bounds what a reservation says of its target, in bytes.
const maxTarget = 100

// Reserved is what is taken for a caller ID and still counts, nil if nothing is.
func (p *GuardPage) Reserved(callerID string, at time.Time) *Reservation {
	i := slices.IndexFunc(p.Reservations, func(r Reservation) bool { return r.CallerID == callerID && at.Before(r.Until) })
	if i < 0 {
		return nil
	}
	return &p.Reservations[i]
}

// Take takes a unit of every budget that an action counts against; isNew is
// false where its caller ID has one already.
func (p *GuardPage) Take(in Reserve, at time.Time) (taken Reservation, isNew bool) {
	at = at.UTC()
	if earlier := p.Reserved(in.CallerID, at); earlier != nil {
		return *earlier, false
	}
	taken = Reservation{Time: at, Action: in.Action, CallerID: in.CallerID, Target: Clip(in.Target, maxTarget), Limits: in.Digest(), Until: at}
	p.Budgets = make([]BudgetUse, len(in.Limits))
	for i, budget := range in.Limits {
		p.Budgets[i].Budget = budget
		if until := at.Add(time.Duration(budget.Per)); budget.Counts(in.Action) && until.After(taken.Until) {
			taken.Until = until
		}
	}
	p.Reservations = append(p.Reservations, taken)
	p.Forget(at)
	return taken, true
}

// Forget forgets what counts no more, and counts the rest.
func (p *GuardPage) Forget(at time.Time) {
	p.Reservations = slices.DeleteFunc(p.Reservations, func(r Reservation) bool { return !at.Before(r.Until) })
	for i := range p.Budgets {
		p.Budgets[i] = p.Use(p.Budgets[i].Budget, at)
	}
}
