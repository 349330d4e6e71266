package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"firebreak/signals"
)

// mayHold is the validator of the update hold-capture-slot: it refuses a turn that
// another capture has. A refusal leaves no trace in the history, so captures may
// ask for their turn as often as they like.
func (g *guard) mayHold(ctx workflow.Context, in signals.Hold) error {
	if !reservable.MatchString(in.Holder) || len(in.Host) == 0 || len(in.Host) > signals.MaxSlotNames || in.For < 0 {
		return fmt.Errorf("holder %q with %d host names for %s: must match %s, be 1 to %d, and be 0s or more",
			signals.Clip(in.Holder, maxQuoted), len(in.Host), in.For, reservable, signals.MaxSlotNames)
	}
	for i, name := range in.Host {
		if name == "" || len(name) > maxSlotName {
			return fmt.Errorf("host[%d]: must have 1 to %d bytes", i, maxSlotName)
		}
	}
	if in.For == 0 {
		return nil
	}
	now := workflow.Now(ctx)
	if slot := g.page.HeldByOther(in, now); slot != nil {
		return temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("capture %s of the same host is under way since %s", slot.Holder, slot.Since.Format(time.RFC3339)),
			signals.ErrSlotHeld, nil, *slot)
	}
	held := 0
	for i := range g.page.Slots {
		if slot := &g.page.Slots[i]; now.Before(slot.Until) && slot.Holder != in.Holder {
			held++
		}
	}
	if held >= signals.MaxSlots {
		return temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("captures of %d hosts are under way", held), signals.ErrSlotHeld, nil, signals.Slot{})
	}
	return nil
}

// maxSlotName bounds a name of a host, in bytes.
const maxSlotName = 300

// hold takes, renews or gives back a turn that mayHold allows.
func (g *guard) hold(ctx workflow.Context, in signals.Hold) (signals.Slot, error) {
	now := workflow.Now(ctx)
	if in.For > 0 {
		// Updates that are accepted with one task were all validated before the first
		// of them ran.
		if err := g.mayHold(ctx, in); err != nil {
			return signals.Slot{}, err
		}
	}
	return g.page.Hold(in, now), nil
}
