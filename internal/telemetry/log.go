package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"unicode"

	"go.opentelemetry.io/otel/trace"
)

// The log's keys for a span.
const (
	keyTrace = "trace_id"
	keySpan  = "span_id"
)

// rename gives the keys of the Temporal SDK, such as WorkflowID, the form of the
// others, such as workflow_id.
func rename(_ []string, a slog.Attr) slog.Attr {
	if a.Key == "" || a.Key[0] < 'A' || a.Key[0] > 'Z' {
		return a
	}
	if a.Key == "EventID" { // in a history; ours is of a security event
		a.Key = "HistoryEventID"
	}
	var key strings.Builder
	for i, c := range a.Key {
		if upper := unicode.IsUpper(c); upper && i > 0 && !unicode.IsUpper(rune(a.Key[i-1])) {
			key.WriteByte('_')
		}
		key.WriteRune(unicode.ToLower(c))
	}
	a.Key = key.String()
	return a
}

// inTrace is a handler that adds the span of a line's context to it.
type inTrace struct{ slog.Handler }

// Handle writes a line.
func (h inTrace) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String(keyTrace, span.TraceID().String()), slog.String(keySpan, span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs is a handler of lines with more attributes.
func (h inTrace) WithAttrs(attrs []slog.Attr) slog.Handler {
	return inTrace{h.Handler.WithAttrs(attrs)}
}

// WithGroup is a handler of lines whose attributes are in a group.
func (h inTrace) WithGroup(name string) slog.Handler { return inTrace{h.Handler.WithGroup(name)} }
