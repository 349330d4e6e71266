package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"firebreak/signals"
)

// delivery is a signal to one workflow.
type delivery struct {
	workflowID string
	// send sends the signal, with the ID of the receipt that is asked for, and
	// returns the run that got it.
	send func(ctx context.Context, t Temporal, receipt string) (runID string, err error)
}

// receipt is what became of a signal.
type receipt struct {
	WorkflowID string `json:"workflow_id"`
	// Verdict is "counted"; "refused", also of what was not even sent; or
	// "unanswered", when it is not known yet. An incident that --query selected
	// and that did not say what it waits for is "skipped".
	Verdict string `json:"verdict"`
	Counted bool   `json:"counted"`
	// Analyst is to whom the incident attributed the signal, if it answered.
	Analyst string `json:"analyst"`
	// Reason is the incident's own words, or why there are none.
	Reason string `json:"reason"`
}

// The verdicts.
const (
	verdictCounted    = "counted"
	verdictRefused    = "refused"
	verdictUnanswered = "unanswered"
	verdictSkipped    = "skipped"
)

// errUnanswered is a signal of which it is not known yet what became of it.
var errUnanswered = errors.New("sent, but not answered")

// errClosed is an incident that takes no more signals.
var errClosed = errors.New("the incident is closed")

// pollInterval is the time between two questions for a receipt.
const pollInterval = 200 * time.Millisecond

// maxAsked is how many incidents are asked at a time: each question has a worker
// replay one.
const maxAsked = 16

// deliver sends a signal and says what became of it.
func (s *session) deliver(ctx context.Context, signal string, from sender, deliveries ...delivery) error {
	t, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	return s.account(signal, from, post(ctx, t, from.wait, deliveries))
}

// account prints receipts. It is an error if a signal did not count.
func (s *session) account(signal string, from sender, receipts []receipt) error {
	if err := s.print(receipts, func(w io.Writer) error { return writeReceipts(w, receipts, from.analyst) }); err != nil {
		return err
	}
	counted := 0
	for _, r := range receipts {
		if r.Counted {
			counted++
		}
	}
	if counted < len(receipts) {
		return fmt.Errorf("%s: %d of %d counted", signal, counted, len(receipts))
	}
	return nil
}

// post sends signals in their order, and then waits for the answers. Nobody's
// silence holds up a signal to somebody else.
func post(ctx context.Context, t Temporal, wait time.Duration, deliveries []delivery) []receipt {
	receipts := make([]receipt, len(deliveries))
	var answers errgroup.Group
	answers.SetLimit(maxAsked)
	var waits []func() error
	for i, d := range deliveries {
		id := rand.Text()[:16]
		receipts[i].WorkflowID = d.workflowID
		runID, err := d.send(ctx, t, id)
		if err != nil {
			receipts[i].Verdict, receipts[i].Reason = verdictRefused, err.Error()
			continue
		}
		waits = append(waits, func() error {
			answer, err := await(ctx, t, d.workflowID, runID, id, wait)
			r := &receipts[i]
			r.Counted, r.Analyst, r.Reason = answer.Counted, answer.Analyst, answer.Text
			switch {
			case err != nil:
				r.Verdict, r.Reason = verdictUnanswered, err.Error()
			case answer.Counted:
				r.Verdict = verdictCounted
			default:
				r.Verdict = verdictRefused
			}
			return nil
		})
	}
	for _, w := range waits {
		answers.Go(w)
	}
	_ = answers.Wait() // what fails is told by its receipt
	return receipts
}

// to is a signal to an incident. Chain is the first run of the one that is
// meant; "" means the one that is open, or was last.
func to(workflowID, chain, signal string, payload func(receipt string) any) delivery {
	return delivery{workflowID, func(ctx context.Context, t Temporal, receipt string) (string, error) {
		chain := chain
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
			err = t.SignalWorkflow(ctx, workflowID, runID, signal, payload(receipt))
			switch {
			case err == nil:
				return runID, nil
			case !notFound(err):
				return "", fmt.Errorf("send %s: %w", signal, err)
			case !movedOn(ctx, t, workflowID, runID):
				return "", closed(ctx, t, workflowID, runID)
			}
			// Meanwhile: the next run is asked.
		}
	}}
}

// describe looks a run up; an empty run ID means the latest.
func describe(ctx context.Context, t Temporal, workflowID, runID string) (*workflow.WorkflowExecutionInfo, error) {
	description, err := describeWhole(ctx, t, workflowID, runID)
	return description.GetWorkflowExecutionInfo(), err
}

// describeWhole returns all that Temporal says of a run: also what it is doing.
func describeWhole(ctx context.Context, t Temporal, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return t.DescribeWorkflowExecution(ctx, workflowID, runID)
}

// movedOn reports whether a run has ended in favour of another one, which goes
// on with the same incident.
func movedOn(ctx context.Context, t Temporal, workflowID, runID string) bool {
	run, err := describe(ctx, t, workflowID, runID)
	return err == nil && run.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
}

// await asks for a receipt until there is one, or until there will be none: a run
// that was ended from outside never reads the signals that no task had processed,
// and a paused one reads them when it continues.
func await(ctx context.Context, t Temporal, workflowID, runID, id string, wait time.Duration) (signals.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	hint := fmt.Errorf("see `firebreak show %s`", workflowID)
	over := false
	for {
		answer, err := ask(ctx, t, workflowID, runID, id)
		var failed *serviceerror.QueryFailed
		switch {
		case err == nil && answer.Answered:
			return answer, nil
		case errors.As(err, &failed) && strings.Contains(failed.Error(), "unknown queryType"):
			return signals.Receipt{}, fmt.Errorf("sent, but this worker gives no receipts: %w", hint)
		case errors.Is(err, errPaused):
			return signals.Receipt{}, fmt.Errorf("%w: %w", errUnanswered, err)
		case err == nil && over:
			return signals.Receipt{}, fmt.Errorf("%w: it was ended before it read the signal", errClosed)
		case err == nil:
			// A run that ends after this look is asked once more.
			run, err := describe(ctx, t, workflowID, runID)
			over = err == nil && ended(run)
		case ctx.Err() == nil:
			hint = err // one that replays, or comes back, may still answer
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return signals.Receipt{}, fmt.Errorf("%w before the interruption: %w", errUnanswered, hint)
			}
			return signals.Receipt{}, fmt.Errorf("%w within %s: %w", errUnanswered, wait, hint)
		case <-tick.C:
		}
	}
}

// ask asks a run what became of a signal.
func ask(ctx context.Context, t Temporal, workflowID, runID, id string) (signals.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var r signals.Receipt
	answer, err := t.QueryWorkflow(ctx, workflowID, runID, signals.QueryReceipt, id)
	if err == nil {
		err = answer.Get(&r)
	}
	if err != nil {
		return signals.Receipt{}, silence(ctx, err)
	}
	return r, nil
}

// closed says how an incident ended that takes no more signals.
func closed(ctx context.Context, t Temporal, workflowID, runID string) error {
	if _, page, err := query[signals.Page](ctx, t, workflowID, runID); err == nil && page.Outcome != "" {
		return fmt.Errorf("%w: %s", errClosed, page.Outcome)
	}
	return errClosed
}

// writeReceipts names the analyst where the incident saw another one than the
// one who acts.
func writeReceipts(w io.Writer, receipts []receipt, analyst string) error {
	t := newTable(w, "")
	for _, r := range receipts {
		verdict := r.Verdict
		if r.Counted && r.Analyst != analyst {
			verdict += " as " + r.Analyst
		}
		t.row(r.WorkflowID, verdict, r.Reason)
	}
	return t.flush()
}
