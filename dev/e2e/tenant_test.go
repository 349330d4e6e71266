package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// tenants is an installation with two tenants, acme and umbrella, each with a
// source of its name and a Sysdig that takes its own token only. Both have the
// same host with the same container. There is no account besides.
type tenants struct {
	*installation
	sysdigs map[string]*sysdigtest.Server
}

func installTenants(t *testing.T, routes string, options sysdigtest.Options) *tenants {
	t.Helper()
	options.Token = "token-of-acme"
	f := prepare(t, shared, routes, options, newHost())
	options.Token, options.Hosts = "token-of-umbrella", []sysdigtest.Host{f.host}
	s := &tenants{f, map[string]*sysdigtest.Server{"acme": f.sysdig, "umbrella": sysdigtest.Start(t, options)}}
	accounts, sources := "sysdig:\n  tenants:\n", "starter:\n  sources:\n"
	f.env = slices.DeleteFunc(f.env, func(variable string) bool { return strings.HasPrefix(variable, "SYSDIG_SECURE_API_TOKEN=") })
	for name, sysdig := range s.sysdigs {
		variable := strings.ToUpper(name) + "_TOKEN"
		f.env = append(f.env, variable+"="+sysdig.Config().Token)
		accounts += fmt.Sprintf("    - {name: %s, app_url: %q, api_url: %q, token: \"${%s}\"}\n", name, sysdig.URL, sysdig.URL, variable)
		sources += fmt.Sprintf("    - {name: %s, auth: {type: bearer, secrets: [\"${FIREBREAK_WEBHOOK_TOKEN}\"]}, tenant: %s}\n", name, name)
	}
	f.configure(accounts + sources)
	return s
}

// of is the installation as a tenant sees it: its source and its Sysdig.
func (s *tenants) of(tenant string) *installation {
	f := *s.installation
	f.source, f.sysdig = tenant, s.sysdigs[tenant]
	return &f
}

// openOf opens an incident of a tenant.
func (s *tenants) openOf(tenant, playbook string, e event) *incident {
	s.t.Helper()
	i := s.of(tenant).open(e)
	require.Equal(s.t, playbook+":tenant="+tenant+":"+s.host.Name+":"+s.host.Containers[0], i.WorkflowID)
	return i
}

// untouched checks that a tenant's Sysdig was asked nothing at all.
func (s *tenants) untouched(tenant string) {
	s.t.Helper()
	require.Zero(s.t, s.sysdigs[tenant].Requests("", ""))
	require.Empty(s.t, s.sysdigs[tenant].Ledger())
}

func TestAnEventOfATenantIsActedOnInItsAccountAndInNoOther(t *testing.T) {
	t.Parallel()
	s := installTenants(t, routes, sysdigtest.Options{})
	s.starter()
	s.worker()
	e := newEvent(t, s.host, minerRule)
	i := s.openOf("umbrella", "crypto-miner", e)
	i.awaitRequest("KILL_CONTAINER")
	i.approve()
	page := i.contained()
	require.Equal(t, "umbrella", page.Tenant)
	s.untouched("acme")

	shown := i.run(firebreak(), append([]string{"show", i.WorkflowID}, "--config", s.config)...)
	require.Zero(t, shown.code, shown.stderr)
	require.Regexp(t, `(?m)^tenant +umbrella$`, shown.stdout)

	// The very same event from the other tenant is an incident of its own.
	i = s.openOf("acme", "crypto-miner", e)
	i.awaitRequest("KILL_CONTAINER")
	i.approve()
	i.contained()
	require.Equal(t, 1, s.of("umbrella").killed())
}

func TestACaptureOfATenantIsTakenAndSavedFromItsAccount(t *testing.T) {
	t.Parallel()
	const size = 8 << 10
	s := installTenants(t, routes, sysdigtest.Options{CaptureSize: size})
	s.starter()
	s.worker()
	i := s.openOf("umbrella", "capture", newEvent(t, s.host, toolRule))
	i.awaitRequest("CAPTURE")
	i.approve()
	i.captured(size)
	s.untouched("acme")
}

// The worker dies while the tenant's Sysdig, which has accepted the action, has
// not answered yet. The next one must look for it there.
func TestAnActionInFlightIsLookedForInItsTenantsAccount(t *testing.T) {
	t.Parallel()
	s := installTenants(t, routes, sysdigtest.Options{})
	s.starter()
	s.sysdigs["umbrella"].Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, Latency: time.Minute})
	i := s.of("umbrella").killDuring(func() *incident {
		return s.openOf("umbrella", "crypto-miner", newEvent(t, s.host, minerRule))
	}, "KILL_CONTAINER", executions)
	s.worker()
	page := i.contained()
	require.True(t, told(page, signals.KindAction, "submitted earlier and adopted"))
	require.Equal(t, 1, i.sysdig.Requests(http.MethodPost, executions))
	s.untouched("acme")
}

// Temporal does not answer when the events come, and the starter is killed before
// it does.
func TestJournaledEventsOpenIncidentsOfTheirTenants(t *testing.T) {
	t.Parallel()
	s := installTenants(t, routes, sysdigtest.Options{})
	temporal := s.between()
	s.journal()
	s.starter()
	s.awaitReady()
	temporal.sever()
	e := newEvent(t, s.host, minerRule)
	incidents := map[string]*incident{}
	for _, tenant := range []string{"acme", "umbrella"} {
		a := s.of(tenant).post(e)
		require.Equal(t, http.StatusAccepted, a.Status)
		require.Len(t, a.Journaled, 1)
		incidents[tenant] = &incident{installation: s.of(tenant), reference: a.Journaled[0]}
	}
	s.starterProc.kill()
	temporal.release()
	s.restartStarter()
	s.worker()
	for tenant, i := range incidents {
		i.awaitRequest("KILL_CONTAINER")
		page := i.show()
		require.Equal(t, tenant, page.Tenant)
		i.RunID = page.RunID // nobody knew it when the event came
	}
	incidents["umbrella"].approve()
	incidents["umbrella"].contained()
	require.Empty(t, s.sysdigs["acme"].Ledger())
	incidents["acme"].approve()
	incidents["acme"].contained()
}

// Nobody else's account stands in for one that the worker does not know.
func TestAWorkerThatDoesNotKnowTheTenantTouchesNothing(t *testing.T) {
	t.Parallel()
	s := installTenants(t, routes, sysdigtest.Options{})
	s.starter()
	e := newEvent(t, s.host, minerRule)
	i := s.openOf("umbrella", "crypto-miner", e)
	// A worker of acme alone, whose token is also that of its account without a name.
	s.config += ".acme"
	s.configure(fmt.Sprintf("sysdig: {tenants: [{name: acme, app_url: %[1]q, api_url: %[1]q, token: token-of-acme}]}\nroutes: %s", s.sysdigs["acme"].URL, routes))
	s.env = append(s.env, "SYSDIG_SECURE_API_TOKEN=token-of-acme")
	s.args[1] = s.config
	s.worker()
	i.awaitRequest("AMEND") // the host's ID is not looked up elsewhere
	require.True(t, told(i.show(), signals.KindCheck, `tenant "umbrella": this worker has no such Sysdig account; want one of no tenant, acme`))
	i.signal(signals.Amend, map[string]any{"analyst": "ann", "fields": map[string]string{"host.id": s.host.ID}})
	i.awaitRequest("KILL_CONTAINER")
	i.approve()
	i.await("the action is refused", func() bool {
		return told(i.show(), signals.KindAction, `tenant "umbrella": this worker has no such Sysdig account`)
	})
	s.untouched("acme")
	s.untouched("umbrella")
}
