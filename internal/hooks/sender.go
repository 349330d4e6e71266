package hooks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"firebreak/signals"
)

const (
	// keyHeader carries the idempotency key, as the IETF's draft "The
	// Idempotency-Key HTTP Header Field" has it. Services that do not know it call
	// twice what is sent twice.
	keyHeader = "Idempotency-Key"
	userAgent = "firebreak"
	// maxAnswer bounds what is read of an answer, and maxExcerpt what is shown of
	// it, in bytes.
	maxAnswer  = 64 << 10
	maxExcerpt = 200
)

// Error is a call that failed. Its text holds no secret of the hook.
type Error struct {
	Text string
	// Final says that the next attempt would fail alike.
	Final bool
	// RetryAfter is how long the service asks to wait, 0 if it does not say.
	RetryAfter time.Duration
}

// Error is the text.
func (e *Error) Error() string { return e.Text }

// Answer is that of a call that went well.
type Answer struct {
	// Status is like "201 Created".
	Status string `json:"status"`
	// Excerpt is the beginning of its body, in one line, without the hook's secrets.
	Excerpt string `json:"excerpt,omitzero"`
}

// Config is what a Sender knows.
type Config struct {
	Hooks []Hook
	// Link is where Temporal Web shows an incident, nil where nobody knows.
	Link func(workflowID, runID string) string
}

// Sender calls hooks. It is safe for concurrent use.
type Sender struct {
	cfg  Config
	http *http.Client
}

// New makes a Sender. Like the rest of net/http it follows HTTPS_PROXY.
func New(cfg Config) *Sender {
	return &Sender{cfg: cfg, http: &http.Client{
		// A redirected POST becomes a GET, and its headers would go where nobody has
		// configured them to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Call calls a hook with an event, once. Its error is an *[Error].
func (s *Sender) Call(ctx context.Context, name, key string, e Event) (Answer, error) {
	at := slices.IndexFunc(s.cfg.Hooks, func(h Hook) bool { return h.Name == name })
	if at < 0 {
		return Answer{}, final("this worker has no hook of that name; want it in its configuration under hooks")
	}
	h := &s.cfg.Hooks[at]
	if !h.calledBy(&e) {
		return Answer{}, final("on this worker no route %q calls it when an incident is %s; want it in that route's on_%s", e.Route, e.Moment, e.Moment)
	}
	if s.cfg.Link != nil {
		e.Link = s.cfg.Link(e.WorkflowID, e.RunID)
	}
	body, err := h.Body.Render(&e)
	if err != nil {
		return Answer{}, final("render its body: %s", err)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(h.Timeout, DefaultTimeout))
	defer cancel()
	request, hide, err := h.request(ctx, key, body)
	if err != nil {
		return Answer{}, err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return Answer{}, &Error{Text: hide.excerpt(reason(err))}
	}
	defer response.Body.Close()
	// A body that breaks off is only shown up to there: the status has answered.
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return answer(response, hide.excerpt(string(text)))
}

// request is the hook's, and what its errors and answers must not show.
func (h *Hook) request(ctx context.Context, key string, body []byte) (*http.Request, redactor, error) {
	target, err := h.URL.Resolve()
	if err != nil {
		// A file may be there the next time.
		return nil, redactor{}, &Error{Text: err.Error()}
	}
	hide := redactor{}
	hide.addURL(target)
	request, err := http.NewRequestWithContext(ctx, cmp.Or(h.Method, Methods()[0]), target, bytes.NewReader(body))
	if err != nil {
		return nil, hide, final("its URL is none that can be called")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", userAgent)
	for name, secret := range h.Headers {
		value, err := secret.Resolve()
		if err != nil {
			return nil, hide, &Error{Text: err.Error()}
		}
		hide.addHeader(value)
		request.Header.Set(name, value)
	}
	request.Header.Set(keyHeader, key)
	return request, hide, nil
}

// answer is what a status means.
func answer(response *http.Response, excerpt string) (Answer, error) {
	status := strings.TrimSpace(strconv.Itoa(response.StatusCode) + " " + http.StatusText(response.StatusCode))
	text := status
	if excerpt != "" {
		text += ": " + excerpt
	}
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return Answer{Status: status, Excerpt: excerpt}, nil
	case code >= 300 && code < 400:
		return Answer{}, final("%s: redirects are not followed; want the URL of the place itself", status)
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return Answer{}, &Error{Text: text, RetryAfter: retryAfter(response.Header.Get("Retry-After"), time.Now())}
	default:
		return Answer{}, &Error{Text: text, Final: true}
	}
}

func final(format string, args ...any) *Error {
	return &Error{Text: fmt.Sprintf(format, args...), Final: true}
}

// reason is why no answer came, without the URL.
func reason(err error) string {
	var of *url.Error
	if !errors.As(err, &of) {
		return err.Error()
	}
	if of.Timeout() {
		return "no answer in time"
	}
	return of.Err.Error()
}

// retryAfter reads the header: seconds, or a date (RFC 9110).
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// line is text of the outside as one line of printable characters.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
	return signals.Clip(strings.Join(strings.Fields(text), " "), maxExcerpt)
}
