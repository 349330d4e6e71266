package starter_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"firebreak/internal/config"
	"firebreak/internal/httpauth"
	"firebreak/starter"
)

// The spans that senders name.
const (
	sender  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	another = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"
)

// recording is a webhook's configuration that records spans.
func recording() (*tracetest.SpanRecorder, func(*starter.Config)) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	return recorder, func(c *starter.Config) { c.Tracer = provider.Tracer("test") }
}

// in names a span in a request.
func in(traceparent string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Traceparent", traceparent) }
}

// named are the spans of a name that have ended.
func named(recorder *tracetest.SpanRecorder, name string) (spans []sdktrace.ReadOnlySpan) {
	for _, span := range recorder.Ended() {
		if span.Name() == name {
			spans = append(spans, span)
		}
	}
	return spans
}

const (
	webhookSpan = "POST /v1/events/{source}"
	tellSpan    = "tell incident"
)

func TestTheTraceOfARequestGoesOnToTemporal(t *testing.T) {
	t.Parallel()
	recorder, traced := recording()
	w := newWebhook(t, traced)
	var told trace.SpanContext
	w.temporal.Fn = func(ctx context.Context, c call) (string, bool, error) {
		told = trace.SpanContextFromContext(ctx)
		return w.temporal.take(c)
	}
	accepted(t, w.post(t, miner("1"), in(sender)))
	request, tell := named(recorder, webhookSpan), named(recorder, tellSpan)
	require.Len(t, request, 1)
	require.Len(t, tell, 1)
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", request[0].SpanContext().TraceID().String())
	require.Equal(t, "00f067aa0ba902b7", request[0].Parent().SpanID().String())
	require.Equal(t, request[0].SpanContext().SpanID(), tell[0].Parent().SpanID())
	require.Equal(t, tell[0].SpanContext(), told)
}

// Whoever may not send cannot fill the traces either.
func TestARequestThatIsNotAdmittedIsNoSpan(t *testing.T) {
	t.Parallel()
	recorder, traced := recording()
	w := newWebhook(t, traced)
	refused(t, w.post(t, miner("1"), in(sender), func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }), http.StatusUnauthorized)
	require.Empty(t, recorder.Started())
}

// A signature is of the body, so that such a source admits before it knows.
func TestARequestWithAWrongSignatureIsNoSpan(t *testing.T) {
	t.Parallel()
	recorder, traced := recording()
	w := newWebhook(t, traced, func(c *starter.Config) {
		c.Sources[0].Auth = httpauth.Signature{Header: "X-Signature", Encoding: config.EncodingHex}
	})
	refused(t, w.post(t, miner("1"), in(sender), func(r *http.Request) { r.Header.Set("X-Signature", strings.Repeat("00", 32)) }), http.StatusUnauthorized)
	require.Empty(t, recorder.Ended(), "no span is sent that has not ended")
}

// It would be in the header of every activity.
func TestWhatASenderSaysBesidesItsSpanStaysHere(t *testing.T) {
	t.Parallel()
	_, traced := recording()
	w := newWebhook(t, traced)
	var told trace.SpanContext
	w.temporal.Fn = func(ctx context.Context, c call) (string, bool, error) {
		told = trace.SpanContextFromContext(ctx)
		return w.temporal.take(c)
	}
	accepted(t, w.post(t, miner("1"), in(sender), func(r *http.Request) { r.Header.Set("Tracestate", "vendor="+strings.Repeat("x", 256)) }))
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", told.TraceID().String())
	require.Empty(t, told.TraceState().String())
}

func TestASignalOfSeveralRequestsIsLinkedToAllOfThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		recorder, traced := recording()
		w := newWebhook(t, traced)
		open := w.temporal.gate()
		blocking := w.posting(t, miner("0"))
		synctest.Wait()
		first, other := make(chan struct{}), make(chan struct{})
		go func() { defer close(first); w.post(t, miner("1"), in(sender)) }()
		synctest.Wait()
		go func() { defer close(other); w.post(t, miner("2"), in(another)) }()
		synctest.Wait()
		open()
		<-blocking
		<-first
		<-other
		tell := named(recorder, tellSpan)
		require.Len(t, tell, 2)
		require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", tell[1].SpanContext().TraceID().String())
		require.Len(t, tell[1].Links(), 1)
		require.Equal(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", tell[1].Links()[0].SpanContext.TraceID().String())
	})
}

func TestTheTraceGoesOnAfterTheJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		recorder, traced := recording()
		w, _, stop := journaling(t, dir, roomy, traced)
		w.temporal.failing(true)
		require.Len(t, accepted(t, w.post(t, miner("1"), in(sender))).Journaled, 1)
		stop()
		request := named(recorder, webhookSpan)
		require.Len(t, request, 1)

		recorder, traced = recording()
		w, _, stop = journaling(t, dir, roomy, traced)
		defer stop()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"1"}, w.temporal.toldTo(target))
		tell := named(recorder, tellSpan)
		require.Len(t, tell, 1)
		require.Equal(t, request[0].SpanContext().TraceID(), tell[0].SpanContext().TraceID())
		require.Equal(t, request[0].SpanContext().SpanID(), tell[0].Parent().SpanID())
	})
}
