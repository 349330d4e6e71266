package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"firebreak/signals"
)

// analyse answers whatever the incidents ask, until the context ends. It sees
// them as analysts do, in a list.
func (c *chaos) analyse(ctx context.Context) {
	byID := map[string]*victim{}
	for _, v := range c.victims {
		byID[v.id] = v
	}
	waiting := &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: 1000,
		Query:    fmt.Sprintf("TaskQueue = '%s' AND ExecutionStatus = 'Running' AND %s IS NOT NULL", c.host.Name, signals.IncidentPending.GetName()),
	}
	for pause(ctx, 300*time.Millisecond) == nil {
		list, err := c.temporal.ListWorkflow(ctx, waiting)
		if err != nil {
			continue // it is down
		}
		var analysts errgroup.Group
		analysts.SetLimit(4)
		for _, execution := range list.GetExecutions() {
			if v := byID[execution.GetExecution().GetWorkflowId()]; v != nil {
				analysts.Go(func() error { c.decide(ctx, v); return nil })
			}
		}
		_ = analysts.Wait()
	}
}

// keepRequest asks whether to keep what is undone without an answer: analysts let
// it be undone.
const keepRequest = "KEEP_CONTAINMENT"

// unanswered is how long an analyst waits for an answer to take effect before
// sending it again.
const unanswered = 5 * time.Second

// decide answers what an incident asks: nine times out of ten with yes. Where
// more events may join it waits for them: after the close they would open another
// incident.
func (c *chaos) decide(ctx context.Context, v *victim) {
	ctx, cancel := context.WithTimeout(ctx, unanswered)
	defer cancel()
	var page signals.Page
	answer, err := c.temporal.QueryWorkflow(ctx, v.id, "", signals.QueryIncident)
	if err != nil || answer.Get(&page) != nil || page.Pending == nil || page.Pending.Action == keepRequest {
		return
	}
	if v.asks == 0 && (!v.told.Load() || page.Events.Count < v.events) {
		return
	}
	if request := page.Pending.ID; v.asked != request {
		v.asked, v.asks, v.answered, v.answer = request, v.asks+1, time.Time{}, signals.Approve
		if c.random(fmt.Sprint("analyst ", v.n, v.asks)).IntN(10) == 0 {
			v.answer = signals.Reject
		}
	}
	if time.Since(v.answered) < unanswered {
		return
	}
	name, payload := v.answer, any(signals.Decision{Analyst: "ann", Reason: "as chance has it", Request: v.asked})
	if missing, ok := page.Pending.Parameters["missing"].(string); ok && name == signals.Approve {
		name, payload = signals.Amend, signals.Amendment{Analyst: "ann", Fields: v.fields(strings.Split(missing, ", "))}
	}
	if c.temporal.SignalWorkflow(ctx, v.id, "", name, payload) == nil {
		v.answered = time.Now()
	}
}

// fields are what an analyst finds out about the victim's host.
func (v *victim) fields(missing []string) map[string]signals.Scalar {
	known := map[string]signals.Scalar{
		"host.id": signals.Scalar(v.host.ID), "host.mac": signals.Scalar(v.host.MAC),
		"host.agent_id": signals.Scalar(strconv.FormatInt(v.host.AgentID, 10)), "tenant.id": "55001",
	}
	maps.DeleteFunc(known, func(name string, _ signals.Scalar) bool { return !slices.Contains(missing, name) })
	return known
}
