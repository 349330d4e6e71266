package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"

	"firebreak/signals"
)

// delivery is a signal that an analyst sends, and how to recognise in the war
// room that it counted.
type delivery struct {
	signal  string
	payload any
	analyst string
	// kind and prefix are those of the entries that it leaves when it counts.
	kind   signals.Kind
	prefix string
	// wait is how long an incident may take to answer.
	wait time.Duration
}

// receipt is what became of a signal.
type receipt struct {
	WorkflowID string `json:"workflow_id"`
	Counted    bool   `json:"counted"`
	// Reason is the incident's own words, or why there are none.
	Reason string `json:"reason"`

	verdict string
}

// errUnanswered is a signal of which it is not known yet what became of it.
var errUnanswered = errors.New("sent, but not answered")

// errClosed is an incident that takes no more signals.
var errClosed = errors.New("the incident is closed")

// pollInterval is the time between two looks into a war room.
const pollInterval = 200 * time.Millisecond

// deliver sends a signal to incidents, one after the other, and says what
// became of each.
func (s *session) deliver(ctx context.Context, workflowIDs []string, d delivery) error {
	t, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	receipts, counted := make([]receipt, 0, len(workflowIDs)), 0
	for _, id := range workflowIDs {
		r := receipt{WorkflowID: id, verdict: "counted"}
		switch r.Reason, err = d.to(ctx, t, id); {
		case err == nil:
			r.Counted = true
			counted++
		case errors.Is(err, errUnanswered):
			r.verdict, r.Reason = "unanswered", err.Error()
		default:
			r.verdict, r.Reason = "refused", err.Error()
		}
		receipts = append(receipts, r)
	}
	if err := s.print(receipts, func(w io.Writer) error { return writeReceipts(w, receipts) }); err != nil {
		return err
	}
	if counted < len(receipts) {
		return fmt.Errorf("%s: counted by %d of %d incidents", d.signal, counted, len(receipts))
	}
	return nil
}

// to sends the signal to one incident. It returns how the incident counted it;
// the error says why it did not.
func (d delivery) to(ctx context.Context, t Temporal, workflowID string) (string, error) {
	chain := ""
	for {
		// One run is looked at and signalled: a decision is not about the next
		// incident of the same target. That run also tells what became of the
		// signal, for it takes what it got before it moves on.
		run, err := describe(ctx, t, workflowID, "")
		switch {
		case notFound(err):
			return "", unknown(ctx, t, workflowID)
		case err != nil:
			return "", fmt.Errorf("look up incident %s: %w", workflowID, err)
		}
		runID := run.GetExecution().GetRunId()
		if chain = cmp.Or(chain, run.GetFirstRunId()); chain != run.GetFirstRunId() {
			return "", errClosed // and another one is open
		}
		_, page, err := query(ctx, t, workflowID, runID)
		// The decision need not wait for the worker: Temporal keeps it.
		silent := errors.Is(err, errNoWorker)
		if err != nil && !silent {
			return "", err
		}
		err = t.SignalWorkflow(ctx, workflowID, runID, d.signal, d.payload)
		switch {
		case notFound(err):
			if movedOn(ctx, t, workflowID, runID) {
				continue // meanwhile: the next run is asked
			}
			return "", closed(ctx, t, workflowID, runID)
		case err != nil:
			return "", fmt.Errorf("send %s: %w", d.signal, err)
		case silent:
			return "", fmt.Errorf("%w: %w", errUnanswered, errNoWorker)
		}
		return d.await(ctx, t, workflowID, runID, len(page.WarRoom))
	}
}

// describe looks a run up; an empty run ID means the latest.
func describe(ctx context.Context, t Temporal, workflowID, runID string) (*workflow.WorkflowExecutionInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	description, err := t.DescribeWorkflowExecution(ctx, workflowID, runID)
	return description.GetWorkflowExecutionInfo(), err
}

// movedOn reports whether a run has ended in favour of another one, which goes
// on with the same incident.
func movedOn(ctx context.Context, t Temporal, workflowID, runID string) bool {
	run, err := describe(ctx, t, workflowID, runID)
	return err == nil && run.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
}

// await looks into the war room until the signal's entry is there. Entries
// before the given one were there when the signal was sent.
func (d delivery) await(ctx context.Context, t Temporal, workflowID, runID string, before int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.wait)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		_, page, err := query(ctx, t, workflowID, runID)
		if err == nil {
			if reason, found, refused := d.answer(page.WarRoom[min(before, len(page.WarRoom)):]); refused {
				return "", errors.New(reason)
			} else if found {
				return reason, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w within %s: see `firebreak show %s`", errUnanswered, d.wait, workflowID)
		case <-tick.C:
		}
	}
}

// answer finds what the incident wrote about the signal. The playbook logs a
// counted one, and one that it refused, under the analyst's name, and one that
// it could not decode under its own.
func (d delivery) answer(entries []signals.Entry) (reason string, found, refused bool) {
	var counted []string
	for _, e := range entries {
		if why, ok := strings.CutPrefix(e.Text, d.signal+" did not count: "); ok && e.Kind == signals.KindRefused &&
			(e.Actor == d.analyst || e.Actor == "firebreak") {
			return why, true, true
		}
		if e.Kind == d.kind && e.Actor == d.analyst && strings.HasPrefix(e.Text, d.prefix) {
			counted = append(counted, e.Text)
		}
	}
	return strings.Join(counted, "; "), len(counted) > 0, false
}

// closed says how an incident ended that takes no more signals.
func closed(ctx context.Context, t Temporal, workflowID, runID string) error {
	if _, page, err := query(ctx, t, workflowID, runID); err == nil && page.Outcome != "" {
		return fmt.Errorf("the incident is closed: %s", page.Outcome)
	}
	return errClosed
}

func writeReceipts(w io.Writer, receipts []receipt) error {
	t := newTable(w, "")
	for _, r := range receipts {
		t.row(r.WorkflowID, r.verdict, r.Reason)
	}
	return t.flush()
}

// sender are the flags of whoever sends a signal.
type sender struct {
	analyst string
	wait    time.Duration
}

func (f *sender) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.analyst, "analyst", "", "`NAME` under which you act; $USER if it is not given")
	cmd.Flags().DurationVar(&f.wait, "wait", 10*time.Second, "how long to wait for the incident's answer")
}

// check completes the flags and refuses bad ones.
func (f *sender) check(env environ) error {
	if f.analyst = strings.TrimSpace(f.analyst); f.analyst == "" {
		f.analyst = strings.TrimSpace(env["USER"])
	}
	if f.analyst == "" {
		return usagef("--analyst is missing, and USER is not set: want your name")
	}
	if f.wait <= 0 {
		return usagef("--wait %s: want more than 0, like 10s", f.wait)
	}
	return nil
}
