package workflows

import (
	"go.temporal.io/sdk/workflow"

	"firebreak/internal/metrics"
	"firebreak/signals"
)

// Thawed reports whether a worker has it in memory that containment is not
// frozen.
type Thawed func() bool

// playbook is a workflow that handles incidents.
type playbook func(workflow.Context, signals.Input) (signals.Page, error)

// thawedKey is where a playbook's context holds the Thawed.
type thawedKey struct{}

// in is a playbook that can glance at the worker's memory.
func (t Thawed) in(p playbook) playbook {
	return func(ctx workflow.Context, in signals.Input) (signals.Page, error) {
		return p(workflow.WithValue(ctx, thawedKey{}, t), in)
	}
}

// glance reports whether containment is surely not frozen, by what the worker has
// in memory. It is on the way from an approval to its action, where an activity
// would take longer than everything else in the task.
func glance(ctx workflow.Context) bool {
	recorded := workflow.SideEffect(ctx, func(ctx workflow.Context) any {
		thawed, _ := ctx.Value(thawedKey{}).(Thawed)
		return thawed != nil && thawed()
	})
	var surely bool
	return recorded.Get(&surely) == nil && surely
}

// frozen words why nothing is contained.
func frozen(f *signals.Frozen) error {
	clipped := signals.Frozen{By: signals.Clip(f.By, maxQuoted), Reason: signals.Clip(f.Reason, maxQuoted), Since: f.Since}
	return refused(metrics.Frozen, "%s", clipped.String())
}
