package starter

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"firebreak/internal/httpauth"
)

// A request that was admitted is a span, in its sender's trace if it names one
// (traceparent of W3C Trace Context; tracestate, which can be long, would end up in
// every event of a history), and what tells an incident its events is a span below it,
// from where the trace goes on through Temporal. Events of several requests can
// travel in one signal: that goes on the first one's trace, and is linked to the
// others. The journal keeps where the trace was.

// traceRequest begins the span of a request. The returned function is told what
// became of it.
func (h *Handler) traceRequest(r *http.Request, source *Source) (context.Context, func(*Answer, *problem)) {
	if h.tracer == nil {
		return r.Context(), func(*Answer, *problem) {}
	}
	const route = "/v1/events/{source}" // a secret may follow in the path
	_, signed := source.auth().(httpauth.BodyAuth)
	ctx := trace.ContextWithRemoteSpanContext(r.Context(), spanOf(r.Header.Get("traceparent")))
	ctx, span := h.tracer.Start(ctx, r.Method+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", r.Method),
		attribute.String("http.route", route),
		attribute.String("firebreak.source", source.Name),
	))
	return ctx, func(answer *Answer, p *problem) {
		if signed && p != nil && p.Status < http.StatusInternalServerError {
			return // perhaps a stranger's: a span that does not end is not sent
		}
		status := http.StatusAccepted
		if p != nil {
			status = p.Status
		} else {
			span.SetAttributes(attribute.Int("firebreak.events", answer.Received))
		}
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// traceMessage begins the span of a message to an incident.
func (d *dispatcher) traceMessage(ctx context.Context, m *message) (context.Context, func(error)) {
	if d.tracer == nil || len(m.spans) == 0 {
		return ctx, func(error) {}
	}
	links := make([]trace.Link, 0, len(m.spans)-1)
	for _, other := range m.spans[1:] {
		links = append(links, trace.Link{SpanContext: other})
	}
	ctx, span := d.tracer.Start(trace.ContextWithSpanContext(ctx, m.spans[0]), "tell incident", trace.WithLinks(links...), trace.WithAttributes(
		attribute.String("temporalWorkflowID", m.incident), // as the SDK's spans name it
		attribute.Int("firebreak.events", len(m.events)),
	))
	return ctx, func(err error) {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// from adds the span that events came by, if there is one.
func (m *message) from(span trace.SpanContext) {
	if span.IsValid() {
		m.spans = append(m.spans, span)
	}
}

// traceparent is a span as it is written down, "" if there is none.
func traceparent(span trace.SpanContext) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), span), carrier)
	return carrier.Get("traceparent")
}

// spanOf is its inverse.
func spanOf(traceparent string) trace.SpanContext {
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent}))
}
