package workflows

import (
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
	route := r.in.Route

	// 1. Check the severity.
	if !r.severe(ctx) {
		return r.close(ctx, signals.BelowThreshold)
	}

	// 2. Check the fields the action needs; enrich, or ask an analyst.
	action := r.killAction()
	if v := r.require(ctx, action.fields); v != approved {
		return r.close(ctx, v.outcome())
	}

	// 3. Take evidence before it is destroyed, where the route says so.
	if route.CaptureFirst {
		r.recordFirst(ctx)
	}

	for {
		// 4. Ask approval, naming the exact action and target.
		if v := r.ask(ctx, action.request(r.page.Incident), route.Approval); v != approved {
			return r.close(ctx, r.deniedOutcome(v))
		}
		// 5. Execute it, and follow the execution to its end.
		if err := r.during(ctx, signals.Containing, r.execute); err != nil {
			r.failure(ctx, action.name, err)
			continue
		}
		// 6. Watch for the same detection, and ask again if it returns.
		if r.returns(ctx) {
			continue
		}
		// 7. Report, unless the detection returns meanwhile.
		if page, err := r.close(ctx, signals.Contained); !r.reopens(ctx) {
			return page, err
		}
	}
}
