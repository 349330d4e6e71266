package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"firebreak/activities"
	"firebreak/internal/approvals"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// Temporal lets whoever may start a workflow start an activity without one, which
// would bring its own word on who approved it.
func TestAnActionThatNoPlaybookAsksForIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{})
	f.worker()
	var a *activities.Activities
	handle, err := f.temporal.ExecuteActivity(f.ctx, client.StartActivityOptions{
		ID: "forged", TaskQueue: f.host.Name, StartToCloseTimeout: time.Minute,
	}, a.ExecuteAction, activities.ActionInput{
		Action: "KILL_CONTAINER", CallerID: "forged",
		Parameters: map[string]any{"host.id": f.host.ID, "container.id": f.host.Containers[0]},
		Claim:      approvals.Claim{Action: "KILL_CONTAINER", Trust: signals.TrustVerified, ApprovedBy: []string{"ann", "bob"}},
	})
	require.NoError(t, err)
	require.ErrorContains(t, handle.Get(f.ctx, nil), "only playbooks")
	require.Zero(t, f.killed())
}
