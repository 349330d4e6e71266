package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// changedText is in the war room of incidents that the changed playbook runs.
const changedText = "the playbook has changed"

// changedFirebreak is a Firebreak whose playbook CryptoMiner begins otherwise: with a
// timer that incidents of the present one do not have in their histories. It is
// built once, when the first test wants it.
var changedFirebreak = sync.OnceValues(func() (string, error) {
	const before = "\taction, stop := r.prepare(ctx)\n"
	const after = `
	if err := workflow.Sleep(ctx, 1_000_000); err != nil {
		return signals.Page{}, err
	}
	r.log(ctx, actorFirebreak, signals.KindNote, "` + changedText + `")
` + before
	source, err := filepath.Abs("../../workflows/crypto_miner.go")
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), before) != 1 {
		return "", fmt.Errorf("%s is another playbook than these tests change", source)
	}
	changed, overlay := filepath.Join(binaries, "crypto_miner.go"), filepath.Join(binaries, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), before, after, 1)), 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(binaries, "firebreak-changed")
	cmd := exec.Command("go", "build", "-overlay", overlay, "-tags", "disable_grpc_modules", "-o", binary, ".")
	cmd.Dir = "../.."
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the changed firebreak: %w\n%s", err, output)
	}
	return binary, nil
})

// upgradeTemporal is a server that looks often whether a version is drained, and
// suggests to move on after a few events.
func upgradeTemporal(t *testing.T) *temporalServer {
	t.Helper()
	s := &temporalServer{dir: t.TempDir(), settings: []string{
		`matching.wv.VersionDrainageStatusVisibilityGracePeriod="1s"`,
		`matching.wv.VersionDrainageStatusRefreshInterval="1s"`,
		"limit.historyCount.suggestContinueAsNew=60",
	}}
	require.NoError(t, s.start(t.Context(), "0"))
	t.Cleanup(func() { s.stop() })
	return s
}

// deployment is the name of the installation's Worker Deployment. The worker
// controller of Kubernetes puts the namespace before the name.
func (f *installation) deployment() string { return "security/" + f.host.Name }

// versionedWorker starts a worker that is a version of the deployment.
func (f *installation) versionedWorker(binary, build string) *process {
	f.t.Helper()
	p := start(f.t, "worker-"+build, f.env, binary, append(f.workerArgs(), "--deployment-name", f.deployment(), "--build-id", build)...)
	told, err := p.await(f.ctx, `("msg":"The worker has started\.".*)`)
	require.NoError(f.t, err)
	require.Contains(f.t, told, `"deployment":"`+f.deployment()+`","build_id":"`+build+`"`)
	return p
}

// rollOut makes a version the current one as soon as the server lets it, as
// `temporal worker deployment set-current-version` does.
func (f *installation) rollOut(build string) {
	f.t.Helper()
	handle := f.temporal.WorkerDeploymentClient().GetHandle(f.deployment())
	f.await(build+" is the current version", func() bool {
		_, err := handle.SetCurrentVersion(f.ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
		return err == nil
	})
}

// drainage is whether anything is left on a version that is not current any more.
func (f *installation) drainage(build string) client.WorkerDeploymentVersionDrainageStatus {
	f.t.Helper()
	handle := f.temporal.WorkerDeploymentClient().GetHandle(f.deployment())
	version, err := handle.DescribeVersion(f.ctx, client.WorkerDeploymentDescribeVersionOptions{BuildID: build})
	require.NoError(f.t, err)
	if version.Info.DrainageInfo == nil {
		return client.WorkerDeploymentVersionDrainageStatusUnspecified
	}
	return version.Info.DrainageInfo.DrainageStatus
}

// buildOf is the build ID of the version that a workflow last ran on.
func (f *installation) buildOf(workflowID, runID string) string {
	f.t.Helper()
	run, err := f.temporal.DescribeWorkflowExecution(f.ctx, workflowID, runID)
	require.NoError(f.t, err)
	return run.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId()
}

// openAll opens an incident about each target, and waits until all of them ask.
func (f *installation) openAll(targets []sysdigtest.Host) []*incident {
	f.t.Helper()
	f.sendAll(targets)
	opened := make([]*incident, len(targets))
	for n, target := range targets {
		opened[n] = &incident{installation: f, reference: reference{WorkflowID: minerID(target)}}
	}
	for _, i := range opened {
		i.awaitRequest("KILL_CONTAINER")
	}
	return opened
}

// doneBy checks that a worker, and no other, did everything of an incident, in
// all its runs, and that it could go on with all of it.
func (i *incident) doneBy(worker *process, build string) {
	i.t.Helper()
	identity := fmt.Sprintf("%d@", worker.cmd.Process.Pid)
	for _, run := range i.chain() {
		require.Equal(i.t, build, i.buildOf(run.WorkflowID, run.RunID), "run %s of %s", run.RunID, run.WorkflowID)
		for _, e := range run.events() {
			require.False(i.t, isNonDeterministic(e), run.WorkflowID)
			for _, by := range []string{
				e.GetWorkflowTaskCompletedEventAttributes().GetIdentity(), e.GetActivityTaskStartedEventAttributes().GetIdentity(),
			} {
				require.True(i.t, by == "" || strings.HasPrefix(by, identity), "%s of %s by %s, not by %s", e.GetEventType(), i.WorkflowID, by, identity)
			}
		}
	}
}

func TestIncidentsEndOnTheVersionTheyWereOpenedOn(t *testing.T) {
	t.Parallel()
	changed, err := changedFirebreak()
	require.NoError(t, err)
	n := max(incidents(t), 100)
	const later = 10 // are opened on the next version
	targets := newTargets(n + later)
	soc := newChannel(t, http.StatusOK)
	f := prepare(t, upgradeTemporal(t), routes, sysdigtest.Options{}, targets...)
	f.allow(time.Duration(300+2*n) * time.Second)
	f.configure("notify: {urls: ['" + soc.url() + "']}")
	f.starter()

	f.sendAll(targets[:1]) // waits until there is a version to open it on
	one := f.versionedWorker(firebreak(), "1")
	f.rollOut("1")
	old := f.openAll(targets[:n])
	two := f.versionedWorker(changed, "2")
	f.rollOut("2")

	// The guard is asked by all, whatever their version, and moves on with what it
	// hears, once its task queue knows of the version.
	require.Equal(t, "1", f.buildOf(signals.GuardID, ""))
	freeze := f.run(firebreak(), "freeze", "--reason", "an upgrade", "--analyst", "ann")
	require.Zero(t, freeze.code, freeze.stderr)
	f.await("the guard moves on", func() bool {
		if f.buildOf(signals.GuardID, "") == "2" {
			return true
		}
		f.run(firebreak(), "freeze", "--reason", "an upgrade", "--analyst", "ann")
		return false
	})
	young := f.openAll(targets[n:])
	for _, i := range []*incident{old[0], young[0]} {
		i.approve()
		i.await("the approval is refused", func() bool {
			page, err := i.look()
			return err == nil && told(page, signals.KindRefused, "containment is frozen by ann")
		})
	}
	require.Zero(t, f.kills())
	unfreeze := f.run(firebreak(), "unfreeze", "--reason", "done", "--analyst", "ann")
	require.Zero(t, unfreeze.code, unfreeze.stderr)

	// What moves on to another run stays on its version all the same.
	old[1].moves()
	require.Equal(t, client.WorkerDeploymentVersionDrainageStatus(client.WorkerDeploymentVersionDrainageStatusDraining), f.drainage("1"))
	for _, i := range slices.Concat(old, young) {
		i.approve()
	}
	f.await("every container is killed", func() bool { return f.kills() == n+later })
	for _, i := range slices.Concat(old, young) {
		page := i.page()
		require.Equal(t, signals.Contained, page.Outcome)
		i.RunID = page.RunID
	}
	for _, i := range old {
		i.doneBy(one, "1")
	}
	for _, i := range young {
		i.doneBy(two, "2")
		require.True(t, told(i.page(), signals.KindNote, changedText))
	}
	require.False(t, told(old[0].page(), signals.KindNote, changedText))
	require.Len(t, old[1].chain(), 2)
	f.await("the channel is told, of each or of many at once", func() bool {
		return soc.got("closed: contained")+soc.got("incidents changed: 0 wait for a decision") > 0
	})

	// Nothing is left on the first version, and its worker can go.
	f.await("the first version is drained", func() bool {
		return f.drainage("1") == client.WorkerDeploymentVersionDrainageStatusDrained
	})
	one.terminate()
	require.Zero(t, one.code(f.ctx, t))
	shown := f.run(firebreak(), "show", old[0].WorkflowID)
	require.Zero(t, shown.code, shown.stderr)
	require.Contains(t, shown.stdout, "closed: contained")
	freeze = f.run(firebreak(), "freeze", "--reason", "after the upgrade", "--analyst", "ann")
	require.Zero(t, freeze.code, freeze.stderr)
}

// This is what versions are for: the changed playbook cannot go on with what the
// present one began. (Changes that land in it can, by workflow.GetVersion: see the
// replay tests of package workflows.)
func TestWithoutVersionsAnIncidentCannotBeRunByAnIncompatiblePlaybook(t *testing.T) {
	t.Parallel()
	changed, err := changedFirebreak()
	require.NoError(t, err)
	f := install(t, shared, routes, sysdigtest.Options{})
	first := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	first.kill()
	second := start(t, "worker", f.env, changed, f.workerArgs()...)
	i.approve()
	i.await("the worker cannot go on", func() bool {
		return slices.ContainsFunc(i.events(), isNonDeterministic)
	})
	require.Zero(t, f.killed())

	// Nothing is lost: the worker that it began with goes on.
	second.kill()
	f.worker()
	i.contained()
}

// A deployment begins with incidents, and a guard, of workers without versions.
func TestIncidentsOfWorkersWithoutVersionsMoveToTheFirstVersion(t *testing.T) {
	t.Parallel()
	f := install(t, ownTemporal(t), routes, sysdigtest.Options{})
	without := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	require.Empty(t, f.buildOf(i.WorkflowID, ""))
	f.versionedWorker(firebreak(), "1")
	f.rollOut("1")
	without.kill()
	f.turn(signals.Freeze, signals.GuardFrozen)
	f.turn(signals.Unfreeze, signals.GuardOpen)
	require.Equal(t, "1", f.buildOf(signals.GuardID, ""))
	i.approveUntilItCounts()
	i.contained()
	require.Equal(t, "1", f.buildOf(i.WorkflowID, ""))
}

// isNonDeterministic reports whether a worker could not go on with a history that
// another one began.
func isNonDeterministic(e *history.HistoryEvent) bool {
	return e.GetWorkflowTaskFailedEventAttributes().GetCause() == enums.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
}
