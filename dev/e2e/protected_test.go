package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

const protected = `{protected: [{name: kube-system, when: incident.kubernetes.namespace == "kube-system"}]}`

// inNamespace is the event of a container in a namespace.
func (e event) inNamespace(name string) event {
	e["labels"].(map[string]any)["kubernetes.namespace.name"] = name
	return e
}

// The starter may know of the rule or not: then its incidents do not tell workers
// what they look at, and ask before the worker refuses.
func TestAProtectedTargetIsNotContainedWithAnApprovalEither(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"known to the starter": true, "unknown to the starter": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets := newTargets(2)
			f := prepare(t, shared, minerRoute(""), sysdigtest.Options{}, targets...)
			if known {
				f.configure("guard: " + protected)
				f.starter()
			} else {
				f.starter()
				f.listening()
				f.configure("guard: " + protected)
			}
			f.worker()
			i := f.open(newEvent(t, targets[0], minerRule).inNamespace("kube-system"))
			kind := signals.KindCheck
			if !known {
				i.awaitRequest("KILL_CONTAINER")
				i.approve()
				kind = signals.KindAction
			}
			page := i.page()
			require.Equal(t, signals.Rejected, page.Outcome)
			require.True(t, told(page, kind, `guard.protected "kube-system" protects its target`))
			require.Zero(t, f.kills())

			other := f.open(newEvent(t, targets[1], minerRule).inNamespace("web"))
			other.awaitRequest("KILL_CONTAINER")
			other.approve()
			other.awaitState(signals.Contained)
			require.Equal(t, 1, f.sysdig.Ledger().Killed(targets[1].Containers[0]))
			require.Equal(t, 1, f.sysdig.Requests(http.MethodPost, executions))
		})
	}
}

func TestADryRunChangesNothingInSysdig(t *testing.T) {
	t.Parallel()
	f := install(t, shared, unasked, sysdigtest.Options{})
	f.env = append(f.env, "FIREBREAK_MODE=observe")
	w := f.worker()
	_, err := w.await(f.ctx, `(only observes)`)
	require.NoError(t, err)
	i := f.openMiner()
	i.await("the incident is closed", func() bool {
		page, err := i.look()
		return err == nil && page.Outcome != ""
	})
	require.Empty(t, f.sysdig.Ledger())
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		require.Zero(t, f.sysdig.Requests(method, ""), method)
	}
}

// Containment is frozen while many incidents are being contained. What a freeze
// comes too late for is what was submitted before it was known to hold.
func TestAFreezeStopsContainmentInFullFlight(t *testing.T) {
	t.Parallel()
	const containers, late = 120, 20
	f, targets := guarded(t, ownTemporal(t), `{}`, containers+late)
	var workers []*process
	for range 3 {
		workers = append(workers, f.worker())
	}
	f.await("the guard runs", func() bool { return f.guard() == signals.GuardOpen })
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		f.sendAll(targets[:containers])
	}()
	require.NoError(t, f.sysdig.WaitFor(f.ctx, func(l sysdigtest.Ledger) bool { return len(l) >= 10 }))
	frozen := f.run(firebreak(), "freeze", "--analyst", "ann", "--reason", "a drill", "--task-queue", f.host.Name)
	confirmed := time.Now()
	require.Zero(t, frozen.code, frozen.stdout+frozen.stderr)
	for _, w := range workers {
		_, err := w.await(f.ctx, `(Containment is frozen)`)
		require.NoError(t, err)
	}
	f.sendAll(targets[containers:])
	<-sent
	f.await("every incident is contained or asks", func() bool {
		return f.in(signals.Contained)+f.in(signals.AwaitingApproval) == containers+late
	})
	ledger := f.sysdig.Ledger()
	for _, target := range targets[containers:] {
		require.Zero(t, ledger.Killed(target.Containers[0]), "it was attacked when every worker knew of the freeze")
	}
	after := ledger.Count(func(e sysdigtest.Effect) bool { return e.Time.After(confirmed) })
	t.Logf("%d of %d killed, %d of them after the freeze was confirmed", f.kills(), containers, after)
	require.Less(t, f.kills(), containers, "the freeze came in the middle")
}
