package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/sysdig/sysdigtest"
)

// burst is one event of each of many containers.
type burst struct {
	*installation
	events    []event
	incidents []*incident
	// taken is closed when every event was taken, or sending them failed.
	taken  chan struct{}
	failed error
}

// newBurst prepares an installation and its burst.
func newBurst(t *testing.T, routes string, containers int) *burst {
	t.Helper()
	targets := newTargets(containers)
	b := &burst{installation: prepare(t, shared, routes, sysdigtest.Options{}, targets...), taken: make(chan struct{})}
	b.allow(4 * time.Minute)
	for _, target := range targets {
		b.events = append(b.events, newEvent(t, target, minerRule).small())
		b.incidents = append(b.incidents, &incident{installation: b.installation, reference: reference{WorkflowID: minerID(target)}})
	}
	return b
}

// start has a sender for each event send it until it is taken; they begin one
// after the other.
func (b *burst) start(every time.Duration) {
	var work errgroup.Group
	go func() {
		defer close(b.taken)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for _, e := range b.events {
			work.Go(func() error {
				_, err := b.deliver(b.ctx, nil, e)
				return err
			})
			<-tick.C
		}
		b.failed = work.Wait()
	}()
}

// awaitOpened waits until so many incidents are open or were, and returns them.
func (b *burst) awaitOpened(n int) []*incident {
	b.t.Helper()
	var opened []*incident
	b.await(fmt.Sprintf("%d incidents are opened", n), func() bool {
		opened = slices.DeleteFunc(slices.Clone(b.incidents), func(i *incident) bool {
			return i.status() == enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
		})
		return len(opened) >= n
	})
	return opened
}

// awaitClosed waits until incidents are closed, or a container was killed twice:
// its incident asks somebody what to do.
func (b *burst) awaitClosed(incidents []*incident) {
	b.t.Helper()
	for _, i := range incidents {
		b.await(i.WorkflowID+" is closed", func() bool {
			status := i.status()
			return status != enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED && status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING ||
				b.sysdig.Ledger().Killed(i.container()) > 1
		})
	}
}

// container is the container that an incident is about.
func (i *incident) container() string { return i.WorkflowID[strings.LastIndex(i.WorkflowID, ":")+1:] }

// count is how many workflows Temporal lists.
func (f *installation) count(query string) int {
	f.t.Helper()
	answer, err := f.temporal.CountWorkflow(f.ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	require.NoError(f.t, err)
	return int(answer.GetCount())
}

// status is that of the incident's last run, unspecified if there is none.
func (i *incident) status() enums.WorkflowExecutionStatus {
	answer, err := i.temporal.DescribeWorkflowExecution(i.ctx, i.WorkflowID, i.RunID)
	if err != nil {
		return enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	}
	return answer.GetWorkflowExecutionInfo().GetStatus()
}

// verify checks, once every event was taken, that each container was killed
// once and had one incident.
func (b *burst) verify() {
	b.t.Helper()
	<-b.taken
	require.NoError(b.t, b.failed)
	b.awaitClosed(b.incidents)
	ledger := b.sysdig.Ledger()
	for _, container := range b.host.Containers {
		require.Equal(b.t, 1, ledger.Killed(container), "container %s", container)
	}
	require.Len(b.t, ledger, len(b.host.Containers), "nothing else happened")
	query := fmt.Sprintf("TaskQueue = '%s'", b.host.Name)
	b.await("all incidents are listed", func() bool { return b.count(query) >= len(b.incidents) })
	require.Equal(b.t, len(b.incidents), b.count(query), "incidents that were opened once more")
}
