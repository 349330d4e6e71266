package workflows

import (
	"go.temporal.io/sdk/workflow"

	"firebreak/signals"
)

// Requested is a playbook for tests: CryptoMiner's containment, as somebody
// asked for it.
func Requested(requester string) func(workflow.Context, signals.Input) (signals.Page, error) {
	return func(ctx workflow.Context, in signals.Input) (signals.Page, error) {
		r, err := open(ctx, in, signals.PlaybookCryptoMiner)
		if err != nil {
			return signals.Page{}, err
		}
		r.requester = requester
		r.action = chooseKill(&r.page.Incident)
		if _, stop := r.prepare(ctx); stop != "" {
			return r.close(ctx, stop)
		}
		if v := r.ask(ctx, containRequest(r.action, r.parameters, r.page.Incident), r.in.Route.Approval); v != approved {
			return r.close(ctx, v.outcome())
		}
		if err := r.during(ctx, signals.Containing, r.execute); err != nil {
			return signals.Page{}, err
		}
		r.returns(ctx)
		return r.close(ctx, signals.Contained)
	}
}
