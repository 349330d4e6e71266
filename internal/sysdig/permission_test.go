package sysdig_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
)

func TestPermissionsOfTheToken(t *testing.T) {
	t.Parallel()
	_, c := simulated(t, sysdigtest.Options{Deny: []sysdigtest.Permission{sysdigtest.ContainmentRead}})
	granted, err := c.Permissions(t.Context())
	require.NoError(t, err)
	require.True(t, granted.Has("containment-response-actions.exec", "data-gathering-response-actions.read"))
	require.False(t, granted.Has("containment-response-actions.exec", "containment-response-actions.read"))
	require.False(t, granted.Has("containment-response-actions"), "a prefix is not a name")
}

func TestUnlistedPermissionsAreNotATransientError(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status  int
		body    string
		unknown bool
	}{
		"no endpoint":         {404, "", true},
		"forbidden":           {403, `{"errors":[]}`, true},
		"method not allowed":  {405, "", true},
		"not implemented":     {501, "", true},
		"a page":              {200, "<html></html>", true},
		"no list":             {200, `{"customerId":1}`, true},
		"another shape":       {200, `{"permissions":{"read":true}}`, true},
		"an array":            {200, `["x"]`, true},
		"rate limit":          {429, "", false},
		"internal error":      {500, "", false},
		"unavailable":         {503, "", false},
		"redirect":            {302, "", false},
		"permissions":         {200, `{"permissions":["a"]}`, false},
		"a list without name": {200, `{"permissions":null}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			_, err := c.Permissions(t.Context())
			require.Equal(t, tc.unknown, errors.Is(err, sysdig.ErrPermissionsUnknown), "%v", err)
			require.Equal(t, tc.status == 200 && !tc.unknown, err == nil, "%v", err)
		})
	}
	sim, c := simulated(t, sysdigtest.Options{})
	sim.Fault(sysdigtest.Fault{Truncate: true})
	_, err := c.Permissions(t.Context())
	require.Error(t, err)
	require.NotErrorIs(t, err, sysdig.ErrPermissionsUnknown, "the answer broke off")
}

func TestPermissionsAreNoOlderThanTheCall(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, sysdigtest.Options{})
	const read = "containment-response-actions.read"
	granted, err := c.Permissions(t.Context())
	require.NoError(t, err)
	require.True(t, granted.Has(read))

	sim.Deny(sysdigtest.ContainmentRead)
	granted, err = c.Permissions(t.Context())
	require.NoError(t, err)
	require.False(t, granted.Has(read), "withdrawn since")
}

// transport answers requests without a network, so that time can be simulated.
type transport func(*http.Request) string

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(f(r))), Request: r}, nil
}

func TestConcurrentCallersShareOnePermissionRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := newClient(t, sysdig.Config{AppURL: "http://app", APIURL: "http://api", Token: token})
		c.UseTransport(transport(func(*http.Request) string {
			asked.Add(1)
			time.Sleep(time.Second) // of the bubble's clock
			return `{"permissions":["a"]}`
		}))
		var group sync.WaitGroup
		ask := func() {
			group.Go(func() {
				granted, err := c.Permissions(t.Context())
				if err != nil || !granted.Has("a") {
					t.Errorf("granted %v, %v", granted, err)
				}
			})
		}
		ask()
		time.Sleep(time.Millisecond)
		for range 20 {
			ask() // later than the request under way
		}
		group.Wait()
		require.EqualValues(t, 2, asked.Load(), "callers that come during a request share the next one")
		ask()
		group.Wait()
		require.EqualValues(t, 3, asked.Load(), "an answer is not kept")
	})
}
