package activities_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"firebreak/activities"
	"firebreak/internal/config"
	"firebreak/internal/hooks"
)

// vendor is a service that answers the requests to it with one status after the
// other, and keeps their idempotency keys.
type vendor struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	keys     []string
}

func newVendor(t *testing.T, statuses ...int) *vendor {
	t.Helper()
	v := &vendor{statuses: statuses}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.keys = append(v.keys, r.Header.Get("Idempotency-Key"))
		status := v.statuses[min(len(v.keys), len(v.statuses))-1]
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"key":"SEC-7"}`))
	}))
	t.Cleanup(v.Close)
	return v
}

// newHooks runs the activity with a hook, which route r calls when an incident is
// opened.
func newHooks(t *testing.T, v *vendor) *bench {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	discard := slog.New(slog.DiscardHandler)
	suite.SetLogger(log.NewStructuredLogger(discard))
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(time.Minute)
	body, err := hooks.Parse(hooks.DefaultBody)
	require.NoError(t, err)
	sender := hooks.New(hooks.Config{Hooks: []hooks.Hook{{
		Name: "jira", URL: config.Literal(v.URL), Body: body, Routes: map[hooks.Moment][]string{hooks.Opened: {"r"}},
	}}})
	env.RegisterActivity(&activities.Activities{Log: discard, Hooks: sender})
	return &bench{TestActivityEnvironment: env}
}

func openedHook() activities.HookInput {
	return activities.HookInput{Hook: "jira", Key: "key-1", Event: activities.HookEvent{Moment: activities.MomentOpened, Route: "r"}}
}

func TestAHookThatFailsForNowIsCalledAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		text   string
	}{
		"the service is down": {http.StatusInternalServerError, `500 Internal Server Error: {"key":"SEC-7"}`},
		"the service is busy": {http.StatusTooManyRequests, `429 Too Many Requests: {"key":"SEC-7"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, tc.status, http.StatusCreated)
			_, err := run[activities.HookAnswer](newHooks(t, v), a.CallHook, openedHook())
			var failed *temporal.ApplicationError
			require.ErrorAs(t, err, &failed)
			require.False(t, failed.NonRetryable())
			require.Equal(t, activities.ErrHook, failed.Type())
			require.Equal(t, tc.text, failed.Message())
			require.Equal(t, 90*time.Second, failed.NextRetryDelay(), "it says when")
			answer, err := run[activities.HookAnswer](newHooks(t, v), a.CallHook, openedHook())
			require.NoError(t, err)
			require.Equal(t, activities.HookAnswer{Status: "201 Created", Excerpt: `{"key":"SEC-7"}`}, answer)
			require.Equal(t, []string{"key-1", "key-1"}, v.keys)
		})
	}
}

func TestAHookThatIsRefusedIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		edit   func(*activities.HookInput)
		want   string
	}{
		"bad request":       {http.StatusBadRequest, nil, `400 Bad Request: {"key":"SEC-7"}`},
		"redirect":          {http.StatusFound, nil, `302 Found: redirects are not followed; want the URL of the place itself`},
		"unknown hook":      {http.StatusOK, func(in *activities.HookInput) { in.Hook = "edr" }, `this worker has no hook of that name; want it in its configuration under hooks`},
		"a route's own":     {http.StatusOK, func(in *activities.HookInput) { in.Event.Route = "mine" }, `on this worker no route "mine" calls it when an incident is opened; want it in that route's on_opened`},
		"at another moment": {http.StatusOK, func(in *activities.HookInput) { in.Event.Moment = activities.MomentClosed }, `on this worker no route "r" calls it when an incident is closed; want it in that route's on_closed`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := openedHook()
			if tc.edit != nil {
				tc.edit(&in)
			}
			_, err := run[activities.HookAnswer](newHooks(t, newVendor(t, tc.status)), a.CallHook, in)
			var failed *temporal.ApplicationError
			require.ErrorAs(t, err, &failed)
			require.True(t, failed.NonRetryable())
			require.Equal(t, tc.want, failed.Message())
		})
	}
}
