package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"firebreak/internal/sysdig/sysdigtest"
)

// captureSize is the size of every capture.
const captureSize = 64 << 10

// backend is a simulated Sysdig that fails as chance has it. It tells what it
// refused by itself from what it was made to refuse.
type backend struct {
	sysdig *sysdigtest.Server
	chance func(name string) *rand.Rand

	mu sync.Mutex
	// relented says that nothing fails any more.
	relented bool
	random   map[string]*rand.Rand // by endpoint
	// asked counts the requests by endpoint, and failed those that failed, by
	// endpoint and mishap.
	asked  map[string]int
	failed map[string]map[string]int
	// refused are the requests that were no good.
	refused []string
}

func newBackend(t *testing.T, hosts []sysdigtest.Host, chance func(string) *rand.Rand) *backend {
	t.Helper()
	b := &backend{
		sysdig: sysdigtest.New(sysdigtest.Options{Hosts: hosts, Step: 100 * time.Millisecond, CaptureSize: captureSize}),
		chance: chance, random: map[string]*rand.Rand{}, asked: map[string]int{}, failed: map[string]map[string]int{},
	}
	server := httptest.NewServer(b)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	b.sysdig.URL = server.URL
	return b
}

// mishap is something that goes wrong with a request.
type mishap struct {
	name string
	// lost says that the request takes no effect.
	lost bool
	// late is how long the answer is held back.
	late time.Duration
	// status takes the place of the answer, retryAfter goes with it. With neither
	// status nor answered the connection breaks.
	status, retryAfter int
	// answered says that there is an answer, half of it if it is cut.
	answered, cut bool
	// only are the endpoints it happens to, if not to all.
	only []string
}

// mishaps are all equally likely. A refusal, after which somebody is asked whether
// to try again, meets only what surely takes no effect then: of an execution that
// cannot be followed any more nobody knows, and to try it again would be to carry
// it out twice.
func mishaps() []mishap {
	return []mishap{
		{name: "reset before", lost: true},
		{name: "reset after"},
		{name: "429", lost: true, status: http.StatusTooManyRequests, retryAfter: 1},
		{name: "403", lost: true, status: http.StatusForbidden, only: []string{"submit", "capture", "download", "enrich"}},
		{name: "500 before", lost: true, status: http.StatusInternalServerError},
		{name: "500 after", status: http.StatusInternalServerError},
		{name: "503 late", late: 2 * time.Second, status: http.StatusServiceUnavailable},
		{name: "slow", late: 4 * time.Second, answered: true},
		{name: "cut off", answered: true, cut: true},
	}
}

// ServeHTTP answers as Sysdig, or has the mishap that is due.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := b.draw(endpoint(r))
	body, err := io.ReadAll(r.Body) // an unread body hides that the client has gone
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer := httptest.NewRecorder()
	if m == nil || !m.lost {
		// What has arrived takes effect, whether or not anybody waits for it.
		inner := r.Clone(context.WithoutCancel(r.Context()))
		inner.Body = io.NopCloser(bytes.NewReader(body))
		b.sysdig.ServeHTTP(answer, inner)
		b.judge(r, answer)
	}
	if m == nil {
		m = &mishap{answered: true}
	}
	if pause(r.Context(), m.late) != nil {
		return
	}
	switch {
	case m.status != 0:
		if m.retryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(m.retryAfter))
		}
		http.Error(w, m.name, m.status)
	case !m.answered:
		panic(http.ErrAbortHandler)
	default:
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		whole := answer.Body.Bytes()
		if m.cut {
			_, _ = w.Write(whole[:len(whole)/2])
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(whole) // the client may have gone
	}
}

// draw is what happens to a request; nil is nothing.
func (b *backend) draw(endpoint string) *mishap {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[endpoint]++
	if b.relented {
		return nil
	}
	random := b.random[endpoint]
	if random == nil {
		random = b.chance(endpoint)
		b.random[endpoint] = random
		b.failed[endpoint] = map[string]int{}
	}
	all := mishaps()
	n := random.IntN(3 * len(all))
	if n < len(all) && (all[n].only == nil || slices.Contains(all[n].only, endpoint)) {
		b.failed[endpoint][all[n].name]++
		return &all[n]
	}
	return nil
}

// relent ends all mishaps.
func (b *backend) relent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.relented = true
}

// judge notes a request that Sysdig did not understand. That another capture of
// the host is under way is not the request's fault, nor that it does not have the
// event that the chaos made up.
func (b *backend) judge(r *http.Request, answer *httptest.ResponseRecorder) {
	if answer.Code < 400 || strings.Contains(answer.Body.String(), "outstanding captures") || strings.Contains(answer.Body.String(), "no event ") {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = append(b.refused, fmt.Sprintf("%s %s: %d %s", r.Method, r.URL, answer.Code, answer.Body))
}

// endpoint names what a request asks for.
func endpoint(r *http.Request) string {
	switch at := r.URL.Path; {
	case r.Method == http.MethodPost && at == executions:
		return "submit"
	case at == executions:
		return "find"
	case strings.HasPrefix(at, executions):
		return "follow"
	case r.Method == http.MethodPost && at == captures:
		return "capture"
	case path.Base(at) == "download":
		return "download"
	case strings.HasPrefix(at, captures):
		return "await"
	case strings.HasSuffix(at, "/permissions"):
		// A refusal would leave them unknown, and an analyst would be asked.
		return "permissions"
	case at == "/api/sysdig":
		return "find capture"
	default:
		return "enrich"
	}
}
