package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"firebreak/signals"
)

// serviceTeams is the scheme of a Teams channel, before the plus sign. Shoutrrr has
// a service of this name too, for the Office 365 connectors that Microsoft retired;
// it is not used.
const serviceTeams = "teams"

// wantedOfTeams says what a Teams URL must be.
const wantedOfTeams = `expected teams+ before the URL of a Power Automate workflow that posts cards ` +
	`(in Teams: Workflows, "Send webhook alerts to a channel"), like teams+https://HOST/PATH?…&sig=…`

// Bounds of a message to Teams, in bytes.
const (
	// maxCard is the size of a message above which Teams rejects it.
	maxCard = 28 << 10
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 4 << 10
)

// maxRetryAfter bounds how long a channel waits because its service said so: the
// messages behind it wait as well.
const maxRetryAfter = 30 * time.Second

// teams posts adaptive cards to a Power Automate workflow, whose trigger is "When a
// Teams webhook request is received". The URL holds the right to post (sig=…).
type teams struct {
	url    string
	client *http.Client
}

// newTeams returns the sender for a URL that begins with "teams".
func newTeams(u *url.URL) (*teams, error) {
	scheme, found := strings.CutPrefix(u.Scheme, serviceTeams+"+")
	host := strings.ToLower(u.Hostname())
	switch {
	case !found, strings.HasSuffix(host, ".webhook.office.com"), strings.HasPrefix(host, "outlook.office"):
		return nil, errors.New("connectors of Office 365 are retired by Microsoft, webhook.office.com answers no more")
	case scheme != "https" && (scheme != "http" || !loopback(host)):
		return nil, errors.New("the workflow's URL must begin with https")
	case host == "":
		return nil, errors.New("the workflow's URL names no host")
	}
	own := *u
	own.Scheme = scheme
	return &teams{url: own.String(), client: &http.Client{
		Timeout: DefaultTimeout,
		// Its URL holds a secret, which is for this host only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// send posts a message. The workflow answers 202 before Teams has the card.
func (t *teams) send(m message) error {
	body, err := card(m)
	if err != nil {
		return err
	}
	// Services of shoutrrr take no context either: the client has a timeout.
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the workflow's URL is not usable")
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := t.client.Do(request)
	var failed *url.Error
	switch {
	case errors.As(err, &failed):
		return failed.Err // without the URL
	case err != nil:
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return nil
	}
	return &teamsError{
		status: answer.StatusCode, text: strings.TrimSpace(string(text)), after: retryAfter(answer.Header.Get("Retry-After"), time.Now()),
	}
}

// teamsError is an answer of a workflow that is not a success.
type teamsError struct {
	status int
	text   string
	after  time.Duration
}

// Error begins with the status as [permanent] looks for it.
func (e *teamsError) Error() string {
	text := fmt.Sprintf("the workflow answered %d %s", e.status, http.StatusText(e.status))
	if e.text != "" {
		text += ": " + e.text
	}
	return text
}

// RetryAfter returns how long the workflow asks to wait; zero if it does not say.
func (e *teamsError) RetryAfter() time.Duration { return e.after }

// retryAfter reads a Retry-After header: seconds, or a date. It is at most
// maxRetryAfter, and zero for a header that is absent or not readable.
func retryAfter(header string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.Atoi(header); err == nil {
		wait = min(time.Duration(min(seconds, int(maxRetryAfter/time.Second)))*time.Second, maxRetryAfter)
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// The message that a workflow takes, with one adaptive card.
type (
	teamsMessage struct {
		Type        string            `json:"type"`
		Attachments []teamsAttachment `json:"attachments"`
	}
	teamsAttachment struct {
		ContentType string       `json:"contentType"`
		Content     adaptiveCard `json:"content"`
	}
	adaptiveCard struct {
		Schema  string         `json:"$schema"`
		Type    string         `json:"type"`
		Version string         `json:"version"`
		Teams   map[string]any `json:"msteams"`
		Body    []richText     `json:"body"`
		Actions []openURL      `json:"actions,omitempty"`
	}
	richText struct {
		Type    string    `json:"type"`
		Inlines []textRun `json:"inlines"`
		Spacing string    `json:"spacing,omitempty"`
	}
	textRun struct {
		Type   string `json:"type"`
		Text   string `json:"text"`
		Size   string `json:"size,omitempty"`
		Weight string `json:"weight,omitempty"`
	}
	openURL struct {
		Type  string `json:"type"`
		Title string `json:"title"`
		URL   string `json:"url"`
	}
)

// card renders a message as an adaptive card, each line as a paragraph. A TextBlock
// interprets its text as Markdown; a TextRun shows it as it is, so nothing that an
// event or a person wrote has to be escaped. Lines are left out from the top, where
// the oldest changes are, until the card fits.
func card(m message) ([]byte, error) {
	lines := strings.Split(m.text, "\n")
	for left := 0; ; {
		shown := lines
		if left > 0 {
			shown = append([]string{fmt.Sprintf("%d earlier lines: see the war room", left)}, lines...)
		}
		body, err := encodeCard(m, shown)
		if err != nil || len(body) <= maxCard {
			return body, err
		}
		if len(lines) == 1 {
			// One line that is too long by itself; escaped, a byte takes six at most.
			m.title, lines = signals.Clip(m.title, maxCard/16), []string{signals.Clip(lines[0], maxCard/16)}
			return encodeCard(m, lines)
		}
		lines = lines[1:]
		left++
	}
}

func encodeCard(m message, lines []string) ([]byte, error) {
	content := adaptiveCard{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
		Teams: map[string]any{"width": "Full"},
		Body:  []richText{{Type: "RichTextBlock", Inlines: []textRun{{Type: "TextRun", Text: m.title, Size: "Medium", Weight: "Bolder"}}}},
	}
	for _, l := range lines {
		content.Body = append(content.Body, richText{Type: "RichTextBlock", Spacing: "Small", Inlines: []textRun{{Type: "TextRun", Text: l}}})
	}
	if m.link != "" {
		content.Actions = []openURL{{Type: "Action.OpenUrl", Title: "Open in Temporal Web", URL: m.link}}
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(teamsMessage{Type: "message", Attachments: []teamsAttachment{{
		ContentType: "application/vnd.microsoft.card.adaptive", Content: content,
	}}})
	return body.Bytes(), err
}
