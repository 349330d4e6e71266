package activities_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"firebreak/activities"
	"firebreak/internal/sysdig"
)

// call is a request to Sysdig, and what an activity makes of its failure.
type call struct {
	name    string
	changes bool
	// file says that a success has no body that could be misread.
	file bool
	send func(context.Context, *sysdig.Client) error
	to   func(operation string, err error) error
}

func calls() []call {
	return []call{
		{"submit", true, false, func(ctx context.Context, c *sysdig.Client) error {
			_, err := c.Submit(ctx, sysdig.Submission{ActionType: "KILL_CONTAINER"})
			return err
		}, activities.ToTemporal},
		{"undo", true, false, func(ctx context.Context, c *sysdig.Client) error {
			_, err := c.Undo(ctx, "1", "caller")
			return err
		}, activities.ToTemporal},
		{"create capture", true, false, func(ctx context.Context, c *sysdig.Client) error {
			_, err := c.CreateCapture(ctx, sysdig.CaptureRequest{Duration: time.Second})
			return err
		}, activities.ToTemporal},
		{"look up", false, false, func(ctx context.Context, c *sysdig.Client) error {
			_, err := c.ExecutionsByCaller(ctx, "caller", time.Now().Add(-time.Minute), time.Now())
			return err
		}, activities.Unknowable},
		{"follow", false, false, func(ctx context.Context, c *sysdig.Client) error {
			_, err := c.Execution(ctx, "1")
			return err
		}, activities.Unknowable},
		{"poll capture", false, false, func(ctx context.Context, c *sysdig.Client) error {
			_, err := c.Capture(ctx, 1)
			return err
		}, activities.ToTemporal},
		{"download capture", false, true, func(ctx context.Context, c *sysdig.Client) error {
			body, err := c.DownloadCapture(ctx, 1, time.Minute)
			if err == nil {
				err = body.Close()
			}
			return err
		}, activities.ToTemporal},
		{"download acquired file", false, true, func(ctx context.Context, c *sysdig.Client) error {
			body, err := c.AcquiredFile(ctx, "1", time.Minute)
			if err == nil {
				err = body.Close()
			}
			return err
		}, activities.ToTemporal},
	}
}

// outcome is what the status codes of a range mean.
type outcome struct {
	from, to int
	// changes and reads are the types of the errors that end an activity; "" for
	// one that is retried.
	changes, reads string
	// effect says that what was to change may have changed.
	effect bool
}

const again = ""

func outcomes() []outcome {
	const refused, forbidden, notFound = activities.ErrRefused, activities.ErrForbidden, activities.ErrNotFound
	return []outcome{
		{200, 299, again, again, true}, // with a body that cannot be read
		{300, 399, again, again, true}, // not followed
		{400, 400, refused, refused, false},
		{401, 401, forbidden, forbidden, false},
		{402, 402, refused, refused, false},
		{403, 403, forbidden, forbidden, false},
		{404, 404, notFound, notFound, false},
		{405, 407, refused, refused, false},
		{408, 408, again, again, true},
		{409, 409, refused, again, false},
		{410, 410, notFound, notFound, false},
		{411, 422, refused, refused, false},
		{423, 423, again, again, false},
		{424, 424, refused, refused, false},
		{425, 425, again, again, false},
		{426, 428, refused, refused, false},
		{429, 429, again, again, false},
		{430, 499, refused, refused, false},
		{500, 599, again, again, true},
	}
}

// answering returns clients of a Sysdig that answers everything with a status and a
// page that is not Sysdig's. Each client is new: one that was asked to wait waits.
func answering(t *testing.T) (newClient func() *sysdig.Client, answer func(code int, retryAfter string)) {
	t.Helper()
	var code atomic.Int64
	var retryAfter atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if after := retryAfter.Load().(string); after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(int(code.Load()))
		if code.Load() != http.StatusNoContent && code.Load() != http.StatusNotModified {
			fmt.Fprint(w, "<html>busy</html>")
		}
	}))
	t.Cleanup(server.Close)
	newClient = func() *sysdig.Client {
		c, err := sysdig.NewClient(sysdig.Config{AppURL: server.URL, APIURL: server.URL, Token: "t"})
		require.NoError(t, err)
		return c
	}
	return newClient, func(status int, after string) {
		code.Store(int64(status))
		retryAfter.Store(after)
	}
}

func TestEveryAnswerIsRetriedOrFinalAndMayHaveTakenEffectOrNot(t *testing.T) {
	t.Parallel()
	newClient, answer := answering(t)
	client := newClient()
	sameUnlessLimited := func(code int) *sysdig.Client {
		if code == http.StatusTooManyRequests {
			return newClient()
		}
		return client
	}
	next := 200
	for _, want := range outcomes() {
		require.Equal(t, next, want.from, "every code has its place")
		next = want.to + 1
		for code := want.from; code <= want.to; code++ {
			for _, call := range calls() {
				name := call.name + " answered " + strconv.Itoa(code)
				answer(code, "7")
				err := call.send(t.Context(), sameUnlessLimited(code))
				if code < 300 && call.file {
					require.NoError(t, err, name)
					continue
				}
				require.Error(t, err, name)
				require.Equal(t, call.changes && want.effect, sysdig.MayHaveTakenEffect(err), name)

				kind := want.reads
				if call.changes {
					kind = want.changes
				}
				mapped := call.to(call.name, err)
				require.ErrorContains(t, mapped, call.name+": ", name)
				app, ok := mapped.(*temporal.ApplicationError) //nolint:errorlint // Temporal looks no deeper for the delay
				if ok {
					require.Equal(t, kind != again, app.NonRetryable(), name)
				} else {
					require.Equal(t, again, kind, name)
				}
				if kind == again && code >= 300 {
					require.Equal(t, 7*time.Second, app.NextRetryDelay(), name)
				}
				if call.name == "look up" || call.name == "follow" {
					require.Equal(t, activities.ErrAmbiguous, app.Type(), name)
				} else if kind != again {
					require.Equal(t, kind, app.Type(), name)
				}
			}
		}
	}
	require.Equal(t, 600, next)
}

func TestSysdigSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	newClient, answer := answering(t)
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusLocked, http.StatusRequestTimeout, http.StatusFound} {
		for header, want := range map[string]time.Duration{
			"":      0, // with the backoff of the retry policy
			"0":     0,
			"-5":    0,
			"soon":  0,
			"1":     time.Second,
			"14400": sysdig.MaxRetryAfter,
			"20000": sysdig.MaxRetryAfter,
			time.Now().Add(24 * time.Hour).UTC().Format(http.TimeFormat):  sysdig.MaxRetryAfter,
			time.Now().Add(-24 * time.Hour).UTC().Format(http.TimeFormat): 0,
		} {
			for _, call := range calls() {
				answer(code, header)
				var app *temporal.ApplicationError
				require.ErrorAs(t, call.to(call.name, call.send(t.Context(), newClient())), &app)
				require.False(t, app.NonRetryable())
				require.Equal(t, want, app.NextRetryDelay(), "%s answered %d, Retry-After: %s", call.name, code, header)
			}
		}
	}
}
