package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/report"
	"firebreak/signals"
)

// bulk are the flags that select incidents in place of IDs.
type bulk struct {
	query string
	yes   bool
}

func (b *bulk) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.query, "query", "", "in place of IDs, all that wait for a decision and match `QUERY` of Temporal's visibility")
	cmd.Flags().BoolVar(&b.yes, "yes", false, "do not ask for consent to what --query selects")
}

// check refuses incidents that are named in no way or in two, and a question
// that nobody would answer.
func (b *bulk) check(signal string, ids []string, request string, terminal bool) error {
	switch {
	case len(ids) == 0 && b.query == "":
		return usagef("%s: 0 arguments: expected workflow IDs of incidents, or --query", signal)
	case len(ids) > 0 && b.query != "":
		return usagef("--query %q: %d IDs are given as well: want one or the other", b.query, len(ids))
	case request != "" && b.query != "":
		return usagef("--request %q: with --query each incident is sent its own: want one ID, or no --request", request)
	case request != "" && len(ids) > 1:
		return usagef("--request %q: a request is that of one incident: want one ID, not %d", request, len(ids))
	case b.query != "" && !b.yes && !terminal:
		return usagef("--query %q: there is no terminal to ask for your consent: want --yes", b.query)
	default:
		return nil
	}
}

// candidate is an incident that --query selected.
type candidate struct {
	workflowID string
	// chain is the incident's first run: another one of the same target is not
	// meant.
	chain string
	// request is what it waits for; nil if that was decided meanwhile.
	request *signals.Request
	err     error
}

// decideBulk sends a decision to the incidents that the query selects, about the
// requests that it has listed.
func (s *session) decideBulk(ctx context.Context, signal string, from sender, b bulk, decision signals.Decision) error {
	t, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	candidates, err := survey(ctx, t, signal, b.query)
	if err != nil {
		return err
	}
	deliveries, skipped := []delivery{}, []receipt{}
	for _, c := range candidates {
		switch {
		case c.err != nil:
			skipped = append(skipped, receipt{WorkflowID: c.workflowID, Verdict: verdictSkipped, Reason: c.err.Error()})
		case c.request != nil:
			decision.Request = c.request.ID
			deliveries = append(deliveries, decide(c.workflowID, c.chain, signal, decision))
		}
	}
	if len(deliveries)+len(skipped) == 0 {
		return errors.Join(s.account(signal, from, skipped),
			fmt.Errorf("--query %q: no incident that matches waits for a decision that %s answers", b.query, signal))
	}
	if err := writeCandidates(s.Stderr, candidates); err != nil {
		return err
	}
	if len(deliveries) > 0 && !b.yes {
		if err := s.confirm(ctx, question(signal, len(deliveries))); err != nil {
			return err
		}
	}
	return s.account(signal, from, append(post(ctx, t, from.wait, deliveries), skipped...))
}

// survey asks the incidents that a query selects what they wait for.
func survey(ctx context.Context, t Temporal, signal, query string) ([]candidate, error) {
	rows, err := list(ctx, t, waitingFor(signal)+" AND ("+query+")", maxListed+1)
	var invalid *serviceerror.InvalidArgument
	switch {
	case errors.As(err, &invalid):
		return nil, usagef("--query %q: %w", query, err)
	case err != nil:
		return nil, err
	case len(rows) > maxListed:
		return nil, fmt.Errorf("--query %q: more than %d incidents match: want a narrower one", query, maxListed)
	}
	candidates := make([]candidate, len(rows))
	var asked errgroup.Group
	asked.SetLimit(maxAsked)
	for i := range rows {
		asked.Go(func() error {
			candidates[i] = inspect(ctx, t, rows[i].WorkflowID)
			return nil
		})
	}
	_ = asked.Wait() // what fails is told by its candidate
	return candidates, nil
}

// inspect asks an incident what it waits for.
func inspect(ctx context.Context, t Temporal, workflowID string) candidate {
	c := candidate{workflowID: workflowID}
	run, err := describe(ctx, t, workflowID, "")
	if err != nil {
		c.err = fmt.Errorf("look up incident %s: %w", workflowID, err)
		return c
	}
	c.chain = run.GetFirstRunId()
	_, page, err := query[signals.Page](ctx, t, workflowID, run.GetExecution().GetRunId())
	if err != nil {
		c.err = err
		return c
	}
	c.request = page.Pending
	return c
}

func writeCandidates(w io.Writer, candidates []candidate) error {
	t := newTable(w, "")
	t.row("INCIDENT", "ACTION", "PARAMETERS", "REQUEST", "APPROVALS")
	for _, c := range candidates {
		switch p := c.request; {
		case c.err != nil:
			t.row(c.workflowID, verdictSkipped, c.err.Error())
		case p != nil:
			t.row(c.workflowID, p.Action, report.Parameters(p.Parameters), p.ID, approvals(p))
		}
	}
	return t.flush()
}

func question(signal string, n int) string {
	verb := strings.ToUpper(signal[:1]) + signal[1:]
	if n == 1 {
		return verb + " this one?"
	}
	return fmt.Sprintf("%s these %d?", verb, n)
}

// confirm asks a question of whoever sits at the terminal. Everything but "y"
// and "yes" is a no.
func (s *session) confirm(ctx context.Context, question string) error {
	if _, err := fmt.Fprintf(s.Stderr, "%s [y/N] ", question); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	answered := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(s.Stdin).ReadString('\n') // the end of the input is a no
		answered <- answer
	}()
	select {
	case <-ctx.Done():
		return errors.New("interrupted: nothing was sent")
	case answer := <-answered:
		if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
			return errors.New("not confirmed: nothing was sent")
		}
		return nil
	}
}
