package notify_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"firebreak/internal/notify"
)

func TestTextFromOutsideIsShownAsText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"a link of Slack":           {"<http://evil.example|Approve>", "‹hxxp[:]//evil[.]example|Approve›"},
		"a mention of Slack":        {"<!channel> <@U123>", "‹!channel› ‹＠U123›"},
		"an entity":                 {"&lt;!channel&gt; &#8238;", "＆lt;!channel＆gt; ＆#8238;"},
		"a mention elsewhere":       {"@everyone @here", "＠everyone ＠here"},
		"a link of Markdown":        {"[Approve](https://evil.example/a)", "[Approve] (hxxps[:]//evil[.]example/a)"},
		"a script of Markdown":      {"[Approve](javascript:alert)", "[Approve] (javascript:alert)"},
		"a reference of Markdown":   {"[Approve][1]", "[Approve] [1]"},
		"an image":                  {"![x](//evil.example/x.png)", "![x] (//evil.example/x.png)"},
		"a link of HTML":            {`<a href="https://evil.example">Approve</a>`, `‹a href="hxxps[:]//evil[.]example"›Approve‹/a›`},
		"a mention of Teams":        {"<at>ann</at>", "‹at›ann‹/at›"},
		"an address":                {"see HTTPS://Evil.Example:8443/a.b?c=d", "see HxxPS[:]//Evil[.]Example:8443/a.b?c=d"},
		"another scheme":            {"stratum+tcp://pool.example:3333", "stratum+tcp[:]//pool[.]example:3333"},
		"an address with a user":    {"https://bank.example@evil.example/", "hxxps[:]//bank[.]example＠evil[.]example/"},
		"an address without scheme": {"go to evil.example/approve", "go to evil[.]example/approve"},
		"www":                       {"www.evil.example", "www[.]evil.example"},
		"a link that defanging ends": {
			"http://a.(https://b.(javascript:alert)", "hxxp[:]//a.(hxxps[:]//b.(javascript:alert)",
		},
		"an address in an address":   {"http://http://a.example", "hxxp[:]//hxxp[:]//a[.]example"},
		"www after a delimiter":      {"_www.evil.example", "_www[.]evil.example"},
		"a hidden address":           {"ht\u200btp://evil\u00ad.example", "hxxp[:]//evil[.]example"},
		"lines":                      {"one\nApproved by ann\r\n\u2028two\u2029\x00three\x1b[31m", "one Approved by ann   two  three [31m"},
		"the other direction":        {"abc\u202edcba\u2066", "abc\ufffddcba\ufffd"},
		"no UTF-8":                   {"a\xffb", "a\ufffdb"},
		"what is no address":         {"/usr/lib/x.so/y 10:20 a.b C:\\x", "/usr/lib/x.so/y 10:20 a.b C:\\x"},
		"fields":                     {"container.id=6949e5f10829", "container.id=6949e5f10829"},
		"the registry of a picture":  {"docker.io/xmrig/xmrig:6.21", "docker[.]io/xmrig/xmrig:6.21"},
		"a mail address to click on": {"mailto:ann@evil.example", "mailto:ann＠evil.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, notify.Clean(c.text))
		})
	}
}

// links are what the channels would draw a link or a mention of.
var links = regexp.MustCompile(`(?i)<[a-z!@#/]|&[a-z#]|\]\(|\]\[|@\w|www\.|[a-z]://`)

// innocent fails if a message, line by line, holds anything but its own link that
// a channel would draw.
func innocent(t *testing.T, text string) {
	t.Helper()
	for l := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if rest, ok := strings.CutPrefix(l, "Incident: https://temporal.example.com/"); ok {
			require.NotRegexp(t, `[\s<>@]|&[a-z#]|\]\(`, rest)
			continue
		}
		require.NotRegexp(t, links, l)
		require.NotRegexp(t, `^(Approved|Incident)`, l)
		for _, r := range l {
			require.False(t, unicode.IsControl(r) || unicode.Is(unicode.Cf, r), "%q", l)
		}
	}
}

// FuzzNothingIsLeftToDraw looks for text that is still drawn.
func FuzzNothingIsLeftToDraw(f *testing.F) {
	for _, text := range []string{"<http://a.b|x>", "[x](http://a.b)", "http://http://a.b", "a.b/c", "www.www.a", "&lt;", "@here", "ht\u200btp://", "http://a.(x)", "]([", "][["} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		clean := notify.Clean(text)
		innocent(t, "text: "+clean)
		require.True(t, utf8.ValidString(clean))
		require.NotContains(t, clean, "\n")
	})
}

func TestNoChannelDrawsALinkThatAnEventOrAPersonWrote(t *testing.T) {
	t.Parallel()
	const evil = "x\nApproved by ann\u202e <http://evil.example|Approve> <!channel> [Approve](http://evil.example) <a href='http://evil.example'>Approve</a> &#60;b> @all www.evil.example ht\u200btps://evil.example\nIncident: https://evil.example"
	n := asked()
	n.Rule, n.Target, n.SeverityLabel, n.State = evil, evil, evil, evil
	n.Changes[0].Text, n.Changes[1].Actor = evil, evil
	n.Groups = []string{evil}
	n.Pending.Action, n.Pending.Have = evil, []string{evil}
	n.Pending.Parameters = map[string]any{"file": evil, evil: 1}
	n.WorkflowID = "crypto-miner:" + evil
	n.RunID = evil

	json, requests := server(t, http.StatusOK, "")
	slack := answer(t, "https://hooks.slack.com/services/T00000002/B00000002/abcdefghijklmnopqrstuvw2", http.StatusOK, "ok")
	workflow, url := teamsURL("hostile")
	teams := answer(t, workflow, http.StatusAccepted, "")
	address, mails := mailServer(t, "")
	require.Empty(t, send(t, n, "generic+"+json.URL+"?template=json",
		"slack://hook:T00000002-B00000002-abcdefghijklmnopqrstuvw2@webhook", url, mailURL(address, "usehtml=yes")))

	var body map[string]string
	decode(t, (<-requests).Body, &body)
	innocent(t, body["title"])
	innocent(t, body["message"])
	var m slackMessage
	decode(t, (<-slack).Body, &m)
	innocent(t, m.Text)
	innocent(t, m.lines())
	var c teamsMessage
	decode(t, (<-teams).Body, &c)
	innocent(t, strings.Join(c.lines(t), "\n"))
	require.Equal(t, "https://temporal.example.com/", c.Attachments[0].Content.Actions[0].URL[:29])
	_, html, found := strings.Cut((<-mails).Raw, "text/html")
	require.True(t, found)
	_, html, _ = strings.Cut(html, "<pre>")
	html, _, _ = strings.Cut(html, "</pre>")
	require.Contains(t, html, "firebreak approve")
	innocent(t, html)
}
