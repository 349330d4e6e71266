package sysdig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxErrorBody bounds what is read of an error's body.
	maxErrorBody = 1 << 20
	// maxErrorText bounds each text kept of it, for errors end up in logs and in
	// workflow histories. It is the length of Sysdig's own longest messages.
	maxErrorText = 1024
	// maxErrorDetails bounds the number of details kept.
	maxErrorDetails = 16
	truncatedMarker = "…(truncated)"
)

// Error is an answer of Sysdig that is not a success. The texts are as Sysdig
// worded them, shortened.
type Error struct {
	Method     string
	Path       string
	StatusCode int
	// Type is Sysdig's machine-readable code, for example "forbidden"; empty if
	// the answer had none.
	Type    string
	Message string
	Details []string
	// RetryAfter is how long Sysdig asks to wait before the next request, at most
	// MaxRetryAfter; 0 if it did not say.
	RetryAfter time.Duration
}

// Error describes the answer in one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d", e.Method, e.Path, e.StatusCode)
	if e.Type != "" {
		b.WriteString(" " + e.Type)
	}
	b.WriteString(": " + e.Message)
	if len(e.Details) > 0 {
		b.WriteString(" (" + strings.Join(e.Details, "; ") + ")")
	}
	return b.String()
}

// MaxRetryAfter is the longest time that Sysdig asks to wait (its public
// OpenAPI). What asks for more does not speak for Sysdig.
const MaxRetryAfter = 14400 * time.Second

// MayHaveTakenEffect reports whether err comes from a request that changes
// something and may have been carried out although it failed: the connection
// was lost after the request left, the answer did not come in time, could not
// be read, was a 5xx, a redirect or a 408, with all of which something on the
// way may have answered in Sysdig's place. It is false when the request surely
// was not carried out: it never left, or Sysdig refused it with another 4xx.
func MayHaveTakenEffect(err error) bool {
	if ce, ok := errors.AsType[*callError](err); ok {
		return ce.req.changes() && ce.sent
	}
	if e, ok := errors.AsType[*Error](err); ok {
		refused := e.StatusCode >= http.StatusBadRequest && e.StatusCode < http.StatusInternalServerError &&
			e.StatusCode != http.StatusRequestTimeout
		return e.Method != http.MethodGet && !refused
	}
	return false
}

// OutstandingCapture reports whether Sysdig refused the request for a capture
// because the host is busy with another one. That it does is not known: the agent
// refuses, later. Only the wording distinguishes this refusal, and its case varies.
func OutstandingCapture(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && slices.ContainsFunc(append([]string{e.Message}, e.Details...), BusyReason)
}

// callError is a request that failed without an answer that could be read.
type callError struct {
	req  request
	sent bool // at least a part of the request may have reached Sysdig
	err  error
}

func (e *callError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.req.method, e.req.path, e.err)
}

func (e *callError) Unwrap() error { return e.err }

// checkResponse turns every answer that is not a success into an *Error. It is
// the only place that does. It does not close the body.
func checkResponse(req request, resp *http.Response, token string) error {
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	e := &Error{
		Method:     req.method,
		Path:       req.path,
		StatusCode: resp.StatusCode,
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
	// A body that breaks off still leaves the status, which is what counts.
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	e.parseBody(raw)
	if loc, err := resp.Location(); err == nil && resp.StatusCode < http.StatusBadRequest {
		e.Message = fmt.Sprintf("redirect to %s refused: check the configured URLs", loc.Host)
	}
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	e.clean(token)
	return e
}

// parseBody understands the bodies of both API families: {type, message,
// details} of Sysdig's public OpenAPI; {errors: [{message, reason}]}, {message}
// and {error} of the legacy API, as sysdig-sdk-python reads them.
func (e *Error) parseBody(raw []byte) {
	var body struct {
		Type    text   `json:"type"`
		Message text   `json:"message"`
		Error   text   `json:"error"`
		Details []text `json:"details"`
		Errors  []struct {
			Message text `json:"message"`
			Reason  text `json:"reason"`
		} `json:"errors"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return // a proxy's page, or nothing
	}
	e.Type = string(body.Type)
	e.Message = string(body.Message)
	if e.Message == "" {
		e.Message = string(body.Error)
	}
	for _, d := range body.Details {
		e.Details = append(e.Details, string(d))
	}
	for _, item := range body.Errors {
		e.Details = append(e.Details, strings.Trim(string(item.Message+": "+item.Reason), ": "))
	}
	if e.Message == "" && len(e.Details) > 0 {
		e.Message, e.Details = e.Details[0], e.Details[1:]
	}
}

// clean bounds the texts, and removes the token in case Sysdig, or a proxy on
// the way, echoed the request.
func (e *Error) clean(token string) {
	tidy := func(s string) string {
		s = strings.ReplaceAll(s, token, "[token]")
		if len(s) > maxErrorText {
			s = strings.ToValidUTF8(s[:maxErrorText], "") + truncatedMarker
		}
		return s
	}
	e.Type, e.Message = tidy(e.Type), tidy(e.Message)
	e.Details = e.Details[:min(len(e.Details), maxErrorDetails)]
	for i, d := range e.Details {
		e.Details[i] = tidy(d)
	}
}

// retryAfter reads the header: integer seconds, as Sysdig's public OpenAPI has
// it, or the date HTTP also allows, which a proxy may send.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(min(max(0, seconds), int(MaxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(0, at.Sub(now)), MaxRetryAfter)
	}
	return 0
}
