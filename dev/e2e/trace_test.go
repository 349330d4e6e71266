package e2e_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"firebreak/internal/sysdig/sysdigtest"
)

// sent is a span as a receiver got it, with the service that sent it.
type sent struct {
	*trace.Span
	service string
}

// receiver takes spans by OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []sent
	bodies bytes.Buffer
	tokens map[string]bool
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{tokens: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		var message collector.ExportTraceServiceRequest
		if err != nil || request.URL.Path != "/v1/traces" || proto.Unmarshal(body, &message) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies.Write(body)
		r.tokens[request.Header.Get("X-Receiver-Token")] = true
		for _, of := range message.GetResourceSpans() {
			service := ""
			for _, attribute := range of.GetResource().GetAttributes() {
				if attribute.GetKey() == "service.name" {
					service = attribute.GetValue().GetStringValue()
				}
			}
			for _, scope := range of.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					r.spans = append(r.spans, sent{s, service})
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

// find is the span of a name whose parent is one of the given ones.
func (r *receiver) find(t *testing.T, name string, parents ...[]byte) sent {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, s := range r.spans {
		names = append(names, s.GetName()+" under "+hex.EncodeToString(s.GetParentSpanId()))
		if s.GetName() == name && slices.ContainsFunc(parents, func(p []byte) bool { return bytes.Equal(p, s.GetParentSpanId()) }) {
			return s
		}
	}
	require.Failf(t, "no such span", "%s under %x, only:\n%s", name, parents, strings.Join(names, "\n"))
	return sent{}
}

// got reports whether a span of a name has come.
func (r *receiver) got(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.spans, func(s sent) bool { return s.GetName() == name })
}

// The worker that takes the event dies while the incident waits for its approval,
// and another carries the action out: it is one trace all the same.
func TestATraceFollowsAnEventFromItsSenderToSysdig(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	f := prepare(t, shared, minerRoute(`, approval: {mode: one}`), sysdigtest.Options{}, newHost())
	f.env = append(f.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL, "OTEL_EXPORTER_OTLP_HEADERS=x-receiver-token=receiver-token",
		"OTEL_BSP_SCHEDULE_DELAY=100")
	f.starter()
	first := f.worker()
	const traceID, sender = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	f.http.Transport = tracing{f.http.Transport, "00-" + traceID + "-" + sender + "-01"}
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	f.await("the first worker has sent its spans", func() bool { return r.got("StartActivity:Enrich") })
	first.kill()
	second := f.worker()
	i.approve()
	i.contained()
	for _, p := range []*process{second, f.starterProc} {
		p.terminate()
		require.Zero(t, p.code(f.ctx, t))
	}

	from, err := hex.DecodeString(sender)
	require.NoError(t, err)
	webhook := r.find(t, "POST /v1/events/{source}", from)
	require.Equal(t, "firebreak-starter", webhook.service)
	require.Equal(t, traceID, hex.EncodeToString(webhook.GetTraceId()))
	require.Equal(t, trace.Span_SPAN_KIND_SERVER, webhook.GetKind())
	told := r.find(t, "tell incident", webhook.GetSpanId())
	signal := r.find(t, "SignalWithStartWorkflow:CryptoMiner", told.GetSpanId())
	run := r.find(t, "RunWorkflow:CryptoMiner", signal.GetSpanId())
	require.Equal(t, "firebreak-worker", run.service)
	scheduled := r.find(t, "StartActivity:ExecuteAction", run.GetSpanId())
	action := r.find(t, "RunActivity:ExecuteAction", scheduled.GetSpanId())
	request := r.find(t, "POST "+executions, action.GetSpanId())
	require.Equal(t, trace.Span_SPAN_KIND_CLIENT, request.GetKind())
	polled := r.find(t, "GET "+executions+"/{id}", action.GetSpanId())
	// Of the first worker, which did not live to say what they are part of.
	looked := r.find(t, "StartActivity:Enrich", run.GetSpanId())
	for _, s := range []sent{told, signal, run, scheduled, action, request, polled, looked} {
		require.Equal(t, traceID, hex.EncodeToString(s.GetTraceId()), s.GetName())
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	require.Equal(t, map[string]bool{"receiver-token": true}, r.tokens)
	for _, secret := range []string{f.sysdig.Config().Token, webhookToken, "receiver-token", "Bearer"} {
		require.NotContains(t, r.bodies.String(), secret)
	}
	// The log leads to the trace.
	text, err := os.ReadFile(second.output)
	require.NoError(t, err)
	traced := false
	for line := range strings.Lines(string(text)) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		if fields["msg"] == "action ended" {
			traced = fields["trace_id"] == traceID && fields["span_id"] == hex.EncodeToString(run.GetSpanId())
		}
	}
	require.True(t, traced, "%s", text)
	text, err = os.ReadFile(f.starterProc.output)
	require.NoError(t, err)
	require.Regexp(t, `"msg":"incident opened".*"trace_id":"`+traceID+`"`, string(text))
}

// tracing sends requests in a trace.
type tracing struct {
	http.RoundTripper

	traceparent string
}

func (t tracing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Traceparent", t.traceparent)
	return t.RoundTripper.RoundTrip(r)
}

// CloseIdleConnections closes those of the transport below.
func (t tracing) CloseIdleConnections() { t.RoundTripper.(*http.Transport).CloseIdleConnections() }

func TestSpansThatNobodyTakesHoldNothingUp(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	t.Cleanup(stuck.Close)
	t.Cleanup(func() { close(hung) })
	for name, endpoint := range map[string]string{"down": "http://127.0.0.1:1", "stuck": stuck.URL} {
		t.Run(name, func(t *testing.T) {
			f := prepare(t, shared, minerRoute(`, approval: {mode: none}`), sysdigtest.Options{}, newHost())
			f.env = append(f.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint, "OTEL_BSP_SCHEDULE_DELAY=50")
			f.starter()
			worker := f.worker()
			f.openMiner().contained()
			worker.terminate()
			require.Zero(t, worker.code(f.ctx, t))
			text, err := os.ReadFile(worker.output)
			require.NoError(t, err)
			require.Regexp(t, `"msg":"(last )?spans not sent"`, string(text))
		})
	}
}
