package sysdig

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Exchange is a request that was answered, or was not.
type Exchange struct {
	// Endpoint is the request's method and path, with {id} for every ID: one of a
	// dozen.
	Endpoint string
	// Code is the answer's status, or "error" if none came.
	Code string
	// Took is the time until the answer's headers were there, or nothing came any
	// more.
	Took time.Duration
}

// noAnswer is the code of a request without an answer.
const noAnswer = "error"

// endpoint is where a request goes, without IDs and query.
func (r *request) endpoint() string { return r.method + " " + r.template() }

// template is the path with {id} for the ID.
func (r *request) template() string {
	for _, collection := range []string{executionsPath, capturesPath, legacyCapturesPath, eventsPath} {
		if rest, under := strings.CutPrefix(r.path, collection+"/"); under {
			_, rest, deeper := strings.Cut(rest, "/")
			if deeper {
				rest = "/" + rest
			}
			return collection + "/{id}" + rest
		}
	}
	return r.path
}

// observe begins to watch a request: it has a span if its caller has one, in the
// conventions of OpenTelemetry for HTTP clients, but with the path's template in
// place of the URL. The returned function is told how it ended.
func (c *Client) observe(ctx context.Context, req *request, host string) (context.Context, func(*http.Response, error)) {
	begun, endpoint := time.Now(), req.endpoint()
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() && c.observer == nil {
		return ctx, func(*http.Response, error) {}
	}
	ctx, span := parent.TracerProvider().Tracer("firebreak/internal/sysdig").Start(ctx, endpoint,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("http.request.method", req.method),
			attribute.String("url.template", req.template()),
			attribute.String("server.address", host),
		))
	return ctx, func(resp *http.Response, err error) {
		code := noAnswer
		if resp != nil {
			code = strconv.Itoa(resp.StatusCode)
			span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
		}
		if err != nil {
			span.SetAttributes(attribute.String("error.type", code))
			span.SetStatus(codes.Error, "")
		}
		span.End()
		if c.observer != nil {
			c.observer(Exchange{Endpoint: endpoint, Code: code, Took: time.Since(begun)})
		}
	}
}
