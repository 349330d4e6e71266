package e2e_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/internal/guard"
	"firebreak/internal/notify"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
	"firebreak/worker"
)

// notifies is a workflow that notifies as a playbook does.
func notifies(ctx workflow.Context, taskQueue string) ([]string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: signals.NotificationQueue(taskQueue), StartToCloseTimeout: time.Minute, HeartbeatTimeout: 30 * time.Second,
	})
	var a *activities.Activities
	var failures []string
	err := workflow.ExecuteActivity(ctx, a.Notify, activities.Notification{
		WorkflowID: "capture:node-1:host", RunID: "r", Route: "capture", State: signals.Open,
	}).Get(ctx, &failures)
	return failures, err
}

func TestTheNextWorkerNotifiesOnlyWhoWasNotNotified(t *testing.T) {
	t.Parallel()
	const taskQueue = "notification"
	var good, bad atomic.Int64
	arrived, refused := make(chan struct{}), make(chan struct{})
	one := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if good.Add(1) == 1 {
			close(arrived)
		}
	}))
	t.Cleanup(one.Close)
	two := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if bad.Add(1) == 1 {
			<-arrived
			w.WriteHeader(http.StatusServiceUnavailable)
			close(refused)
		}
	}))
	t.Cleanup(two.Close)
	discard := slog.New(slog.DiscardHandler)
	start := func() *worker.Worker {
		// Between attempts there is time to stop.
		sender, err := notify.New(notify.Config{Backoff: []time.Duration{time.Hour}, URLs: []notify.URL{
			{Name: "notify.urls[0]", Value: "generic+" + one.URL}, {Name: "notify.urls[1]", Value: "generic+" + two.URL},
		}})
		require.NoError(t, err)
		w := worker.New(shared.Client, taskQueue, 0, worker.Version{}, &activities.Activities{Notifier: sender, Log: discard},
			guard.NewWatch(shared.Client, "default", taskQueue, discard), func(error) {})
		require.NoError(t, w.Start(t.Context(), func(context.Context) error { return nil }))
		return w
	}
	playbooks := sdkworker.New(shared.Client, taskQueue+"-test", sdkworker.Options{})
	playbooks.RegisterWorkflow(notifies)
	require.NoError(t, playbooks.Start())
	t.Cleanup(playbooks.Stop)

	first := start()
	run, err := shared.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: taskQueue + "-test"}, notifies, taskQueue)
	require.NoError(t, err)
	<-refused
	first.Stop()
	t.Cleanup(start().Stop)
	var failures []string
	require.NoError(t, run.Get(t.Context(), &failures))
	require.Empty(t, failures)
	require.EqualValues(t, 1, good.Load())
	require.EqualValues(t, 2, bad.Load())
}

// channel is somebody who is notified, by a webhook that answers as it is told.
type channel struct {
	*httptest.Server
	mu       sync.Mutex
	messages []string
}

func newChannel(t *testing.T, status int) *channel {
	t.Helper()
	c := &channel{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct{ Title, Message string }
		_ = json.NewDecoder(r.Body).Decode(&message)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.messages = append(c.messages, message.Title+"\n"+message.Message)
		w.WriteHeader(status)
	}))
	t.Cleanup(c.Close)
	return c
}

// url is where the channel is, for shoutrrr.
func (c *channel) url() string { return "generic+" + c.URL + "/?template=json" }

// got counts the messages that hold a text.
func (c *channel) got(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := 0
	for _, message := range c.messages {
		if strings.Contains(message, text) {
			count++
		}
	}
	return count
}

func TestPeopleAreNotifiedAndAChannelThatFailsBlocksNothing(t *testing.T) {
	t.Parallel()
	soc, leads, broken := newChannel(t, http.StatusOK), newChannel(t, http.StatusOK), newChannel(t, http.StatusNotFound)
	f := prepare(t, shared, minerRoute(`, approval: {mode: one, groups: [soc], escalate_after: 1s, escalate_to: [leads], expire_after: 1h}`), sysdigtest.Options{}, newHost())
	f.configure("temporal: {web_url: 'https://temporal.example.com'}\napprovals: {groups: {soc: [ann], leads: [carl]}}\n" +
		"notify: {urls: ['" + soc.url() + "', '" + broken.url() + "'], groups: {leads: ['" + leads.url() + "']}}")
	f.starter()
	worker := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	request := i.show().Pending.ID
	f.await("the request is known", func() bool { return soc.got("firebreak approve "+i.WorkflowID+" --request "+request) > 0 })
	require.Equal(t, 1, soc.got("opened by event"))
	require.Positive(t, soc.got("https://temporal.example.com/namespaces/default/workflows/"), "a link, to Temporal Web")
	f.await("the request is escalated", func() bool { return leads.got("escalated to leads") == 1 })
	require.Zero(t, leads.got("opened by event"), "they are told from the escalation on")
	worker.kill()
	f.worker()
	i.approve()
	page := i.contained()
	for _, text := range []string{"[contained]", "approved KILL_CONTAINER: confirmed", "KILL_CONTAINER COMPLETED", "closed: contained"} {
		require.Positive(t, soc.got(text), text)
	}
	require.Equal(t, 1, soc.got("closed: contained"))
	require.True(t, told(page, signals.KindNotification, "notification failed: generic"))
	for _, entry := range page.WarRoom {
		require.NotContains(t, entry.Text, broken.URL, "the address of a channel is a secret")
	}
}
