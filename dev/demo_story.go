package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"firebreak/dev/internal/stack"
	"firebreak/internal/evidence"
	"firebreak/signals"
)

// story tells a person what happens.
type story struct {
	stack *stack.Stack
	out   io.Writer
}

// waiting lists the incidents that are open.
func (s *story) waiting(ctx context.Context) ([]string, error) {
	list, err := s.stack.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("%s AND WorkflowId != '%s'", signals.OpenOnly, signals.GuardID),
	})
	if err != nil {
		return nil, fmt.Errorf("list open incidents: %w", err)
	}
	var ids []string
	for _, execution := range list.GetExecutions() {
		ids = append(ids, execution.GetExecution().GetWorkflowId())
	}
	return ids, nil
}

// report sends an event to the webhook, as Sysdig would.
func (s *story) report(ctx context.Context, e event) (workflowID string, err error) {
	fmt.Fprintf(s.out, "\n%s.\nSysdig's event forwarder reports it to the webhook.\n", e.said)
	body, err := json.Marshal(e.body)
	if err != nil {
		return "", fmt.Errorf("encode event: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.stack.StarterURL+"/v1/events/"+stack.Source, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("report event: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+stack.WebhookToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("report event: %w", err)
	}
	defer response.Body.Close()
	var answer struct {
		Opened []struct {
			WorkflowID string `json:"workflow_id"`
			Route      string `json:"route"`
		} `json:"opened"`
		Joined []struct {
			WorkflowID string `json:"workflow_id"`
		} `json:"joined"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusAccepted {
		return "", errors.Join(fmt.Errorf("report event: the webhook answered %s", response.Status), err)
	}
	switch {
	case len(answer.Opened) > 0:
		fmt.Fprintf(s.out, "The webhook answers 202: the event is durable, route %q opened an incident.\n", answer.Opened[0].Route)
		return answer.Opened[0].WorkflowID, nil
	case len(answer.Joined) > 0:
		fmt.Fprintln(s.out, "The webhook answers 202: the event is durable, it joined an open incident.")
		return answer.Joined[0].WorkflowID, nil
	default:
		return "", errors.New("report event: it opened no incident")
	}
}

// follow tells what happens to an incident until it closes. It approves what is
// asked if it is given a name to do so under, and says how to otherwise.
func (s *story) follow(ctx context.Context, id, approver string) (signals.Page, error) {
	first, err := s.page(ctx, id)
	if err != nil {
		return first, err
	}
	fmt.Fprintf(s.out, "\nIncident %s\n  in Temporal Web: %s/namespaces/default/workflows/%s/%s/user-metadata\n", id, s.stack.Temporal.UIURL(), url.PathEscape(id), first.RunID)
	told, asked := 0, ""
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		page, err := s.page(ctx, id)
		if err != nil {
			return page, err
		}
		for ; told < len(page.WarRoom); told++ {
			entry := page.WarRoom[told]
			fmt.Fprintf(s.out, "  %s  %-9s %-9s %s\n", entry.Time.Local().Format("15:04:05"), entry.Kind, entry.Actor, entry.Text)
		}
		if page.Outcome != "" && s.closed(ctx, id) {
			return page, s.ended(ctx, page)
		}
		if p := page.Pending; p != nil && p.ID != asked {
			asked = p.ID
			if approver == "" {
				s.ask(page)
			} else if err := s.stack.Client.SignalWorkflow(ctx, id, "", signals.Approve, signals.Decision{
				Analyst: approver, Reason: "approved by the unattended demo", Request: p.ID,
			}); err != nil {
				return page, fmt.Errorf("approve: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return page, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// page asks the incident how it stands.
func (s *story) page(ctx context.Context, id string) (signals.Page, error) {
	var page signals.Page
	value, err := s.stack.Client.QueryWorkflow(ctx, id, "", signals.QueryIncident)
	if err != nil {
		return page, fmt.Errorf("query incident %s: %w", id, err)
	}
	if err := value.Get(&page); err != nil {
		return page, fmt.Errorf("read incident %s: %w", id, err)
	}
	return page, nil
}

func (s *story) closed(ctx context.Context, id string) bool {
	execution, err := s.stack.Client.DescribeWorkflow(ctx, id, "")
	return err == nil && execution.WorkflowCloseTime != nil
}

// ask says what is asked and how to answer.
func (s *story) ask(page signals.Page) {
	fmt.Fprintf(s.out, `
Decision wanted: %s. Approve with one of these, in another terminal:

  temporal workflow signal --address %s -w %s --name approve --input '{"analyst":"ann","reason":"confirmed miner"}'

  TEMPORAL_ADDRESS=%s go run . approve %s --analyst ann --reason "confirmed miner"

or in Temporal Web: More Actions, Send a Signal, approve, with the same data.
("reject" instead of "approve" leaves the container alone.) Waiting...

`, page.Pending.Action, s.stack.Temporal.Address(), page.WorkflowID, s.stack.Temporal.Address(), page.WorkflowID)
}

// ended tells the result and where the evidence lies.
func (s *story) ended(ctx context.Context, page signals.Page) error {
	fmt.Fprintf(s.out, "\nOutcome: %s.\n", page.Outcome)
	for _, effect := range s.stack.Sysdig.Ledger() {
		if effect.ContainerID == page.Incident.Container.ID && effect.Action != "" && effect.Failure == "" {
			fmt.Fprintf(s.out, "  In Sysdig: %s of container %s at %s\n", effect.Action, effect.ContainerID, effect.Time.Local().Format("15:04:05"))
		}
	}
	store, err := evidence.Open(ctx, "file://"+s.stack.EvidenceDir)
	if err != nil {
		return err
	}
	defer store.Close()
	manifest, err := store.ReadManifest(ctx, page.WorkflowID, page.RunID)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "  Evidence: %s\n", filepath.Join(s.stack.EvidenceDir, evidence.Prefix(page.WorkflowID, page.RunID)))
	for _, file := range manifest.Files {
		if err := store.Verify(ctx, page.WorkflowID, page.RunID, file.File); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "    %-34s %9d bytes  SHA-256 %s\n", file.Name, file.Size, file.SHA256)
	}
	if page.Outcome == signals.Captured && len(manifest.Files) < 4 {
		return fmt.Errorf("incident %s: the capture is not in the evidence", page.WorkflowID)
	}
	return nil
}
