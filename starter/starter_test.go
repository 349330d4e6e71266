package starter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"firebreak/internal/evidence"
	"firebreak/internal/incident"
	"firebreak/internal/telemetry"
	"firebreak/signals"
	"firebreak/starter"
)

const (
	secret = "s3cret-one"
	second = "s3cret-two"
	stolen = "Bearer " + secret
)

// call is what Temporal was told.
type call struct {
	options      client.StartWorkflowOptions
	workflowType string
	input        signals.Input
	batch        signals.EventBatch
}

// temporal is a Temporal that remembers what it was told; the first signal of
// an ID opens, later ones join, unless Fn says otherwise.
type temporal struct {
	Fn func(ctx context.Context, c call) (string, bool, error)

	mu    sync.Mutex
	calls []call
	// open and closed are the runs of incidents, by workflow ID; told is what
	// runs were told.
	open, closed map[string]string
	told         map[string][]string
	repeated     map[string]int // by workflow ID and event ID
	history      int64          // in bytes, of every incident
	down         bool
	refused      map[string]error // by workflow ID
}

func (f *temporal) SignalWithStart(ctx context.Context, options client.StartWorkflowOptions, workflowType string,
	input signals.Input, batch signals.EventBatch,
) (string, bool, error) {
	c := call{options, workflowType, input, batch}
	f.mu.Lock()
	down, refused := f.down, f.refused[options.ID]
	if !down && refused == nil {
		f.calls = append(f.calls, c)
	}
	f.mu.Unlock()
	if down {
		return "", false, serviceerror.NewUnavailable("down")
	}
	if refused != nil {
		return "", false, refused
	}
	if f.Fn != nil {
		return f.Fn(ctx, c)
	}
	return f.take(c)
}

// take opens or joins as Temporal does.
func (f *temporal) take(c call) (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open, f.closed, f.told, f.repeated = map[string]string{}, map[string]string{}, map[string][]string{}, map[string]int{}
	}
	id := c.options.ID
	run, joins := f.open[id]
	if !joins {
		if closed := f.closed[id]; closed != "" && c.options.WorkflowIDReusePolicy == enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE {
			return "", false, serviceerror.NewWorkflowExecutionAlreadyStarted("closed", "request", closed)
		}
		run = "run-of-" + id + f.closed[id]
		f.open[id] = run
	}
	for i := range c.batch.Events {
		f.told[run] = append(f.told[run], c.batch.Events[i].ID)
	}
	return run, !joins, nil
}

// hang is a Temporal that does not answer.
func hang(ctx context.Context, _ call) (string, bool, error) {
	<-ctx.Done()
	return "", false, ctx.Err()
}

// failing makes Temporal unavailable, or available again.
func (f *temporal) failing(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// refuse makes Temporal take nothing for one incident, or with nil everything.
func (f *temporal) refuse(id string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = map[string]error{id: err}
}

// close closes an open incident.
func (f *temporal) close(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed[id] = f.open[id]
	delete(f.open, id)
}

func (f *temporal) Signal(_ context.Context, workflowID string, batch signals.EventBatch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return serviceerror.NewUnavailable("down")
	}
	if f.open[workflowID] == "" {
		return serviceerror.NewNotFound("closed")
	}
	for _, r := range batch.Repeated {
		f.repeated[workflowID+" "+r.ID] += r.Times
	}
	return nil
}

func (f *temporal) Told(_ context.Context, _, runID string, ids map[string]int) (map[string]bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := map[string]bool{}
	for _, id := range f.told[runID] {
		if _, asked := ids[id]; asked {
			told[id] = true
		}
	}
	return told, nil
}

func (f *temporal) History(context.Context, string) (events, bytes int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return 0, f.history, nil
}

// told is what the open run of an incident was told, in order.
func (f *temporal) toldTo(id string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told[f.open[id]])
}

// quarantine is a store that remembers, or fails.
type quarantine struct {
	err error

	mu    sync.Mutex
	files map[string]string
}

func (q *quarantine) Put(_ context.Context, key, _ string, r io.Reader) (evidence.File, error) {
	if q.err != nil {
		return evidence.File{}, q.err
	}
	body, err := io.ReadAll(r)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.files == nil {
		q.files = map[string]string{}
	}
	q.files[key] = string(body)
	return evidence.File{Size: int64(len(body))}, err
}

// webhook is a starter of two sources and two routes.
type webhook struct {
	*starter.Handler
	temporal   *temporal
	quarantine *quarantine
	registry   *prometheus.Registry
	log        *bytes.Buffer
}

func newWebhook(t *testing.T, change ...func(*starter.Config)) *webhook {
	t.Helper()
	router, err := incident.NewRouter([]incident.Route{
		{Name: "miner", When: `incident.rule.name == "Miner"`, Playbook: "crypto-miner"},
		{Name: "grave", When: `incident.severity <= 3`, Playbook: "capture"},
		{Name: "owned", When: `incident.labels["owner"] == "soc"`, Playbook: "capture"},
	})
	require.NoError(t, err)
	w := &webhook{temporal: &temporal{}, quarantine: &quarantine{}, registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	config := starter.Config{
		Sources: []starter.Source{
			{Name: "sysdig", Secrets: []string{secret, second}},
			{Name: "lab", Open: true},
		},
		Router: router, TaskQueue: "queue", Approvers: signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"ann"}},
		Temporal: w.temporal, Quarantine: w.quarantine, Metrics: w.registry,
		Log: slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	for _, c := range change {
		c(&config)
	}
	w.Handler, err = starter.NewHandler(config)
	require.NoError(t, err)
	w.Start()
	t.Cleanup(w.Stop)
	return w
}

// event is a forwarder event of a rule on a container.
func event(id, rule, container string, severity int) string {
	return fmt.Sprintf(`{"id":%q,"type":"policy","originator":"policy","machineId":"42:01:0a:80:00:05","containerId":%q,
		"timestamp":1700000000000000000,"severity":%d,"labels":{"host.hostName":"node-1"},
		"content":{"ruleName":%q,"output":"CANARY [x](y)","fields":{"proc.name":"xmrig","proc.pid":"7"}}}`,
		id, container, severity, rule)
}

func array(events ...string) string { return "[" + strings.Join(events, ",") + "]" }

// post sends a body to a source with a valid token.
func (w *webhook) post(t *testing.T, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events/sysdig", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(r)
	}
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	return recorder
}

// accepted requires a 202 and decodes it.
func accepted(t *testing.T, recorder *httptest.ResponseRecorder) starter.Answer {
	t.Helper()
	require.Equal(t, http.StatusAccepted, recorder.Code, recorder.Body)
	require.Equal(t, "application/json", recorder.Header().Get("Content-Type"))
	var answer starter.Answer
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &answer))
	return answer
}

// refused requires a problem of a status and returns its detail.
func refused(t *testing.T, recorder *httptest.ResponseRecorder, status int) string {
	t.Helper()
	require.Equal(t, status, recorder.Code, recorder.Body)
	require.Equal(t, "application/problem+json", recorder.Header().Get("Content-Type"))
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &p))
	require.Equal(t, "about:blank", p.Type)
	require.Equal(t, http.StatusText(status), p.Title)
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.Detail)
	return p.Detail
}

// metrics are what Prometheus would see.
func (w *webhook) metrics(t *testing.T) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	telemetry.Ops(w.registry, nil).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return recorder.Body.String()
}

// counted requires a number of events to be counted for a result.
func (w *webhook) counted(t *testing.T, result string, events int) {
	t.Helper()
	require.Contains(t, w.metrics(t), fmt.Sprintf("firebreak_events_total{result=%q,source=\"sysdig\"} %d\n", result, events))
}

func TestAnEventOpensAnIncidentAndTheNextJoinsIt(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	ref := starter.Reference{WorkflowID: "crypto-miner:node-1:6949e5f10829", RunID: "run-of-crypto-miner:node-1:6949e5f10829", Route: "miner"}
	require.Equal(t, starter.Answer{Received: 1, Opened: []starter.Reference{ref}, Joined: []starter.Reference{}},
		accepted(t, w.post(t, event("1", "Miner", "6949e5f10829", 2))))
	recorder := w.post(t, array(event("2", "Miner", "6949e5f10829", 2)))
	require.JSONEq(t, `{"received":1,"opened":[],"joined":[{"workflow_id":"crypto-miner:node-1:6949e5f10829",
		"run_id":"run-of-crypto-miner:node-1:6949e5f10829","route":"miner"}],"duplicate":0,"ignored":0,"quarantined":0}`,
		recorder.Body.String(), "arrays are never null")
	w.counted(t, "opened", 1)
	w.counted(t, "joined", 1)

	c := w.temporal.calls[0]
	require.Equal(t, "CryptoMiner", c.workflowType)
	require.Equal(t, "queue", c.options.TaskQueue)
	require.Equal(t, []string{"host.name", "container.id"}, c.input.Route.CorrelateBy, "the route travels with its defaults")
	require.Equal(t, signals.Approvers{Trust: signals.TrustListed, Analysts: []string{"ann"}}, c.input.Approvers)
	require.Equal(t, "Miner on container 6949e5f10829 on node-1 (high)", c.options.StaticSummary)
	require.Contains(t, c.options.StaticDetails, `- **Output:** CANARY \[x\](y)`+"\n")
	require.Contains(t, c.options.StaticDetails, "- **Process:** xmrig (PID 7)\n")
	require.Equal(t, 2, c.options.Priority.PriorityKey)
	attributes := c.options.TypedSearchAttributes
	for key, want := range map[string]string{"IncidentState": "open", "IncidentRule": "Miner", "IncidentHost": "node-1", "IncidentContainer": "6949e5f10829"} {
		found := false
		for k, v := range attributes.GetUntypedValues() {
			if k.GetName() == key {
				require.Equal(t, want, v)
				found = true
			}
		}
		require.True(t, found, key)
	}
	severity, ok := attributes.GetInt64(signals.IncidentSeverity)
	require.True(t, ok)
	require.Equal(t, int64(2), severity)
}

func TestEventsOfOneIncidentTravelInOneSignal(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	answer := accepted(t, w.post(t, array(
		event("1", "Miner", "6949e5f10829", 2),
		event("2", "Shell", "6949e5f10829", 3),
		event("3", "Miner", "6949e5f10829", 2),
		event("1", "Miner", "6949e5f10829", 2),
		event("4", "Shell", "aaaaaaaaaaaa", 6),
		event("1", "Miner", "bbbbbbbbbbbb", 2), // the same ID, which is known by then
	)))
	require.Equal(t, 6, answer.Received)
	require.Len(t, answer.Opened, 2)
	require.Equal(t, "crypto-miner:node-1:6949e5f10829", answer.Opened[0].WorkflowID, "in the order of the events")
	require.Equal(t, "capture:node-1:6949e5f10829", answer.Opened[1].WorkflowID)
	require.Equal(t, 2, answer.Duplicate)
	require.Equal(t, 1, answer.Ignored)
	w.counted(t, "opened", 3)
	w.counted(t, "duplicate", 2)
	w.counted(t, "ignored", 1)

	require.Len(t, w.temporal.calls, 2)
	for _, c := range w.temporal.calls {
		if c.options.ID != "crypto-miner:node-1:6949e5f10829" {
			require.Len(t, c.batch.Events, 1)
			continue
		}
		require.Equal(t, []string{"1", "3"}, []string{c.batch.Events[0].ID, c.batch.Events[1].ID})
		require.Equal(t, 1, c.batch.Duplicates)
	}
}

func TestEventsTooLargeForOneSignalAreSplit(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	// Each is a name of 4 KiB that takes six times as much room in JSON.
	large := func(id string) string {
		return strings.Replace(event(id, "Miner", "6949e5f10829", 2), "xmrig", strings.Repeat("<", 4000), 1)
	}
	var events []string
	for i := range 100 {
		events = append(events, large(fmt.Sprint(i)))
	}
	answer := accepted(t, w.post(t, array(events...)))
	require.Len(t, answer.Opened, 1, "one incident is named once")
	require.Empty(t, answer.Joined)
	require.Greater(t, len(w.temporal.calls), 1)
	got := 0
	for _, c := range w.temporal.calls {
		encoded, err := json.Marshal(c.batch)
		require.NoError(t, err)
		require.Less(t, len(encoded), 2<<20)
		for _, e := range c.batch.Events {
			require.Equal(t, fmt.Sprint(got), e.ID)
			got++
		}
	}
	require.Equal(t, 100, got)
}

func TestAnEventTooLargeForASignalIsQuarantined(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	var labels strings.Builder
	for i := range 60 {
		fmt.Fprintf(&labels, `"label-%d":%q,`, i, strings.Repeat("<", 4000))
	}
	answer := accepted(t, w.post(t, strings.Replace(event("1", "Miner", "6949e5f10829", 2), `"labels":{`, `"labels":{`+labels.String(), 1)))
	require.Equal(t, 1, answer.Quarantined)
	require.Len(t, w.quarantine.files, 1)
	require.Empty(t, w.temporal.calls)
}

func TestWhatIsNoIncidentIsNeverAnError(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	answer := accepted(t, w.post(t, array(
		`{"hello":"CANARY"}`, `{"type":"audit","originator":"x","content":{}}`, `{"n":12345678901234567890}`,
	)))
	require.Equal(t, starter.Answer{Received: 3, Opened: []starter.Reference{}, Joined: []starter.Reference{}, Ignored: 1, Quarantined: 2}, answer)
	w.counted(t, "quarantined", 2)
	require.Len(t, w.quarantine.files, 1)
	for key, body := range w.quarantine.files {
		require.Regexp(t, `^quarantine/sysdig/\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{16}\.json$`, key)
		require.Contains(t, body, `"source":"sysdig","received_at":"2`)
		require.Contains(t, body, `"objects":[{"hello":"CANARY"},{"n":12345678901234567890}]`, "as they were sent")
	}
	require.Empty(t, w.temporal.calls)
	require.Equal(t, starter.Answer{Opened: []starter.Reference{}, Joined: []starter.Reference{}}, accepted(t, w.post(t, `[]`)))
}

func TestAnEventThatCannotBeStoredIsNotAccepted(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*webhook){
		"Temporal refuses": func(w *webhook) {
			w.temporal.Fn = func(context.Context, call) (string, bool, error) { return "", false, errors.New("no namespace") }
		},
		"Temporal refuses one of two incidents": func(w *webhook) {
			w.temporal.Fn = func(_ context.Context, c call) (string, bool, error) {
				if c.options.ID == "crypto-miner:node-1:6949e5f10829" {
					return "", false, errors.New("busy")
				}
				return "run", true, nil
			}
		},
		"the quarantine fails": func(w *webhook) { w.quarantine.err = errors.New("disk full") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t)
			breakIt(w)
			recorder := w.post(t, array(event("1", "Miner", "6949e5f10829", 2), event("2", "Miner", "bbbbbbbbbbbb", 2), `{"x":1}`))
			refused(t, recorder, http.StatusServiceUnavailable)
			require.NotEmpty(t, recorder.Header().Get("Retry-After"))
			require.Len(t, w.temporal.calls, 2, "one failure does not keep the others from being told")
			require.Contains(t, w.metrics(t), `firebreak_webhook_requests_total{code="503",source="sysdig"} 1`)
		})
	}
}

func TestAConditionThatCannotBeEvaluatedIsNotMistakenForOneThatDoesNotHold(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	require.Equal(t, 1, accepted(t, w.post(t, array(event("1", "Other", "", 7)))).Ignored)
	require.Contains(t, w.log.String(), "no route matches; route owned: error evaluating")
}

func TestLogsHoldNoBodiesAndNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	w.post(t, array(event("1", "Miner", "6949e5f10829", 2), `{"x":"CANARY"}`, event("2", "Other", "", 7)))
	w.post(t, `["CANARY"`)
	w.post(t, `{}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong-s3cret") })
	log := w.log.String()
	require.Contains(t, log, `"msg":"incident opened","workflow_id":"crypto-miner:node-1:6949e5f10829"`)
	require.Contains(t, log, `"event_id":"2"`)
	require.NotContains(t, log, "CANARY")
	require.NotContains(t, log, "s3cret")
}
