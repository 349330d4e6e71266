// Package workflows holds the playbooks: deterministic code that reads like the
// steps an analyst would follow, and nothing else. Every side effect is an
// activity. Start with capture.go or crypto_miner.go; what they share is in
// response.go (the incident under way), intake.go and mail.go (signals),
// approval.go and ask.go (decisions), notify.go (who is told), fields.go (required
// fields), retrying.go (activities, and what is shown while one is retried),
// contain.go (response actions), recording.go (system captures),
// close.go (the end) and moving.go (from one run of a workflow to the next). The
// switch that stops them all is in guard.go.
//
// A playbook that has landed keeps replaying its stored histories
// (testdata/histories): a change of its commands goes through
// workflow.GetVersion. So workers without versions can be replaced while incidents
// wait, and the guard can move from version to version of those that have one.
// Incidents stay on theirs, also where they continue as new.
package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"firebreak/signals"
)

// Register adds every playbook to a worker, or to a replayer, which has nothing
// in memory. A new playbook is a file in this package, a line here, and its names in
// package signals.
func Register(r worker.WorkflowRegistry, t Thawed) {
	r.RegisterWorkflowWithOptions(t.in(Capture), workflow.RegisterOptions{Name: signals.WorkflowCapture})
	r.RegisterWorkflowWithOptions(t.in(CryptoMiner), workflow.RegisterOptions{Name: signals.WorkflowCryptoMiner})
	r.RegisterWorkflowWithOptions(t.in(Respond), workflow.RegisterOptions{Name: signals.WorkflowRespond})
	r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in signals.ManualInput) (signals.Page, error) {
		return ResponseAction(workflow.WithValue(ctx, thawedKey{}, t), in)
	}, workflow.RegisterOptions{Name: signals.WorkflowResponseAction})
	// The guard never ends: it would keep the first version's workers for ever.
	r.RegisterWorkflowWithOptions(Guard, workflow.RegisterOptions{
		Name: signals.WorkflowGuard, VersioningBehavior: workflow.VersioningBehaviorAutoUpgrade,
	})
}
