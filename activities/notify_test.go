package activities_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"firebreak/activities"
	"firebreak/internal/notify"
	"firebreak/signals"
)

// webhook is a channel that counts its messages.
type webhook struct {
	URL      string
	Messages atomic.Int64
	Last     atomic.Value // string
}

// newWebhook answers after before, if that is not nil, with a status.
func newWebhook(t *testing.T, status int, before func()) *webhook {
	t.Helper()
	w := &webhook{}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Messages.Add(1)
		w.Last.Store(string(body))
		if before != nil {
			before()
		}
		rw.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	w.URL = "generic+" + s.URL + "/planted-secret?template=json"
	return w
}

// newNotifications runs the activity with some webhooks, three attempts and this
// time between them.
func newNotifications(t *testing.T, between time.Duration, webhooks ...*webhook) *bench {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	discard := slog.New(slog.DiscardHandler)
	suite.SetLogger(log.NewStructuredLogger(discard))
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(time.Minute)
	acts := &activities.Activities{Log: discard}
	if len(webhooks) > 0 {
		cfg := notify.Config{Backoff: []time.Duration{between, between}}
		for i, w := range webhooks {
			cfg.URLs = append(cfg.URLs, notify.URL{Name: "notify.urls[" + string(rune('0'+i)) + "]", Value: w.URL})
		}
		sender, err := notify.New(cfg)
		require.NoError(t, err)
		acts.Notifier = sender
	}
	env.RegisterActivity(acts)
	return &bench{TestActivityEnvironment: env}
}

func opened() activities.Notification {
	return activities.Notification{
		WorkflowID: "capture:node-1:host", RunID: "r", Playbook: "capture", Route: "capture", Rule: "Shell", Target: "node-1",
		Severity: 2, SeverityLabel: "high", State: signals.Open,
		Changes: []activities.Change{{Kind: activities.ChangeOpened, At: time.Unix(0, 0).UTC(), Actor: "starter", Text: "a shell"}},
	}
}

func TestEveryChannelIsToldOnce(t *testing.T) {
	t.Parallel()
	one, two := newWebhook(t, http.StatusOK, nil), newWebhook(t, http.StatusOK, nil)
	b := newNotifications(t, 0, one, two)
	failures, err := run[[]string](b, a.Notify, opened())
	require.NoError(t, err)
	require.Empty(t, failures)
	for _, w := range []*webhook{one, two} {
		require.EqualValues(t, 1, w.Messages.Load())
		require.JSONEq(t, `{"title":"[open] Shell on node-1 (high)","message":"1970-01-01 00:00:00Z starter: a shell"}`, w.Last.Load().(string))
	}
}

func TestAChannelThatFailsIsALineAndNoFailure(t *testing.T) {
	t.Parallel()
	good, bad := newWebhook(t, http.StatusOK, nil), newWebhook(t, http.StatusInternalServerError, nil)
	b := newNotifications(t, 0, good, bad)
	failures, err := run[[]string](b, a.Notify, opened())
	require.NoError(t, err)
	require.Len(t, failures, 1)
	require.Regexp(t, `^generic 127\.0\.0\.1:\d+ \(notify\.urls\[1\]\): .*500 Internal Server Error$`, failures[0])
	require.NotContains(t, failures[0], "planted-secret")
	require.EqualValues(t, 3, bad.Messages.Load())
	require.EqualValues(t, 1, good.Messages.Load())
}

func TestWithoutChannelsALineSaysSo(t *testing.T) {
	t.Parallel()
	failures, err := run[[]string](newNotifications(t, 0), a.Notify, opened())
	require.NoError(t, err)
	require.Equal(t, []string{"notifications are not configured on this worker"}, failures)
}

func TestARetryTellsOnlyWhoWasNotTold(t *testing.T) {
	t.Parallel()
	one, two, three := newWebhook(t, http.StatusOK, nil), newWebhook(t, http.StatusOK, nil), newWebhook(t, http.StatusOK, nil)
	b := newNotifications(t, 0, one, two, three)
	b.SetHeartbeatDetails(map[string]string{"notify.urls[0]": "", "notify.urls[2]": "generic: it failed"})
	failures, err := run[[]string](b, a.Notify, opened())
	require.NoError(t, err)
	require.Equal(t, []string{"generic: it failed"}, failures, "what failed before is told, too")
	require.Zero(t, one.Messages.Load())
	require.EqualValues(t, 1, two.Messages.Load())
	require.Zero(t, three.Messages.Load())
}

func TestAWorkerThatStopsTellsTheNextWhoWasTold(t *testing.T) {
	t.Parallel()
	arrived, stop := make(chan struct{}), make(chan struct{})
	good := newWebhook(t, http.StatusOK, func() { close(arrived) })
	bad := newWebhook(t, http.StatusInternalServerError, func() { <-arrived; close(stop) })
	b := newNotifications(t, time.Hour, good, bad)
	b.SetWorkerStopChannel(stop)
	var mu sync.Mutex
	var last map[string]string
	b.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		mu.Lock()
		defer mu.Unlock()
		_ = details.Get(&last)
	})
	_, err := run[[]string](b, a.Notify, opened())
	require.ErrorContains(t, retried(t, err), "the worker stops")
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[string]string{"notify.urls[0]": ""}, last)
	require.EqualValues(t, 1, bad.Messages.Load())
}

func TestANotificationIsSnakeCaseAndLeavesOutWhatIsNotThere(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(opened())
	require.NoError(t, err)
	require.JSONEq(t, `{"workflow_id":"capture:node-1:host","run_id":"r","playbook":"capture","route":"capture","rule":"Shell","target":"node-1",
		"severity":2,"severity_label":"high","state":"open",
		"changes":[{"kind":"opened","at":"1970-01-01T00:00:00Z","actor":"starter","text":"a shell"}]}`, string(text))
	n := opened()
	n.Pending, n.NeedsFields, n.Groups = &signals.Request{ID: "0a1b"}, true, []string{"soc"}
	text, err = json.Marshal(n)
	require.NoError(t, err)
	var back activities.Notification
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, n.Pending, back.Pending)
	require.Contains(t, string(text), `"needs_fields":true,"groups":["soc"]`)
}
