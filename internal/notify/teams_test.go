package notify_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/notify"
)

// teamsSecret is the signature in a workflow's URL, which is the right to post.
const teamsSecret = "V2ESyij_gAljSoUQHvZoZYzlpAoAXExyOl26dlf1xHE"

// teamsQuery is the query of a workflow's URL.
const teamsQuery = "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=" + teamsSecret

// teamsURL returns the URL of a workflow without its query, and that of its channel.
func teamsURL(name string) (workflow, channel string) {
	workflow = "https://prod-01.westeurope.logic.azure.com/workflows/" + name + "/triggers/manual/paths/invoke"
	return workflow, "teams+" + workflow + teamsQuery
}

// teamsMessage is what the flow "Send webhook alerts to a channel" takes.
type teamsMessage struct {
	Type        string `json:"type"`
	Attachments []struct {
		ContentType string `json:"contentType"`
		Content     struct {
			Schema  string `json:"$schema"`
			Type    string `json:"type"`
			Version string `json:"version"`
			Teams   struct {
				Width string `json:"width"`
			} `json:"msteams"`
			Body []struct {
				Type    string `json:"type"`
				Spacing string `json:"spacing"`
				Inlines []struct {
					Type   string `json:"type"`
					Text   string `json:"text"`
					Size   string `json:"size"`
					Weight string `json:"weight"`
				} `json:"inlines"`
			} `json:"body"`
			Actions []struct {
				Type  string `json:"type"`
				Title string `json:"title"`
				URL   string `json:"url"`
			} `json:"actions"`
		} `json:"content"`
	} `json:"attachments"`
}

// lines returns the texts of the card, the title first. A TextRun shows no Markdown.
func (m *teamsMessage) lines(t *testing.T) []string {
	t.Helper()
	require.Equal(t, "message", m.Type)
	require.Len(t, m.Attachments, 1)
	require.Equal(t, "application/vnd.microsoft.card.adaptive", m.Attachments[0].ContentType)
	card := m.Attachments[0].Content
	require.Equal(t, "AdaptiveCard", card.Type)
	require.Equal(t, "1.4", card.Version)
	var lines []string
	for _, block := range card.Body {
		require.Equal(t, "RichTextBlock", block.Type)
		require.Len(t, block.Inlines, 1)
		require.Equal(t, "TextRun", block.Inlines[0].Type)
		lines = append(lines, block.Inlines[0].Text)
	}
	return lines
}

func TestTeamsGetsAnAdaptiveCard(t *testing.T) {
	t.Parallel()
	t.Run("HTTP on the loopback", func(t *testing.T) {
		t.Parallel()
		s, requests := server(t, http.StatusAccepted, "")
		require.Empty(t, send(t, asked(), "teams+"+s.URL+"/workflows/a/invoke"+teamsQuery))
		requireCard(t, <-requests, "/workflows/a/invoke"+teamsQuery)
	})
	t.Run("HTTPS, by the proxy", func(t *testing.T) {
		t.Parallel()
		workflow, channel := teamsURL("card")
		requests := answer(t, workflow, http.StatusAccepted, "")
		require.Empty(t, send(t, asked(), channel))
		requireCard(t, <-requests, "/workflows/card/triggers/manual/paths/invoke"+teamsQuery)
	})
}

func requireCard(t *testing.T, r request, url string) {
	t.Helper()
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, url, r.URL)
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	var m teamsMessage
	decode(t, r.Body, &m)
	require.Equal(t, append([]string{askedTitle}, strings.Split(askedText, "\n")...), m.lines(t))
	actions := m.Attachments[0].Content.Actions
	require.Len(t, actions, 1)
	require.Equal(t, "Action.OpenUrl", actions[0].Type)
	require.Equal(t, "https://temporal.example.com/namespaces/default/workflows/crypto-miner:node-1:6949e5f10829/01982f2e-0000-7000-8000-000000000001/user-metadata", actions[0].URL)
}

func TestTeamsFailureNeverShowsTheSecret(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler  http.HandlerFunc
		want     string
		attempts int
	}{
		"refused for good": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":{"code":"DirectApiAuthorizationRequired","message":"sig `+teamsSecret+` is bad"}}`)
			}, "401 Unauthorized", 1,
		},
		"too many": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "429 Too Many Requests", 3},
		"down":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "502 Bad Gateway", 3},
		"redirect": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusFound)
			},
			"302 Found", 3,
		},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paths := make(chan string, 10)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				paths <- r.URL.Path
				c.handler(w, r)
			}))
			t.Cleanup(s.Close)
			failures := send(t, asked(), "teams+"+s.URL+"/workflows/1f00000000000000/invoke"+teamsQuery)
			require.Len(t, failures, 1)
			require.Contains(t, failures[0], "(notify.urls[0]): ")
			require.Contains(t, failures[0], c.want)
			require.NotContains(t, failures[0], teamsSecret)
			require.NotContains(t, failures[0], "1f00000000000000")
			require.Len(t, paths, c.attempts)
			for range c.attempts {
				require.Equal(t, "/workflows/1f00000000000000/invoke", <-paths, "no redirect is followed")
			}
		})
	}
}

func TestRetryAfterIsObeyedWithinLimits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 7, 3, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "soon": 0, "0": 0, "-1": 0, "7": 7 * time.Second, "86400": 30 * time.Second, "999999999999": 30 * time.Second,
		"Sat, 07 Mar 2026 03:00:09 GMT": 9 * time.Second, "Sat, 07 Mar 2026 02:00:00 GMT": 0, "Sat, 07 Mar 2027 03:00:09 GMT": 30 * time.Second,
	} {
		require.Equal(t, want, notify.RetryAfter(header, now), header)
	}
}

// busy is an answer that asks for a pause.
type busy struct{ time.Duration }

func (busy) Error() string               { return "429 Too Many Requests" }
func (b busy) RetryAfter() time.Duration { return b.Duration }

func TestChannelWaitsAsLongAsItsServiceAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, calls := time.Now(), 0
		cfg := notify.WithPost(config("generic+https://a.example/"), func(string, string, string) error {
			if calls++; calls == 1 {
				return busy{7 * time.Second}
			}
			return nil
		})
		require.Equal(t, []notify.Result{{Channel: "notify.urls[0]"}}, results(t, cfg, asked()))
		require.Equal(t, 7*time.Second, time.Since(began))
	})
}

func TestCardFitsIntoWhatTeamsTakes(t *testing.T) {
	t.Parallel()
	const limit = 28 << 10
	for name, text := range map[string]string{
		"one long line":           strings.Repeat("x", 100_000),
		"a line of quotes":        strings.Repeat(`"`, 100_000),
		"a line of control codes": strings.Repeat("\x01", 100_000),
		"many lines":              strings.Repeat("a line\n", 5_000) + "the command",
		"no UTF-8":                strings.Repeat("\xff", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := notify.Card(strings.Repeat("T", 5000), text, "https://temporal.example.com/")
			require.NoError(t, err)
			require.LessOrEqual(t, len(body), limit)
			var m teamsMessage
			decode(t, string(body), &m)
			lines := m.lines(t)
			if name == "many lines" {
				require.Equal(t, "the command", lines[len(lines)-1], "the end says what to do")
				require.Contains(t, lines[1], "earlier lines: see the war room")
			}
		})
	}
}

func TestRetiredTeamsURLNamesItsReplacement(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ url, want string }{
		"a connector":            {"teams+https://planted-secret.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/a", "retired"},
		"an older connector":     {"teams+https://outlook.office.com/webhook/planted-secret", "retired"},
		"as shoutrrr writes it":  {"teams://group@tenant/planted-secret/owner?host=example.webhook.office.com", "retired"},
		"without TLS":            {"teams+http://prod.example/planted-secret?sig=planted-secret", "must begin with https"},
		"another scheme":         {"teams+ftp://prod.example/planted-secret", "must begin with https"},
		"a host that is missing": {"teams+https:///planted-secret", "names no host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := notify.Check(c.url)
			require.ErrorContains(t, err, "teams: ")
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "Power Automate workflow")
			require.NotContains(t, err.Error(), "planted-secret")
		})
	}
}
