package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// awaitClosed waits until all incidents are closed, and notes those that are not
// after a while.
func (c *chaos) awaitClosed() {
	ctx, cancel := context.WithTimeout(c.ctx, calm)
	defer cancel()
	open, begin := slices.Clone(c.victims), time.Now()
	defer func() { c.settled = time.Since(begin) }()
	for {
		open = slices.DeleteFunc(open, func(v *victim) bool { return c.closed(ctx, v) })
		if len(open) == 0 {
			return
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			break
		}
	}
	for _, v := range open {
		c.violated("%s: not closed %s after the last failure: %s", v.id, calm, c.stuck(v))
	}
}

// closed reports whether an incident is closed, and notes how.
func (c *chaos) closed(ctx context.Context, v *victim) bool {
	description, err := c.temporal.DescribeWorkflowExecution(ctx, v.id, "")
	if err != nil || description.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return false
	}
	var page signals.Page
	err = c.temporal.GetWorkflow(ctx, v.id, "").Get(ctx, &page)
	var failed *temporal.ApplicationError
	if errors.As(err, &failed) {
		err = failed.Details(&page)
	}
	if err != nil {
		return false
	}
	v.page = &page
	return true
}

// stuck says where an incident is that is not closed.
func (c *chaos) stuck(v *victim) string {
	description, err := c.temporal.DescribeWorkflowExecution(c.ctx, v.id, "")
	if err != nil {
		return err.Error()
	}
	found := fmt.Sprintf("%s, asked %d times", description.GetWorkflowExecutionInfo().GetStatus(), v.asks)
	for _, a := range description.GetPendingActivities() {
		found += fmt.Sprintf("; %s is %s, attempt %d, failed with %q", a.GetActivityType().GetName(), a.GetState(), a.GetAttempt(), a.GetLastFailure().GetMessage())
	}
	if task := description.GetPendingWorkflowTask(); task != nil {
		found += fmt.Sprintf("; its task is %s, attempt %d", task.GetState(), task.GetAttempt())
	}
	return found
}

// check compares what the incidents say with what happened.
func (c *chaos) check() {
	ledger := c.sysdig.Ledger()
	for _, v := range c.victims {
		if v.page == nil {
			continue // is noted already
		}
		for _, problem := range []error{c.checkEvents(v), checkEffects(v, ledger), c.checkEvidence(v)} {
			if problem != nil {
				c.violated("%s (%s, %s): %s", v.id, v.name, v.page.Outcome, strings.ReplaceAll(problem.Error(), "\n", "; "))
			}
		}
	}
	c.checkOpened()
	for _, refused := range c.backend.refused {
		c.violated("Sysdig refused %s", refused)
	}
}

// checkEvents checks that every event that was taken was counted, once.
func (c *chaos) checkEvents(v *victim) error {
	if got := v.page.Events.Count; got != v.events {
		return fmt.Errorf("%d events were counted: want %d", got, v.events)
	}
	return nil
}

// checkEffects checks that what should have happened to a victim happened once,
// and whatever else was tried, because somebody was asked, not twice.
func checkEffects(v *victim, ledger sysdigtest.Ledger) error {
	var problems error
	problem := func(format string, args ...any) { problems = errors.Join(problems, fmt.Errorf(format, args...)) }
	done, carriedOut := map[string]int{}, map[string]int{}
	for _, e := range ledger {
		if !v.met(e) {
			continue
		}
		name := named(e)
		if done[name]++; !slices.Contains(v.effects, name) {
			problem("%s, which nobody asked for", name)
		}
		if e.Kind == sysdigtest.Action {
			carriedOut[e.CallerID]++
		}
		if e.Failure != "" && done[name] == 1 {
			problem("%s came to nothing: %s", name, e.Failure)
		}
	}
	for caller, n := range carriedOut {
		if n > 1 {
			problem("carried out %d times for caller ID %s", n, caller)
		}
	}
	for _, name := range v.effects {
		switch n := done[name]; {
		case n > 1:
			problem("%s happened %d times", name, n)
		case n == 0 && v.page.Outcome == v.outcome && !(name == captureEffect && v.unsaved()):
			problem("%s did not happen", name)
		}
	}
	switch last := v.effects[len(v.effects)-1]; v.page.Outcome {
	case v.outcome:
	case signals.Rejected:
		if v.asks == 0 || done[last] > 0 {
			problem("asked %d times, and %s happened %d times", v.asks, last, done[last])
		}
	case signals.Failed, signals.Ambiguous:
		if v.asks == 0 {
			problem("nobody was asked")
		}
	default:
		problem("want %s, or that somebody was asked", v.outcome)
	}
	return problems
}

// met reports whether an effect changed the victim.
func (v *victim) met(e sysdigtest.Effect) bool {
	return e.Kind != sysdigtest.Download && e.HostID == v.host.ID && (v.onHost || e.ContainerID == v.host.Containers[0])
}

// unsaved reports whether the incident says that there is no evidence of a capture:
// it stays in Sysdig, as an analyst decided, or it failed and nobody waited for it.
func (v *victim) unsaved() bool {
	return told(*v.page, signals.KindCapture, "not saved: ") || told(*v.page, signals.KindCapture, "capture before containment")
}

// named is what plots call an effect.
func named(e sysdigtest.Effect) string {
	if e.Kind == sysdigtest.Capture {
		return captureEffect
	}
	return e.Action
}

// checkOpened checks that every victim has one incident, and nobody else has one.
func (c *chaos) checkOpened() {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: 1000, Query: fmt.Sprintf("TaskQueue = '%s' AND ExecutionStatus != 'ContinuedAsNew'", c.host.Name),
	}
	runs := map[string]int{}
	for {
		list, err := c.temporal.ListWorkflow(c.ctx, request)
		if err != nil {
			c.violated("list incidents: %s", err)
			return
		}
		for _, execution := range list.GetExecutions() {
			runs[execution.GetExecution().GetWorkflowId()]++
		}
		if request.NextPageToken = list.GetNextPageToken(); len(request.NextPageToken) == 0 {
			break
		}
	}
	delete(runs, signals.GuardID)
	for _, v := range c.victims {
		if n := runs[v.id]; n != 1 {
			c.violated("%s (%s): %d incidents are listed: want 1", v.id, v.name, n)
		}
		delete(runs, v.id)
	}
	for id := range runs {
		c.violated("%s: an incident of nobody", id)
	}
}

// checkEvidence checks that the evidence is what the manifest lists, and that the
// capture is the one that was taken, byte by byte, where it was to be saved.
func (c *chaos) checkEvidence(v *victim) error {
	manifest, err := c.evidence.ReadManifest(c.ctx, v.id, v.page.RunID)
	if err != nil {
		return err
	}
	if manifest.Outcome != string(v.page.Outcome) {
		err = fmt.Errorf("the manifest says %s", manifest.Outcome)
	}
	saved := false
	for _, file := range manifest.Files {
		err = errors.Join(err, c.evidence.Verify(c.ctx, v.id, v.page.RunID, file.File))
		if file.CaptureID == "" {
			continue
		}
		saved = true
		id, number := strconv.ParseInt(file.CaptureID, 10, 64)
		want := sha256.New()
		_, read := io.Copy(want, sysdigtest.CaptureReader(id, file.Size))
		if err = errors.Join(err, number, read); file.SHA256 != hex.EncodeToString(want.Sum(nil)) || file.Size != captureSize {
			err = errors.Join(err, fmt.Errorf("%s is not capture %d", file.Name, id))
		}
	}
	if v.page.Outcome == v.outcome && slices.Contains(v.effects, captureEffect) && saved == v.unsaved() {
		err = errors.Join(err, fmt.Errorf("capture saved: %t", saved))
	}
	return err
}
