package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"firebreak/dev/internal/stack"
)

// program is one of the two programs that are compared, seen from outside.
type program struct {
	taskQueue string
	// prefix is what its workflow IDs begin with.
	prefix  string
	webhook string
	http    *http.Client
	// targets are what it may be told to kill; next is the first that is left.
	targets []target
	next    atomic.Int64
}

func newProgram(taskQueue, prefix, webhook string, targets []target) *program {
	return &program{
		taskQueue: taskQueue, prefix: prefix, webhook: webhook, targets: targets,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
}

// take takes a target that nothing was told about yet.
func (p *program) take() target { return p.targets[p.next.Add(1)-1] }

// told are the targets taken so far.
func (p *program) told() []target { return p.targets[:p.next.Load()] }

func (p *program) workflowID(t target) string { return p.prefix + ":" + t.host + ":" + t.container }

// send tells the program an event, as Sysdig would.
func (p *program) send(ctx context.Context, event []byte) error {
	status, answer, err := p.post(ctx, event)
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("send event: the webhook answered %d: %s", status, answer)
	}
	return err
}

// post sends an event and returns the answer.
func (p *program) post(ctx context.Context, event []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.webhook, bytes.NewReader(event))
	if err != nil {
		return 0, nil, fmt.Errorf("send event: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+stack.WebhookToken)
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("send event: %w", err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil, fmt.Errorf("send event: read answer: %w", err)
	}
	return resp.StatusCode, answer, nil
}

// again is how long a sender waits that was told to come again later.
const again = 100 * time.Millisecond

// deliver sends an event until it is taken; refused counts how often it was not.
// To refuse is not to lose: a webhook that is too slow misses a bar.
func (p *program) deliver(ctx context.Context, event []byte, refused *atomic.Int64) error {
	for {
		status, answer, err := p.post(ctx, event)
		switch {
		case err != nil:
			return err
		case status == http.StatusAccepted:
			return nil
		case status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests:
			return fmt.Errorf("send event: the webhook answered %d: %s", status, answer)
		}
		refused.Add(1)
		if err := pause(ctx, again); err != nil {
			return err
		}
	}
}

// look is the time between two looks at something that Temporal is doing. It is
// short beside what is measured by it: a burst of incidents.
const look = 50 * time.Millisecond

// completed returns once everything that a program was told is completed, as
// Temporal's visibility tells.
func (b *bench) completed(ctx context.Context, p *program) error {
	want, seen := int64(len(p.told())), int64(0)
	request := &workflowservice.CountWorkflowExecutionsRequest{
		Query: fmt.Sprintf("TaskQueue = '%s' AND ExecutionStatus = 'Completed'", p.taskQueue),
	}
	for moved := time.Now(); time.Since(moved) < patience; {
		answer, err := b.stack.Client.CountWorkflow(ctx, request)
		if err != nil {
			return fmt.Errorf("count completed incidents: %w", err)
		}
		if answer.GetCount() == want {
			return nil
		}
		if answer.GetCount() > seen {
			seen, moved = answer.GetCount(), time.Now()
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %d of %d incidents are completed, and no more for %s: %s", p.taskQueue, seen, want, patience, b.stuck(ctx, p))
}

// stuck is what the first of a program's incidents that is not completed waits
// for.
func (b *bench) stuck(ctx context.Context, p *program) string {
	for _, t := range p.told() {
		id := p.workflowID(t)
		described, err := b.stack.Client.DescribeWorkflowExecution(ctx, id, "")
		if err != nil {
			return fmt.Sprintf("describe %s: %s", id, err)
		}
		if status := described.GetWorkflowExecutionInfo().GetStatus(); status != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			return fmt.Sprintf("%s is %s, and waits for workflow task %v and activities %v", id, status, described.GetPendingWorkflowTask(), described.GetPendingActivities())
		}
	}
	return "all of them are, and not yet counted"
}

// idle returns once a workflow waits for something from outside.
func (b *bench) idle(ctx context.Context, id string) error {
	for begin := time.Now(); time.Since(begin) < patience; {
		described, err := b.stack.Client.DescribeWorkflowExecution(ctx, id, "")
		if err != nil {
			return fmt.Errorf("describe %s: %w", id, err)
		}
		if described.GetPendingWorkflowTask() == nil && len(described.GetPendingActivities()) == 0 {
			return nil
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s is still busy after %s", id, patience)
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
