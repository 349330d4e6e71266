package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/proto"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// hookToken is a secret that only the worker and the other side know.
const hookToken = "hook-token-0123456789"

// vendor is the other side of hooks: it keeps what it is told, and answers as
// hold says, if that is not nil.
type vendor struct {
	*httptest.Server
	mu   sync.Mutex
	told []call
	hold func(call)
}

// call is a request of a hook.
type call struct {
	path, key, token string
	body             map[string]any
}

func newVendor(t *testing.T, hold func(call)) *vendor {
	t.Helper()
	v := &vendor{hold: hold}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{path: r.URL.Path, key: r.Header.Get("Idempotency-Key"), token: r.Header.Get("Authorization")}
		_ = json.NewDecoder(r.Body).Decode(&c.body)
		v.mu.Lock()
		v.told = append(v.told, c)
		v.mu.Unlock()
		if v.hold != nil {
			v.hold(c)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"key":"SEC-7","token":"` + c.token + `"}`)) // some send it back
	}))
	t.Cleanup(v.Close)
	return v
}

// at are the requests to a path.
func (v *vendor) at(path string) []call {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(v.told), func(c call) bool { return c.path != path })
}

// hooks configures a ticket and an isolation at a vendor, and gives the worker
// its token.
func (f *installation) hooks(v *vendor) {
	f.configure(`temporal: {web_url: "https://temporal.example.com"}
hooks:
  ticket:
    url: "` + v.URL + `/ticket"
    headers: {Authorization: "Bearer ${HOOK_TOKEN}"}
    body: '{"summary": "{{.incident.rule.name}} on {{.incident.host.name}}: {{.moment}} {{.outcome}}", "link": {{.link}}}'
  isolate:
    url: "${HOOK_URL}"
    headers: {Authorization: "Bearer ${HOOK_TOKEN}"}
    body: '{"hosts": ["{{required .incident.host.name}}"], "why": "{{.action}}"}'`)
	f.env = append(f.env, "HOOK_TOKEN="+hookToken, "HOOK_URL="+v.URL+"/isolate")
}

const hookRoute = `, approval: {mode: none}, on_opened: [ticket], on_contained: [isolate], on_closed: [ticket]`

func TestHooksTellOtherVendorsAndTheirSecretsStayWithTheWorker(t *testing.T) {
	t.Parallel()
	v := newVendor(t, nil)
	f := prepare(t, shared, minerRoute(hookRoute), sysdigtest.Options{}, newHost())
	f.hooks(v)
	f.starter()
	f.worker()
	i := f.openMiner()
	page := i.contained()

	tickets, isolations := v.at("/ticket"), v.at("/isolate")
	require.Len(t, tickets, 2)
	require.Len(t, isolations, 1)
	require.Equal(t, minerRule+" on "+f.host.Name+": opened ", tickets[0].body["summary"])
	require.Equal(t, minerRule+" on "+f.host.Name+": closed contained", tickets[1].body["summary"])
	require.Contains(t, tickets[0].body["link"], "https://temporal.example.com/namespaces/default/workflows/crypto-miner:")
	require.Equal(t, map[string]any{"hosts": []any{f.host.Name}, "why": "KILL_CONTAINER"}, isolations[0].body)
	keys := map[string]bool{}
	for _, c := range slices.Concat(tickets, isolations) {
		require.Equal(t, "Bearer "+hookToken, c.token)
		keys[c.key] = true
	}
	require.Len(t, keys, 3, "each call has a key of its own")
	for _, text := range []string{"opened", "closed", "contained"} {
		require.True(t, told(page, signals.KindAction, text+`: 201 Created: {"key":"SEC-7","token":"***"}`), text)
	}

	raw, err := proto.Marshal(&history.History{Events: i.events()}) // payloads as they are
	require.NoError(t, err)
	require.Contains(t, string(raw), "SEC-7")
	require.NotContains(t, string(raw), hookToken)
	require.NotContains(t, string(raw), v.URL)
	shown := f.run(firebreak(), "config", "--config", f.config)
	require.Zero(t, shown.code, shown.stderr)
	require.Contains(t, shown.stdout, `Authorization: "********"`)
	require.NotContains(t, shown.stdout, hookToken)
}

// The first worker dies while the other side, which was told, has not answered
// yet. Nobody can know whether it was: it is told again, and can tell by the key.
func TestAHookWhoseWorkerDiesIsCalledAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	arrived, died := make(chan struct{}), make(chan struct{})
	var once sync.Once
	v := newVendor(t, func(call) {
		once.Do(func() {
			close(arrived)
			<-died
		})
	})
	f := prepare(t, shared, minerRoute(strings.Replace(hookRoute, "on_opened: [ticket], ", "", 1)), sysdigtest.Options{}, newHost())
	f.hooks(v)
	f.starter()
	first := f.worker()
	i := f.openMiner()
	select {
	case <-arrived:
	case <-f.ctx.Done():
		require.NoError(t, f.ctx.Err(), "waiting until the hook is called")
	}
	first.kill()
	close(died)
	f.worker()
	page := i.contained()
	isolations := v.at("/isolate")
	require.Len(t, isolations, 2)
	require.NotEmpty(t, isolations[0].key)
	require.Equal(t, isolations[0].key, isolations[1].key)
	require.Equal(t, isolations[0].body, isolations[1].body)
	require.True(t, told(page, signals.KindAction, "contained: 201 Created"))
	require.Len(t, v.at("/ticket"), 1)
}
