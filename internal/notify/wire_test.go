package notify_test

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/notify"
	"firebreak/signals"
)

// send sends a notification to URLs and returns the failures.
func send(t *testing.T, n notify.Notification, urls ...string) []string {
	t.Helper()
	var failures []string
	for _, r := range results(t, config(urls...), n) {
		if r.Failure != "" {
			failures = append(failures, r.Failure)
		}
	}
	return failures
}

func results(t *testing.T, cfg notify.Config, n notify.Notification) []notify.Result {
	t.Helper()
	sender, err := notify.New(cfg)
	require.NoError(t, err)
	var all []notify.Result
	require.NoError(t, sender.Send(t.Context(), nil, &n, func(string) bool { return false }, func(r notify.Result) { all = append(all, r) }))
	return all
}

// config tells some URLs of everything, and waits for nothing between attempts.
func config(urls ...string) notify.Config {
	cfg := notify.Config{WebURL: "https://temporal.example.com/", Namespace: "default", Backoff: []time.Duration{0, 0}}
	for i, u := range urls {
		cfg.URLs = append(cfg.URLs, notify.URL{Name: "notify.urls[" + string(rune('0'+i)) + "]", Value: u})
	}
	return cfg
}

// asked is an incident that waits for an approval.
func asked() notify.Notification {
	at := time.Date(2026, 3, 7, 3, 0, 0, 0, time.UTC)
	return notify.Notification{
		WorkflowID: "crypto-miner:node-1:6949e5f10829", RunID: "01982f2e-0000-7000-8000-000000000001",
		Playbook: "crypto-miner", Route: "crypto-miner",
		Rule: "Detect crypto miners using the Stratum protocol", Target: "node-1/6949e5f10829", Severity: 2, SeverityLabel: "high",
		State: signals.AwaitingApproval,
		Changes: []notify.Change{
			{Kind: notify.ChangeOpened, At: at, Actor: "starter", Text: "xmrig connects to a pool"},
			{Kind: notify.ChangeRequest, At: at.Add(2 * time.Second), Actor: "firebreak", Text: "approval wanted: KILL_CONTAINER"},
		},
		Pending: &signals.Request{
			ID: "5c1e0e1f9a77", Action: "KILL_CONTAINER", Need: 2, Have: []string{"ann"}, ExpiresAt: at.Add(24 * time.Hour),
			Parameters: map[string]any{"host.id": "eeee0000", "container.id": "6949e5f10829"},
		},
	}
}

const (
	askedTitle = "[awaiting-approval] Detect crypto miners using the Stratum protocol on node-1/6949e5f10829 (high)"
	askedText  = `2026-03-07 03:00:00Z starter: xmrig connects to a pool
2026-03-07 03:00:02Z firebreak: approval wanted: KILL_CONTAINER
Decision wanted: KILL_CONTAINER (container.id=6949e5f10829, host.id=eeee0000)
Request 5c1e0e1f9a77, needs 2, has ann, expires 2026-03-08T03:00:00Z
Approve: firebreak approve crypto-miner:node-1:6949e5f10829 --request 5c1e0e1f9a77 --reason WHY
Or: temporal workflow signal -w crypto-miner:node-1:6949e5f10829 --name approve --input '{"analyst":"YOU","reason":"WHY","request":"5c1e0e1f9a77"}'
To deny: reject instead of approve
Incident: https://temporal.example.com/namespaces/default/workflows/crypto-miner:node-1:6949e5f10829/01982f2e-0000-7000-8000-000000000001/user-metadata`
)

// decode decodes JSON that has nothing but what is wanted.
func decode(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(into), text)
}

// slackMessage is what Slack's incoming webhooks and chat.postMessage take.
type slackMessage struct {
	Text        string `json:"text"`
	Channel     string `json:"channel"`
	Attachments []struct {
		Text string `json:"text"`
	} `json:"attachments"`
}

func (m slackMessage) lines() string {
	var lines []string
	for _, a := range m.Attachments {
		lines = append(lines, a.Text)
	}
	return strings.Join(lines, "\n")
}

func TestAnIncomingWebhookOfSlackGetsAMessageWithALineInEachAttachment(t *testing.T) {
	t.Parallel()
	requests := answer(t, "https://hooks.slack.com/services/T00000001/B00000001/abcdefghijklmnopqrstuvw1", http.StatusOK, "ok")
	require.Empty(t, send(t, asked(), "slack://hook:T00000001-B00000001-abcdefghijklmnopqrstuvw1@webhook"))
	require.Len(t, requests, 1)
	r := <-requests
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	var m slackMessage
	decode(t, r.Body, &m)
	require.Equal(t, askedTitle, m.Text)
	require.Equal(t, askedText, m.lines())
	require.Empty(t, m.Channel)
}

func TestABotOfSlackPostsToItsChannel(t *testing.T) {
	t.Parallel()
	requests := answer(t, "https://slack.com/api/chat.postMessage", http.StatusOK, `{"ok":true}`)
	require.Empty(t, send(t, asked(), "slack://xoxb:123456789012-1234567890123-abcdefghijklmnopqrstuvwx@C001CHANNEL"))
	r := <-requests
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, "Bearer xoxb-123456789012-1234567890123-abcdefghijklmnopqrstuvwx", r.Header.Get("Authorization"))
	var m slackMessage
	decode(t, r.Body, &m)
	require.Equal(t, "C001CHANNEL", m.Channel)
	require.Equal(t, askedTitle, m.Text)
	require.Equal(t, askedText, m.lines())
}

func TestAGenericWebhookGetsJSON(t *testing.T) {
	t.Parallel()
	s, requests := server(t, http.StatusNoContent, "")
	require.Empty(t, send(t, asked(), "generic+"+s.URL+"/in?template=json&@Authorization=Bearer+abcdefgh&$team=soc&sig=x%2By"))
	r := <-requests
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, "/in?sig=x%2By", r.URL)
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, "Bearer abcdefgh", r.Header.Get("Authorization"))
	var body map[string]string
	decode(t, r.Body, &body)
	require.Equal(t, map[string]string{"title": askedTitle, "message": askedText, "team": "soc"}, body)
}

func TestAGenericWebhookWithoutATemplateGetsTheTitleAboveTheText(t *testing.T) {
	t.Parallel()
	s, requests := server(t, http.StatusOK, "")
	require.Empty(t, send(t, asked(), "generic+"+s.URL))
	r := <-requests
	require.Equal(t, "text/plain", r.Header.Get("Content-Type"))
	require.Equal(t, askedTitle+"\n"+askedText, r.Body)
}

// mailURL is a URL of shoutrrr for a mail server without TLS.
func mailURL(address, more string) string {
	return "smtp://user:passw0rd@" + address + "/?from=firebreak@example.com&to=soc@example.com&starttls=no&" + more
}

func TestMailHasItsHeadersAndTheTextAsItIs(t *testing.T) {
	t.Parallel()
	address, mails := mailServer(t, "")
	n := asked()
	n.Rule = "Krypto-Schürfer 矿工"
	require.Empty(t, send(t, n, mailURL(address, "fromname=Firebreak")))
	require.Len(t, mails, 1)
	m := <-mails
	require.Equal(t, "localhost", m.Hello)
	require.Equal(t, "\x00user\x00passw0rd", m.Login)
	require.Equal(t, "FROM:<firebreak@example.com> BODY=8BITMIME", m.From)
	require.Equal(t, []string{"TO:<soc@example.com>"}, m.To)
	for l := range strings.SplitAfterSeq(m.Raw, "\n") {
		require.True(t, l == "" || strings.HasSuffix(l, "\r\n"), "%q ends as RFC 5321 wants it", l)
		require.LessOrEqual(t, len(l), 1000, "RFC 5321 allows no more")
	}
	head, _, _ := strings.Cut(m.Raw, "\r\n\r\n")
	for _, r := range head {
		require.Less(t, r, rune(0x80), "a header is ASCII: %s", head)
	}
	parsed, err := netmail.ReadMessage(strings.NewReader(m.Raw))
	require.NoError(t, err)
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, "[awaiting-approval] Krypto-Schürfer 矿工 on node-1/6949e5f10829 (high)", subject)
	require.Equal(t, "Firebreak <firebreak@example.com>", parsed.Header.Get("From"))
	require.Equal(t, "soc@example.com", parsed.Header.Get("To"))
	require.Equal(t, "1.0", parsed.Header.Get("MIME-Version"))
	kind, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "text/plain", kind)
	require.Equal(t, "UTF-8", params["charset"])
	_, err = parsed.Header.Date()
	require.NoError(t, err)
	body, err := io.ReadAll(parsed.Body)
	require.NoError(t, err)
	require.Equal(t, askedText, strings.ReplaceAll(strings.TrimSuffix(string(body), "\r\n"), "\r\n", "\n"))
}

func TestADotAtTheBeginningOfALineOfMailIsStuffed(t *testing.T) {
	t.Parallel()
	address, mails := mailServer(t, "")
	require.NoError(t, notify.Post(mailURL(address, ""), "title", "one\n.\n.two"))
	m := <-mails
	_, body, _ := strings.Cut(m.Raw, "\r\n\r\n")
	require.Equal(t, "one\r\n..\r\n..two\r\n", body)
}
