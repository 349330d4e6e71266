package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/config"
	"firebreak/internal/encryption"
	"firebreak/internal/temporalclient"
	"firebreak/signals"
)

// Temporal is what the commands of analysts need of Temporal's client, and
// behaves as that one does.
type Temporal interface {
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
	ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	QueryWorkflow(ctx context.Context, workflowID, runID, queryType string, args ...any) (converter.EncodedValue, error)
	GetWorkflow(ctx context.Context, workflowID, runID string) client.WorkflowRun
	SignalWorkflow(ctx context.Context, workflowID, runID, signalName string, arg any) error
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	SignalWithStartWorkflow(ctx context.Context, workflowID, signalName string, signalArg any,
		options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	Close()
}

var _ Temporal = client.Client(nil)

// How long a person waits for an answer of Temporal itself, and for one of a
// playbook: a worker replays it first.
const (
	connectTimeout = 5 * time.Second
	queryTimeout   = 5 * time.Second
)

// client returns a client that connects when it is first used. Of the
// configuration it only needs the keyset; nil has none but the flag's.
func (s *session) client(cfg *config.Config) (client.Client, client.Options, error) {
	keyset, log := s.keyset, slog.New(slog.DiscardHandler)
	if cfg != nil {
		keyset = cfg.Temporal.Keyset
	}
	keys, err := encryption.Open(keyset, log)
	if err != nil {
		return nil, client.Options{}, err
	}
	options, err := temporalclient.Options(s.environ, keys, log, nil)
	if err != nil {
		return nil, options, err
	}
	c, err := temporalclient.New(options)
	return c, options, err
}

// connect returns a connected client; the caller closes it.
func (s *session) connect(ctx context.Context) (Temporal, error) {
	if s.Connect != nil {
		return s.Connect(ctx)
	}
	cfg, err := s.loadFile(s.config)
	if err != nil {
		return nil, err
	}
	c, options, err := s.client(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		c.Close()
		return nil, temporalclient.Diagnose(ctx, options, err)
	}
	return c, nil
}

// errNoWorker is a playbook that does not answer.
var errNoWorker = errors.New("no worker answers for it: is `firebreak worker` running?")

// query asks an incident, or the guard, for its page; an empty run ID means the
// latest run. An incident that is closed needs no worker for that.
func query[P signals.Page | signals.GuardPage](ctx context.Context, t Temporal, workflowID, runID string) (json.RawMessage, *P, error) {
	raw, err := answer(ctx, t, workflowID, runID)
	if errors.Is(err, errNoWorker) {
		if last, ok := lastPage(ctx, t, workflowID, runID); ok {
			raw, err = last, nil
		}
	}
	page := new(P)
	if err == nil {
		err = json.Unmarshal(raw, page)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("query %s: %w", workflowID, unanswered(ctx, t, workflowID, runID, err))
	}
	return raw, page, nil
}

// answer is the page as it is now.
func answer(ctx context.Context, t Temporal, workflowID, runID string) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var raw json.RawMessage
	value, err := t.QueryWorkflow(ctx, workflowID, runID, signals.QueryIncident)
	if err == nil {
		err = value.Get(&raw)
	}
	if err != nil {
		return nil, silence(ctx, err)
	}
	return raw, nil
}

// lastPage is the page that an incident was closed with. Of a version of the worker
// whose incidents are all closed the workers may be gone.
func lastPage(ctx context.Context, t Temporal, workflowID, runID string) (json.RawMessage, bool) {
	run, err := describe(ctx, t, workflowID, runID)
	if err != nil || !ended(run) {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var raw json.RawMessage
	err = t.GetWorkflow(ctx, workflowID, run.GetExecution().GetRunId()).Get(ctx, &raw)
	var failed *temporal.ApplicationError
	if errors.As(err, &failed) {
		err = failed.Details(&raw) // one that is closed as failed has its page there
	}
	return raw, err == nil && len(raw) > 0
}

// unanswered is why a query was not answered. A worker without the key of an
// incident is as silent as none; whoever asks may lack it too, and be told so by
// what is known of the incident without a worker.
func unanswered(ctx context.Context, t Temporal, workflowID, runID string, err error) error {
	var unreadable *serviceerror.DataLoss
	if errors.Is(err, errNoWorker) {
		if _, seen := describe(ctx, t, workflowID, runID); errors.As(seen, &unreadable) {
			return seen
		}
	}
	return err
}

// silence tells a worker that is not there from an answer that is bad. Temporal
// says it in three ways, depending on when a worker was last there.
func silence(ctx context.Context, err error) error {
	if isPaused(err) {
		return errPaused
	}
	var deadline *serviceerror.DeadlineExceeded
	var precondition *serviceerror.FailedPrecondition
	var notReady *serviceerror.WorkflowNotReady
	if errors.Is(ctx.Err(), context.DeadlineExceeded) ||
		errors.As(err, &deadline) || errors.As(err, &precondition) || errors.As(err, &notReady) {
		return errNoWorker
	}
	return err
}

// notFound reports whether an error says that there is no such workflow, or
// none that still runs.
func notFound(err error) bool {
	var none *serviceerror.NotFound
	return errors.As(err, &none)
}

// maxSuggested is how many open incidents are named to whoever asked for one
// that does not exist.
const maxSuggested = 5

// unknown says that an incident does not exist, and which do.
func unknown(ctx context.Context, t Temporal, workflowID string) error {
	if workflowID == signals.GuardID {
		return errors.New("there is no guard: containment was never frozen")
	}
	open, err := list(ctx, t, onlyOpen, maxSuggested)
	switch {
	case err != nil:
		return fmt.Errorf("there is no incident %q", workflowID)
	case len(open) == 0:
		return fmt.Errorf("there is no incident %q, and none is open", workflowID)
	}
	ids := make([]string, len(open))
	for i := range open {
		ids[i] = open[i].WorkflowID
	}
	return fmt.Errorf("there is no incident %q; open: %s", workflowID, strings.Join(ids, ", "))
}
