package starter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// budget is how long a request may wait until its events are stored. Senders
// count a slow answer as a failure.
const budget = 2 * time.Second

// retryAfter is how many seconds a sender is asked to wait after a 503.
const retryAfter = "5"

// parallel is how many incidents of one request are signalled at a time.
const parallel = 16

// Config is what a Handler needs; all of it is required.
type Config struct {
	Sources    []Source
	Router     *incident.Router
	TaskQueue  string
	Approvers  signals.Approvers
	Temporal   Temporal
	Quarantine Quarantine
	Metrics    prometheus.Registerer
	Log        *slog.Logger
}

// Handler is the webhook: POST /v1/events/{source}.
type Handler struct {
	sources    map[string]*Source
	router     *incident.Router
	taskQueue  string
	approvers  signals.Approvers
	temporal   Temporal
	quarantine Quarantine
	metrics    *metrics
	log        *slog.Logger
	mux        *http.ServeMux
}

// NewHandler returns the webhook of some sources.
func NewHandler(c Config) (*Handler, error) {
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		sources: map[string]*Source{}, router: c.Router, taskQueue: c.TaskQueue, approvers: c.Approvers,
		temporal: c.Temporal, quarantine: c.Quarantine, metrics: m, log: c.Log, mux: http.NewServeMux(),
	}
	for _, source := range c.Sources {
		if h.sources[source.Name] != nil {
			err = errors.Join(err, fmt.Errorf("source %q is there twice: want one of a name", source.Name))
		}
		err = errors.Join(err, source.validate())
		h.sources[source.Name] = &source
	}
	if err != nil {
		return nil, err
	}
	h.mux.HandleFunc("/v1/events/{source}", h.events)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		newProblem(http.StatusNotFound, "want POST /v1/events/{source}").write(w)
	})
	return h, nil
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Answer is what a sender is told about its events.
type Answer struct {
	// Received counts all of them.
	Received int `json:"received"`
	// Opened and Joined are the incidents they went to.
	Opened      []Reference `json:"opened"`
	Joined      []Reference `json:"joined"`
	Duplicate   int         `json:"duplicate"`
	Ignored     int         `json:"ignored"`
	Quarantined int         `json:"quarantined"`
}

func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	name, status := unknownSource, http.StatusAccepted
	answer, p := (*Answer)(nil), newProblem(http.StatusNotFound, "there is no source of this name")
	if source := h.sources[r.PathValue("source")]; source != nil {
		name = source.Name
		answer, p = h.take(w, r, source)
	}
	if p != nil {
		status = p.Status
		h.log.Warn("request refused", "source", name, "status", status, "remote", r.RemoteAddr)
		p.write(w)
	} else {
		writeJSON(w, status, "application/json", answer)
	}
	h.metrics.request(name, status, time.Since(begin))
}

// take stores the events of a request.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, source *Source) (*Answer, *problem) {
	events, p := source.read(w, r)
	if p != nil {
		return nil, p
	}
	// From here on the sender's patience does not matter: it may not send again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), budget)
	defer cancel()
	answer, err := h.store(ctx, source.Name, events)
	if err != nil {
		h.log.Error("events were not stored", "source", source.Name, "error", err)
		return nil, newProblem(http.StatusServiceUnavailable, "not every event could be stored: send them again").
			with("Retry-After", retryAfter)
	}
	return answer, nil
}

// store hands events to Temporal and what is no event to the quarantine. The
// incidents come first: containment waits for them.
func (h *Handler) store(ctx context.Context, source string, events []incident.Event) (*Answer, error) {
	s, err := assign(events, h.router)
	if err != nil {
		return nil, err
	}
	answer := &Answer{
		Received: len(events), Opened: []Reference{}, Joined: []Reference{},
		Duplicate: s.duplicate, Ignored: len(s.ignored), Quarantined: len(s.unknown) + len(s.oversized),
	}
	if err := h.signalAll(ctx, source, s.groups, answer); err != nil {
		return nil, err
	}
	if err := h.keep(ctx, source, "not recognised", s.unknown); err != nil {
		return nil, err
	}
	if err := h.keep(ctx, source, "too large for a signal", s.oversized); err != nil {
		return nil, err
	}
	for _, i := range s.ignored {
		h.log.Info("event ignored", "source", source, "event_id", i.eventID, "reason", i.reason)
	}
	h.metrics.count(source, resultDuplicate, answer.Duplicate)
	h.metrics.count(source, resultIgnored, answer.Ignored)
	h.metrics.count(source, resultQuarantined, answer.Quarantined)
	return answer, nil
}

// signalAll signals every incident, also when one of them fails.
func (h *Handler) signalAll(ctx context.Context, source string, groups []*group, answer *Answer) error {
	type outcome struct {
		ref    Reference
		opened bool
		err    error
	}
	outcomes := make([]outcome, len(groups))
	var work errgroup.Group
	work.SetLimit(parallel)
	for i, g := range groups {
		work.Go(func() error {
			o := &outcomes[i]
			o.ref, o.opened, o.err = h.signal(ctx, g)
			return nil
		})
	}
	_ = work.Wait()
	var failed []error
	for i, o := range outcomes {
		switch g := groups[i]; {
		case o.err != nil:
			failed = append(failed, o.err)
		case o.opened:
			answer.Opened = append(answer.Opened, o.ref)
			h.told(source, resultOpened, g, o.ref)
		default:
			answer.Joined = append(answer.Joined, o.ref)
			h.told(source, resultJoined, g, o.ref)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d incidents were not told: %w", len(failed), len(groups), failed[0])
	}
	return nil
}

// told records that an incident was told its events.
func (h *Handler) told(source string, r result, g *group, ref Reference) {
	h.metrics.count(source, r, g.events)
	h.log.Info("incident "+string(r), "workflow_id", ref.WorkflowID, "run_id", ref.RunID, "route", ref.Route,
		"source", source, "event_id", g.batches[0].Events[0].ID, "events", g.events)
}
