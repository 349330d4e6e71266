package starter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/starter"
)

// The incidents of one target in three accounts.
const (
	acmes     = "crypto-miner:tenant=acme:node-1:6949e5f10829"
	umbrellas = "crypto-miner:tenant=umbrella:node-1:6949e5f10829"
)

// tenants gives a webhook a source of no tenant, and one of each of two.
func tenants(c *starter.Config) {
	c.Sources = []starter.Source{
		{Name: "sysdig", Secrets: []string{secret}},
		{Name: "acme", Tenant: "acme", Secrets: []string{secret}},
		{Name: "umbrella", Tenant: "umbrella", Secrets: []string{secret}},
	}
}

// to sends to a source.
func to(source string) func(*http.Request) {
	return func(r *http.Request) { r.URL.Path = "/v1/events/" + source }
}

// tenantsOf is the tenant that each incident was opened for.
func (f *temporal) tenantsOf() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	opened := map[string]string{}
	for i := range f.calls {
		opened[f.calls[i].options.ID] = f.calls[i].input.Tenant
	}
	return opened
}

func TestTenantsShareNoIncidentAndNoEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t, tenants)
		for source, id := range map[string]string{"sysdig": target, "acme": acmes, "umbrella": umbrellas} {
			answer := accepted(t, w.post(t, miner("1"), to(source)))
			require.Len(t, answer.Opened, 1, "the event is new to its account")
			require.Equal(t, id, answer.Opened[0].WorkflowID)
			require.Equal(t, 1, accepted(t, w.post(t, miner("1"), to(source))).Duplicate)
		}
		require.Equal(t, map[string]string{target: "", acmes: "acme", umbrellas: "umbrella"}, w.temporal.tenantsOf())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, map[string]int{target + " 1": 1, acmes + " 1": 1, umbrellas + " 1": 1}, w.temporal.repeated)

		// Those of one that was closed are new to the others' next ones, too.
		w.temporal.close(acmes)
		require.Len(t, accepted(t, w.post(t, miner("2"), to("acme"))).Opened, 1)
		require.Len(t, accepted(t, w.post(t, miner("2"), to("umbrella"))).Joined, 1)
	})
}

func TestEventsOfTenantsThatComeTogetherTravelApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t, tenants)
		open := w.temporal.gate()
		sources := []string{"sysdig", "acme", "umbrella"}
		answers := make(chan *httptest.ResponseRecorder, 30)
		for i := range 30 {
			go func() { answers <- w.post(t, miner(fmt.Sprint(i)), to(sources[i%3])) }()
		}
		synctest.Wait()
		open()
		for range 30 {
			accepted(t, <-answers)
		}
		for i, id := range []string{target, acmes, umbrellas} {
			var want []string
			for n := i; n < 30; n += 3 {
				want = append(want, fmt.Sprint(n))
			}
			require.ElementsMatch(t, want, w.temporal.toldTo(id))
		}
	})
}

func TestAnIncidentShowsItsTenant(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, tenants)
	accepted(t, w.post(t, miner("1"), to("acme")))
	accepted(t, w.post(t, miner("1")))
	require.Contains(t, w.temporal.calls[0].options.StaticDetails, "- **Tenant:** acme\n")
	require.NotContains(t, w.temporal.calls[1].options.StaticDetails, "Tenant")
	require.Equal(t, "acme", w.temporal.calls[0].options.Priority.FairnessKey)
	require.Empty(t, w.temporal.calls[1].options.Priority.FairnessKey)
}

func TestTheJournalKeepsTheTenantOverARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w, j, stop := journaling(t, dir, roomy, tenants)
		w.temporal.failing(true)
		for _, source := range []string{"umbrella", "sysdig", "acme", "umbrella"} {
			require.Len(t, accepted(t, w.post(t, miner("of "+source), to(source))).Journaled, 1)
		}
		// An entry from before there were tenants.
		require.NoError(t, j.Append("crypto-miner:node-1:old", []byte(
			`{"route":{"name":"miner","when":"true","playbook":"crypto-miner"},"source":"acme","events":[{"id":"old"}],"size":100}`)))
		stop()
		w.temporal.failing(false)
		// The source is another account's by now: what it sent before is not.
		_, _, stop = journaling(t, dir, roomy, tenants, func(c *starter.Config) {
			c.Temporal = w.temporal
			c.Sources[1].Tenant = "umbrella"
		})
		defer stop()
		time.Sleep(time.Second)
		require.Equal(t, map[string]string{
			target: "", acmes: "acme", umbrellas: "umbrella", "crypto-miner:node-1:old": "",
		}, w.temporal.tenantsOf())
		require.Equal(t, []string{"of umbrella"}, w.temporal.toldTo(umbrellas))
		require.Equal(t, []string{"of acme"}, w.temporal.toldTo(acmes))
		require.Equal(t, []string{"of sysdig"}, w.temporal.toldTo(target))
	})
}
