package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"firebreak/signals"
)

// Freeze is what the worker has in memory of who froze containment; known is
// false where it cannot say.
type Freeze func() (frozen *signals.Frozen, known bool)

// playbook is a workflow that handles incidents.
type playbook func(workflow.Context, signals.Input) (signals.Page, error)

// freezeKey is where a playbook's context holds the Freeze.
type freezeKey struct{}

// in is a playbook that knows whether containment is frozen.
func (f Freeze) in(p playbook) playbook {
	return func(ctx workflow.Context, in signals.Input) (signals.Page, error) {
		return p(workflow.WithValue(ctx, freezeKey{}, f), in)
	}
}

// glance is what a playbook saw when it looked whether containment is frozen.
type glance struct {
	Known  bool            `json:"known"`
	Frozen *signals.Frozen `json:"frozen,omitempty"`
}

// look looks whether containment is frozen, at what the worker has in memory. It
// is on the way from an approval to its action, where an activity would take
// longer than everything else in the task.
func look(ctx workflow.Context) glance {
	var seen glance
	recorded := workflow.SideEffect(ctx, func(ctx workflow.Context) any {
		f, _ := ctx.Value(freezeKey{}).(Freeze)
		if f == nil {
			return glance{}
		}
		frozen, known := f()
		return glance{Known: known, Frozen: frozen}
	})
	if err := recorded.Get(&seen); err != nil {
		return glance{} // not known
	}
	return seen
}

// frozen words why nothing is contained.
func frozen(f *signals.Frozen) error {
	return fmt.Errorf("containment is frozen by %s since %s: %s", signals.Clip(f.By, maxQuoted), f.Since.UTC().Format(time.RFC3339), signals.Clip(f.Reason, maxQuoted))
}
