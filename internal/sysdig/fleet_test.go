package sysdig_test

import (
	"net/http"
	"strings"
	"testing"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestConnectedAgentsAreListed(t *testing.T) {
	t.Parallel()
	want := []sysdig.Agent{
		{"99001", "55001", "ip-10-0-1-100.us-west-2.compute.internal", "aa:bb:cc:dd:ee:01", "host-uid-aaaa-0001", "prod-us-west-2"},
		{"99002", "55001", "ip-10-0-2-200.us-west-2.compute.internal", "aa:bb:cc:dd:ee:02", "host-uid-aaaa-0002", "staging-us-east-1"},
	}
	got, err := scripted(t, answer(t, 200, "agents-connected-response.json")).ConnectedAgents(t.Context())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))

	_, c := simulated(t, sysdigtest.Options{})
	got, err = c.ConnectedAgents(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, sysdigtest.DefaultHosts()[0].ID, got[0].HostID)
}

func TestConnectedAgentsMayComeAsABareArray(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`[{"id":"1","attributes":{"hostName":"a"}}]`: 1,
		`{"agents":[{"id":1},{"id":2}]}`:             2,
		`{"agents":null}`:                            0,
		`{"hosts":[]}`:                               -1,
	} {
		c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
		agents, err := c.ConnectedAgents(t.Context())
		if want < 0 {
			require.Error(t, err, body)
			continue
		}
		require.NoError(t, err, body)
		require.Len(t, agents, want, body)
		if want > 0 {
			require.Equal(t, "1", agents[0].ID, body)
		}
		if want == 1 {
			require.Equal(t, "a", agents[0].HostName)
		}
	}
}

func TestMeIsTheOwnerOfTheToken(t *testing.T) {
	t.Parallel()
	want := &sysdig.User{ID: 12345, Username: "sysdig-xsoar-service", CustomerID: "55001", CustomerName: "Acme Corp"}
	got, err := scripted(t, answer(t, 200, "users-me-response.json")).Me(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got)

	_, c := simulated(t, sysdigtest.Options{CustomerID: 7, CustomerName: "Seven"})
	got, err = c.Me(t.Context())
	require.NoError(t, err)
	require.Equal(t, "7", got.CustomerID)
	require.Equal(t, "Seven", got.CustomerName)

	_, err = scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"user":{}}`)) }).Me(t.Context())
	require.ErrorContains(t, err, "get current user: GET /api/users/me: read answer: the user has no numeric id")
}

func TestListOfAgentsIsDecodedAsItArrives(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want int // -1: an error
	}{
		"unknown keys before and after": {`{"total":{"a":[1,{"b":2}]},"agents":[{"id":1,"attributes":{"x":{"y":[]}}}],"next":null}`, 1},
		"more than 16 MiB":              {`{"agents":[{"id":1,"note":"` + strings.Repeat("x", 17<<20) + `"},{"id":2}]}`, 2},
		"an empty array":                {`[]`, 0},
		"it breaks off":                 {`{"agents":[{"id":1},{"id":2}`, -1},
		"it breaks off at last":         {`{"agents":[{"id":1}]`, -1},
		"agents is no array":            {`{"agents":{}}`, -1},
		"a text":                        {`"agents"`, -1},
		"nothing":                       {``, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(test.body)) })
			agents, err := c.Directory().Agents(t.Context())
			if test.want < 0 {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, agents.Len())
		})
	}
}
