package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
)

// starter starts a starter, to which post talks from now on.
func (f *installation) starter() {
	f.t.Helper()
	f.launchStarter("127.0.0.1:0")
	f.starterURL = "http://" + f.listening()
}

// restartStarter starts a starter again that has ended, where senders expect it.
func (f *installation) restartStarter() {
	f.t.Helper()
	f.relaunchStarter()
	f.listening()
}

// relaunchStarter is restartStarter that does not wait until somebody listens.
func (f *installation) relaunchStarter() {
	f.t.Helper()
	old, err := url.Parse(f.starterURL)
	require.NoError(f.t, err)
	f.launchStarter(old.Host)
}

func (f *installation) launchStarter(listen string) {
	f.t.Helper()
	f.starterProc = start(f.t, "starter", slices.Concat(f.envOf("starter"), f.starterEnv), firebreak(), f.starterCommand(listen)...)
}

// starterCommand are the arguments of a starter that listens on an address.
func (f *installation) starterCommand(listen string) []string {
	return slices.Concat([]string{"starter", "--listen", listen}, f.args, f.starterArgs)
}

// listening waits until the starter listens, and returns where.
func (f *installation) listening() string {
	f.t.Helper()
	address, err := f.starterProc.await(f.ctx, `"address":"([^"]+)"`)
	require.NoError(f.t, err)
	return address
}

// answer is the starter's, as far as it matters here.
type answer struct {
	Status                    int
	Opened, Joined, Journaled []reference
	Duplicate                 int

	header http.Header
}

// taken reports whether the starter has taken responsibility for the events.
func (a answer) taken() bool { return a.Status/100 == 2 }

// reference is an incident as the starter names it.
type reference struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	Route      string `json:"route"`
}

// post sends events to the starter.
func (f *installation) post(events ...event) answer {
	f.t.Helper()
	a, err := f.send(f.ctx, events...)
	require.NoError(f.t, err)
	return a
}

// send sends events to the starter, or to the one of several whose turn it is, from any goroutine. After an error nobody
// knows what became of them.
func (f *installation) send(ctx context.Context, events ...event) (answer, error) {
	body, err := json.Marshal(events)
	if err != nil {
		return answer{}, fmt.Errorf("encode events: %w", err)
	}
	starters := append([]string{f.starterURL}, f.otherStarters...)
	starter := starters[f.sent.Add(1)%int64(len(starters))]
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, starter+"/v1/events/"+cmp.Or(f.source, "sysdig"), bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("send events: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+webhookToken)
	response, err := f.http.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("send events: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("send events: read answer: %w", err)
	}
	// A problem tells its status as well.
	a := answer{Status: response.StatusCode, header: response.Header}
	if err := json.Unmarshal(text, &a); err != nil {
		return answer{}, fmt.Errorf("send events: decode answer %q: %w", text, err)
	}
	return a, nil
}

// senderPatience is how long a sender waits until it sends again.
const senderPatience = 50 * time.Millisecond

// deliver sends events as senders do that lose nothing: again and again, until
// the starter has taken them. Refused is told every other answer, if it is not
// nil. It may be called from any goroutine.
func (f *installation) deliver(ctx context.Context, refused func(answer), events ...event) (answer, error) {
	for {
		a, err := f.send(ctx, events...)
		switch {
		case ctx.Err() != nil:
			return a, errors.Join(context.Cause(ctx), err)
		case err == nil && a.taken():
			return a, nil
		case err == nil && a.Status != http.StatusServiceUnavailable && a.Status != http.StatusTooManyRequests:
			return a, fmt.Errorf("the starter answered %d to a good event", a.Status)
		case err == nil && refused != nil:
			refused(a)
		}
		if err := pause(ctx, senderPatience); err != nil {
			return a, err
		}
	}
}

// pause is time that passes in the world outside.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// probe is the status with which the starter answers a GET, 0 if it does not
// answer.
func (f *installation) probe(path string) int {
	status, _ := f.get(path)
	return status
}

// awaitReady waits until the starter can take events: it may listen before it
// has found Temporal.
func (f *installation) awaitReady() {
	f.t.Helper()
	f.await("the starter is ready", func() bool { return f.probe("/readyz") == http.StatusOK })
}

// metric is the value of one of the starter's metrics, and false when there is
// none.
func (f *installation) metric(name string) (float64, bool) {
	_, text := f.get("/metrics")
	match := regexp.MustCompile(`(?m)^` + name + `(?:\{[^}]*\})? (\S+)$`).FindStringSubmatch(text)
	if match == nil {
		return 0, false
	}
	value, err := strconv.ParseFloat(match[1], 64)
	return value, err == nil
}

func (f *installation) get(path string) (status int, body string) {
	request, err := http.NewRequestWithContext(f.ctx, http.MethodGet, f.starterURL+path, nil)
	if err != nil {
		return 0, ""
	}
	response, err := f.http.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(text)
}

// journal gives the starter a journal, from its next start on.
func (f *installation) journal() {
	f.starterArgs = append(f.starterArgs, "--journal", f.t.TempDir())
}

// journalDepth is what waits in the starter's journal, and -1 while nobody
// knows.
func (f *installation) journalDepth() float64 {
	depth, ok := f.metric("firebreak_journal_depth")
	if !ok {
		return -1
	}
	return depth
}
