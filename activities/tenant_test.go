package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
)

// newTenants is a bench with two tenants beside the account without a name. All
// three have the same hosts, and each takes its own token only.
func newTenants(t *testing.T) (b *bench, acme, umbrella *sysdigtest.Server) {
	t.Helper()
	b = newBench(t, sysdigtest.Options{Token: "ours"})
	acme = sysdigtest.Start(t, sysdigtest.Options{Token: "acme's"})
	umbrella = sysdigtest.Start(t, sysdigtest.Options{Token: "umbrella's"})
	b.activities.Tenants = map[string]*sysdig.Client{}
	for name, server := range map[string]*sysdigtest.Server{"acme": acme, "umbrella": umbrella} {
		client, err := sysdig.NewClient(server.Config())
		require.NoError(t, err)
		b.activities.Tenants[name] = client
	}
	return b, acme, umbrella
}

// asked is how many requests have arrived at an account.
func asked(s *sysdigtest.Server) int { return s.Requests("", "") }

// request is an activity with its input.
type request struct {
	name            string
	activity, input any
	// unknown is the type of the error where the worker does not know the tenant.
	unknown string
}

// requests are all activities that talk to Sysdig, in an order in which a capture is
// there before it is waited for.
func requests(tenant string) []request {
	first, again := kill(), kill()
	again.Resumed = true
	first.Tenant, again.Tenant = tenant, tenant
	create, recreate := captureOfNode(), captureOfNode()
	recreate.Resumed = true
	create.Tenant, recreate.Tenant = tenant, tenant
	taken := activities.Capture{ID: 1, Name: create.Name, Tenant: tenant}
	return []request{
		{"execute", a.ExecuteAction, first, activities.ErrRefused},
		{"execute what may have been submitted", a.ExecuteAction, again, activities.ErrAmbiguous},
		{"create a capture", a.CreateCapture, create, activities.ErrRefused},
		{"create what may be there", a.CreateCapture, recreate, activities.ErrAmbiguous},
		{"await", a.AwaitCapture, activities.AwaitInput{Capture: taken}, activities.ErrRefused},
		{"save", a.SaveCapture, activities.SaveInput{Capture: taken, WorkflowID: "w", RunID: "r"}, activities.ErrRefused},
		{"enrich", a.Enrich, activities.EnrichInput{HostID: nodeHost, Tenant: tenant}, activities.ErrRefused},
		{"describe", a.DescribeAction, activities.DescribeInput{Action: "KILL_CONTAINER", Tenant: tenant}, activities.ErrRefused},
		{"look around", a.Related, activities.RelatedInput{EventID: "e", At: time.Now(), HostName: "node-1", Tenant: tenant}, activities.ErrRefused},
		{"fetch", a.FetchResult, activities.FetchInput{Action: "FILE_ACQUIRE", ExecutionID: "none", Tenant: tenant, WorkflowID: "w", RunID: "r"}, activities.ErrRefused},
		{"undo", a.ExecuteAction, activities.ActionInput{Action: "PAUSE_CONTAINER", CallerID: "firebreak-0002", Undo: "none", Tenant: tenant, Claim: first.Claim}, activities.ErrRefused},
	}
}

func TestEveryActivityGoesToItsTenantAndToNoOther(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{"", "acme", "umbrella"} {
		b, acme, umbrella := newTenants(t)
		accounts := map[string]*sysdigtest.Server{"": b.sysdig, "acme": acme, "umbrella": umbrella}
		for _, c := range requests(tenant) {
			before := asked(accounts[tenant])
			// Sysdig may well refuse what it knows nothing of.
			value, err := b.ExecuteActivity(c.activity, c.input)
			require.Greater(t, asked(accounts[tenant]), before, "%s: %v", c.name, err)
			var taken activities.Capture
			if err == nil && value.Get(&taken) == nil && taken.ID != 0 {
				require.Equal(t, tenant, taken.Tenant, "%s: whoever waits for it is told whose it is", c.name)
			}
		}
		for name, account := range accounts {
			if name == tenant {
				require.Equal(t, 1, account.Ledger().Killed(nodeContainer))
				require.Equal(t, 1, account.Requests(http.MethodPost, "/api/v1/captures"))
			} else {
				require.Zero(t, asked(account), "tenant %q for %q", name, tenant)
			}
		}
	}
}

func TestATenantThatTheWorkerDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	b, acme, umbrella := newTenants(t)
	for _, c := range requests("acne") {
		_, err := b.ExecuteActivity(c.activity, c.input)
		require.Equal(t, c.unknown, final(t, err), c.name)
		require.ErrorContains(t, err, `tenant "acne": this worker has no such Sysdig account; want one of no tenant, acme, umbrella, or configure it on this worker`, c.name)
	}
	b.activities.Sysdig = nil
	for _, c := range requests("") {
		_, err := b.ExecuteActivity(c.activity, c.input)
		require.Equal(t, c.unknown, final(t, err), c.name)
		require.ErrorContains(t, err, `no tenant: this worker has no such Sysdig account; want one of acme, umbrella, or`, c.name)
	}
	require.Zero(t, asked(b.sysdig)+asked(acme)+asked(umbrella))
}

func TestAnExecutionUnderWayIsNotTakenForRefusedWhereItsTenantIsUnknown(t *testing.T) {
	t.Parallel()
	b, _, _ := newTenants(t)
	in := kill()
	in.Tenant = "acne"
	b.SetHeartbeatDetails(map[string]any{"execution_id": "1"})
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrAmbiguous, final(t, err))
}
