package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"firebreak/internal/incident"
	"firebreak/internal/journal"
	"firebreak/internal/redact"
	"firebreak/signals"
)

// retryAfter is how many seconds a sender is asked to wait after a 503, and
// after a 429.
const (
	retryAfter     = "5"
	retryAfterBusy = "1"
)

// maxInFlight is how many requests may be under way at a time. Each may hold a
// body, and one that is told to wait a second costs nobody anything.
const maxInFlight = 512

// Config is what a Handler needs; all of it but the journal is required.
type Config struct {
	Sources   []Source
	Router    *incident.Router
	TaskQueue string
	Approvers signals.Approvers
	// Redactor takes out of events what nobody is to read; nil leaves them as they
	// are.
	Redactor *redact.Redactor
	// Notify says that the worker notifies somebody.
	Notify     bool
	Temporal   Temporal
	Quarantine Quarantine
	// Journal takes events while Temporal does not; nil means that their senders
	// get a 503.
	Journal *journal.Journal
	Metrics prometheus.Registerer
	// Tracer is where spans come from; nil makes none.
	Tracer trace.Tracer
	Log    *slog.Logger
}

// Handler is the webhook: POST /v1/events/{source}.
type Handler struct {
	sources    map[string]*Source
	router     *incident.Router
	redactor   *redact.Redactor
	dispatcher *dispatcher
	quarantine Quarantine
	metrics    *metrics
	tracer     trace.Tracer
	log        *slog.Logger
	mux        *http.ServeMux
	// slots are taken by the requests under way.
	slots chan struct{}
	// stop ends what Start began, and returns when it has ended.
	stop func()
}

// NewHandler returns the webhook of some sources.
func NewHandler(c Config) (*Handler, error) {
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, err
	}
	if c.Journal != nil {
		if err := watchJournal(c.Metrics, c.Journal); err != nil {
			return nil, err
		}
	}
	h := &Handler{
		sources: map[string]*Source{}, router: c.Router, redactor: c.Redactor, dispatcher: newDispatcher(c, m), quarantine: c.Quarantine,
		metrics: m, tracer: c.Tracer, log: c.Log, mux: http.NewServeMux(), slots: make(chan struct{}, maxInFlight), stop: func() {},
	}
	for _, source := range c.Sources {
		if h.sources[source.Name] != nil {
			err = errors.Join(err, fmt.Errorf("source %q is there twice: want one of a name", source.Name))
		}
		err = errors.Join(err, source.validate())
		h.sources[source.Name] = &source
		m.prepare(source.Name)
	}
	if err != nil {
		return nil, err
	}
	h.mux.HandleFunc("/v1/events/{source}", h.events)
	h.mux.HandleFunc("/v1/events/{source}/{secret}", h.events)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		newProblem(http.StatusNotFound, "want POST /v1/events/{source}").write(w)
	})
	return h, nil
}

// Start begins what goes on beside the requests.
func (h *Handler) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.dispatcher.run(ctx)
	}()
	h.stop = func() {
		cancel()
		<-ended
	}
}

// Stop ends what Start began. Call it when no request is under way any more.
func (h *Handler) Stop() { h.stop() }

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Answer is what a sender is told about its events.
type Answer struct {
	// Received counts all of them.
	Received int `json:"received"`
	// Opened and Joined are the incidents they went to.
	Opened []Reference `json:"opened"`
	Joined []Reference `json:"joined"`
	// Journaled are those they will go to, once Temporal is back: without a run,
	// for nobody knows yet whether they open it or join it.
	Journaled []Reference `json:"journaled,omitempty"`
	// Duplicate counts events that their incident has, or had, already.
	Duplicate   int `json:"duplicate"`
	Ignored     int `json:"ignored"`
	Quarantined int `json:"quarantined"`
}

// Reference is an incident that events went to.
type Reference struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	Route      string `json:"route"`
}

func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	name, status := unknownSource, http.StatusAccepted
	answer, p := (*Answer)(nil), newProblem(http.StatusNotFound, "there is no source of this name")
	hose := firehose{requestID: r.Header.Get(firehoseRequestID)}
	if source := h.sources[r.PathValue("source")]; source != nil {
		name = source.Name
		answer, p = h.take(w, r, source, &hose)
	}
	if p != nil {
		h.log.Warn("request refused", append([]any{
			"source", name, "status", p.Status, "reason", cmp.Or(p.cause, p.Detail), "remote", r.RemoteAddr,
		}, hose.attributes()...)...)
	}
	switch {
	case hose.requestID != "":
		status = hose.write(w, p)
	case p != nil:
		status = p.Status
		p.write(w)
	default:
		writeJSON(w, status, "application/json", answer)
	}
	h.metrics.request(name, status, time.Since(begin))
}

// take stores the events of a request, and notes whether it is Firehose's.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, source *Source, hose *firehose) (*Answer, *problem) {
	if p := source.admit(r); p != nil {
		return nil, p
	}
	ctx, ended := h.traceRequest(r, source)
	answer, p := h.takeAdmitted(ctx, w, r, source, hose)
	ended(answer, p)
	return answer, p
}

func (h *Handler) takeAdmitted(ctx context.Context, w http.ResponseWriter, r *http.Request, source *Source, hose *firehose) (*Answer, *problem) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return nil, newProblem(http.StatusTooManyRequests, "%d requests are under way: want fewer at a time", maxInFlight).
			with("Retry-After", retryAfterBusy)
	}
	body, p := source.read(w, r)
	if p != nil {
		return nil, p
	}
	hose.recognise(body)
	events, err := incident.Parse(body)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "%v", err)
	}
	h.redactor.Events(events) // before anybody else has seen them
	// From here on the sender's patience does not matter: it may not send again.
	answer, err := h.store(context.WithoutCancel(ctx), source, events)
	if err != nil {
		h.log.ErrorContext(ctx, "events were not stored", "source", source.Name, "error", err)
		return nil, newProblem(http.StatusServiceUnavailable, "not every event could be stored: send them again").
			with("Retry-After", retryAfter)
	}
	return answer, nil
}

// store hands events to their incidents and what is no event to the quarantine.
// The incidents come first: containment waits for them.
func (h *Handler) store(ctx context.Context, from *Source, events []incident.Event) (*Answer, error) {
	source := from.Name
	s, err := assign(from, events, h.router, h.dispatcher.place)
	if err != nil {
		for _, d := range s.deliveries {
			h.dispatcher.released(d, nil)
		}
		return nil, err
	}
	answer := &Answer{
		Received: len(events), Opened: []Reference{}, Joined: []Reference{},
		Ignored: len(s.ignored), Quarantined: len(s.unknown) + len(s.oversized),
	}
	if err := h.deliver(ctx, source, s.deliveries, answer); err != nil {
		return nil, err
	}
	if err := h.repeated(ctx, source, s.elsewhere, answer); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	if err := h.keep(ctx, source, "not recognised", s.unknown); err != nil {
		return nil, err
	}
	if err := h.keep(ctx, source, "too large for a signal", s.oversized); err != nil {
		return nil, err
	}
	for _, i := range s.ignored {
		h.log.InfoContext(ctx, "event ignored", "source", source, "event_id", i.eventID, "reason", i.reason)
	}
	for _, i := range s.incomplete {
		h.metrics.lacking(source, i.lacks)
		h.log.WarnContext(ctx, "event lacks what routes need", "source", source, "event_id", i.eventID, "adapter", i.adapter, "fields", i.lacks)
	}
	h.metrics.count(source, resultDuplicate, answer.Duplicate)
	h.metrics.count(source, resultIgnored, answer.Ignored)
	h.metrics.count(source, resultQuarantined, answer.Quarantined)
	return answer, nil
}

// deliver hands deliveries to the dispatcher, and waits for all of them, also
// when one of them fails.
func (h *Handler) deliver(ctx context.Context, source string, deliveries []*delivery, answer *Answer) error {
	tickets := make([]*ticket, len(deliveries))
	for i, d := range deliveries {
		tickets[i] = h.dispatcher.submit(d, trace.SpanContextFromContext(ctx))
	}
	named := map[string]bool{}
	var failed []error
	for _, t := range tickets {
		o := <-t.done
		h.dispatcher.released(t.delivery, o.ref)
		if o.err != nil {
			failed = append(failed, o.err)
			h.log.ErrorContext(ctx, "incident not told", "workflow_id", t.incident, "route", t.route.Name, "source", source,
				"event_id", t.events[0].ID, "events", len(t.events), "error", o.err)
			continue
		}
		answer.Duplicate += o.duplicates
		h.metrics.count(source, o.result, len(t.events)-o.duplicates)
		level := slog.LevelInfo
		if o.duplicates == len(t.events) {
			level = slog.LevelDebug // nothing is new
		}
		h.log.Log(ctx, level, "incident "+string(o.result), "workflow_id", o.ref.WorkflowID, "run_id", o.ref.RunID,
			"route", o.ref.Route, "source", source, "event_id", t.events[0].ID, "events", len(t.events), "duplicates", o.duplicates)
		if named[o.ref.WorkflowID] {
			continue // what is too much for one signal is several deliveries
		}
		named[o.ref.WorkflowID] = true
		switch o.result {
		case resultOpened:
			answer.Opened = append(answer.Opened, *o.ref)
		case resultJournaled:
			answer.Journaled = append(answer.Journaled, *o.ref)
		default:
			answer.Joined = append(answer.Joined, *o.ref)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d deliveries failed: %w", len(failed), len(tickets), failed[0])
	}
	return nil
}

// repeated counts events with the incidents that have them, other ones than those
// that they correlate with.
func (h *Handler) repeated(ctx context.Context, source string, events []*elsewhere, answer *Answer) error {
	for _, e := range events {
		ref := h.dispatcher.repeat(e)
		if ref == nil {
			return fmt.Errorf("event %s is under way to incident %s and was not stored there", e.eventID, e.claim.incident)
		}
		h.log.InfoContext(ctx, "event joins the incident that has it", "workflow_id", ref.WorkflowID, "route", ref.Route, "source", source, "event_id", e.eventID)
		answer.Duplicate++
		to := &answer.Joined
		if ref.RunID == "" {
			to = &answer.Journaled
		}
		if !slices.ContainsFunc(slices.Concat(answer.Opened, *to), func(r Reference) bool { return r.WorkflowID == ref.WorkflowID }) {
			*to = append(*to, *ref)
		}
	}
	return nil
}
