package starter_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/starter"
)

// poorer is the copy of an event that Sysdig's feed has: without the container ID, so
// that it correlates elsewhere.
func poorer(id string) string {
	return fmt.Sprintf(`{"id":%q,"timestamp":1700000000000000000,"originator":"policy","severity":2,"labels":{"host.hostName":"node-1"},
		"content":{"type":"workloadRuntimeDetection","ruleName":"Miner","fields":{"proc.name":"xmrig","proc.pid":"7"}}}`, id)
}

const unknownTarget = "crypto-miner:node-1:unknown"

func TestKnownEventJoinsTheIncidentThatHasIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		ref := accepted(t, w.post(t, miner("1"))).Opened[0]
		answer := accepted(t, w.post(t, array(poorer("1"), poorer("2"), poorer("1"))))
		require.Equal(t, 2, answer.Duplicate)
		require.Equal(t, []starter.Reference{ref}, answer.Joined)
		require.Len(t, answer.Opened, 1)
		require.Equal(t, unknownTarget, answer.Opened[0].WorkflowID, "another event of that target is another incident")
		require.Equal(t, 1, accepted(t, w.post(t, miner("2"))).Duplicate, "and keeps its event as well")
		w.Stop()
		require.Equal(t, []string{"1"}, w.temporal.toldTo(target))
		require.Equal(t, []string{"2"}, w.temporal.toldTo(unknownTarget))
		require.Equal(t, map[string]int{target + " 1": 2, unknownTarget + " 2": 1}, w.temporal.repeated)
	})
}

func TestCopiesInOneRequestAreOneEvent(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"the fuller first": array(miner("1"), poorer("1"), miner("1")), "the poorer first": array(poorer("1"), miner("1")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t)
			answer := accepted(t, w.post(t, body))
			require.Len(t, answer.Opened, 1)
			require.Empty(t, answer.Joined)
			require.Equal(t, answer.Received-1, answer.Duplicate)
			require.Len(t, w.temporal.calls, 1)
		})
	}
}

func TestCopyWhoseFirstIsUnderWayWaitsForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		open := w.temporal.gate()
		first := w.posting(t, miner("1"))
		synctest.Wait()
		copies := w.posting(t, poorer("1"), poorer("1"), miner("1"))
		synctest.Wait()
		require.Empty(t, copies)
		open()
		require.Len(t, accepted(t, <-first).Opened, 1)
		for range 3 {
			answer := accepted(t, <-copies)
			require.Equal(t, 1, answer.Duplicate)
			require.Equal(t, target, answer.Joined[0].WorkflowID)
		}
		require.Equal(t, []string{"1"}, w.temporal.toldTo(target))
	})
}

// Two requests whose events wait for each other's do not wait for ever.
func TestCopiesInTwoRequestsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		answers := w.posting(t, array(miner("1"), poorer("2")), array(miner("2"), poorer("1")))
		received, duplicates := 0, 0
		for range 2 {
			answer := accepted(t, <-answers)
			received, duplicates = received+answer.Received, duplicates+answer.Duplicate
		}
		require.Equal(t, []int{4, 2}, []int{received, duplicates})
	})
}

func TestCopyIsFreeAgainWhenItsFirstWasNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		w.temporal.failing(true)
		answers := w.posting(t, miner("1"), poorer("1"), array(miner("1"), poorer("1")))
		for range 3 {
			refused(t, <-answers, http.StatusServiceUnavailable)
		}
		w.temporal.failing(false)
		require.Equal(t, unknownTarget, accepted(t, w.post(t, poorer("1"))).Opened[0].WorkflowID)
		require.Equal(t, 1, accepted(t, w.post(t, miner("1"))).Duplicate)
	})
}

func TestEventOfOneTenantIsNotKnownInAnother(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, func(c *starter.Config) {
		c.Sources = []starter.Source{{Name: "sysdig", Secrets: []string{secret}, Tenant: "a"}, {Name: "lab", Open: true, Tenant: "b"}}
	})
	require.Len(t, accepted(t, w.post(t, miner("1"))).Opened, 1)
	answer := accepted(t, w.post(t, poorer("1"), func(r *http.Request) { r.URL.Path = "/v1/events/lab" }))
	require.Zero(t, answer.Duplicate)
	require.Equal(t, "crypto-miner:tenant=b:node-1:unknown", answer.Opened[0].WorkflowID)
}

func TestEventInTheJournalIsKnownAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w, _, stop := journaling(t, dir, roomy)
		w.temporal.failing(true)
		require.Len(t, accepted(t, w.post(t, miner("1"))).Journaled, 1)
		answer := accepted(t, w.post(t, poorer("1")))
		require.Equal(t, 1, answer.Duplicate)
		require.Equal(t, []starter.Reference{{WorkflowID: target, Route: "miner"}}, answer.Journaled)
		stop()

		temporal := w.temporal
		w, _, stop = journaling(t, dir, roomy, func(c *starter.Config) { c.Temporal = temporal })
		defer stop()
		require.Equal(t, 1, accepted(t, w.post(t, poorer("1"))).Duplicate)
		temporal.failing(false)
		time.Sleep(time.Minute)
		answer = accepted(t, w.post(t, poorer("1")))
		require.Equal(t, 1, answer.Duplicate)
		require.Equal(t, target, answer.Joined[0].WorkflowID)
		require.Equal(t, []string{"1"}, temporal.toldTo(target))
	})
}

func TestSelfReportOpensNothingAndIsCounted(t *testing.T) {
	t.Parallel()
	const drops = `{"rule":"Falco internal: syscall event drop","priority":"Critical","source":"internal","hostname":"h","time":"2026-05-25T13:44:05Z","output_fields":{"n_drops":"2"}}`
	w := newWebhook(t)
	answer := accepted(t, w.post(t, drops))
	require.Equal(t, 1, answer.Ignored)
	require.Empty(t, answer.Opened)
	w.counted(t, "ignored", 1)
	require.Contains(t, w.log.String(), "a self-report of the product")

	router, err := incident.NewRouter([]incident.Route{{Name: "drops", When: `incident.self_report`, Playbook: "capture", SelfReports: true}})
	require.NoError(t, err)
	w = newWebhook(t, func(c *starter.Config) { c.Router = router })
	require.Len(t, accepted(t, w.post(t, drops)).Opened, 1)
}

func TestEventThatLacksWhatRoutesNeedIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	accepted(t, w.post(t, `{"id":"1","type":"policy","originator":"policy","severity":60,"content":{"policyId":1}}`))
	for _, field := range []string{"rule.name", "severity", "occurred_at"} {
		require.Contains(t, w.metrics(t), fmt.Sprintf("firebreak_incomplete_events_total{field=%q,source=\"sysdig\"} 1\n", field))
	}
	require.Contains(t, w.log.String(), `"msg":"event lacks what routes need"`)
	require.Contains(t, w.log.String(), `"fields":["rule.name","severity","occurred_at"]`)
}
