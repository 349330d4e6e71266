package workflows

import (
	"cmp"

	"go.temporal.io/sdk/workflow"

	"firebreak/signals"
)

// CryptoMiner stops a crypto-miner: it kills the container it runs in, or the
// process where it runs on the host itself.
func CryptoMiner(ctx workflow.Context, in signals.Input) (signals.Page, error) {
	r, err := open(ctx, in, signals.PlaybookCryptoMiner)
	if err != nil {
		return signals.Page{}, err
	}
	// 1. Check the severity.
	if !r.severe(ctx) {
		return r.close(ctx, signals.BelowThreshold)
	}

	// 2. Check the fields the action needs; enrich, or ask an analyst. The action is
	// chosen once, by the event that opened the incident: a field that comes later
	// does not change what is asked for.
	r.action = cmp.Or(r.action, chooseKill(&r.page.Incident))
	action, stop := r.prepare(ctx)
	if stop != "" {
		return r.close(ctx, stop)
	}

	// 3. Take evidence before it is destroyed, where the route says so. 4. Ask
	// approval, naming the exact action and target. 5. Execute it, and follow the
	// execution to its end. 6. Watch for the same detection, and ask again if it
	// returns. 7. Report.
	return r.contain(ctx, action)
}
