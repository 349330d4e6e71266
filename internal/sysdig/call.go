package sysdig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// maxAnswer bounds a JSON answer that is read as a whole. The list of connected
	// agents, which is larger, is decoded as it arrives.
	maxAnswer = 16 << 20
	// answerTimeout bounds a whole JSON call, so that an answer that stalls
	// half-way ends even if the caller set no deadline.
	answerTimeout = time.Minute
)

// request is one call of the API.
type request struct {
	method   string
	base     string // Client.app or Client.api
	path     string // escaped
	query    url.Values
	body     any         // sent as JSON unless nil
	download bool        // the answer is a file
	header   http.Header // beside those of every request
}

// changes reports whether the request has an effect on Sysdig's side.
func (r request) changes() bool { return r.method != http.MethodGet }

// call sends a request and decodes its JSON answer, which must pass its check.
func (c *Client) call(ctx context.Context, req request, out answer) error {
	return c.read(ctx, req, func(body io.Reader) error { return readAnswer(body, out) })
}

// read sends a request and lets decode read its answer.
func (c *Client) read(ctx context.Context, req request, decode func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := c.send(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := decode(resp.Body); err != nil {
		// The request was carried out, only its answer was lost.
		return &callError{req: req, sent: true, err: fmt.Errorf("read answer: %w", err)}
	}
	return nil
}

// answer is the JSON body of a successful answer.
type answer interface {
	// check says what is missing that no answer can do without.
	check() error
}

func readAnswer(body io.Reader, out answer) error {
	raw, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(raw) > maxAnswer {
		return fmt.Errorf("longer than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return err
	}
	return out.check()
}

// send sends a request and returns its answer if it is a success. The caller
// closes the body.
func (c *Client) send(ctx context.Context, req request) (_ *http.Response, err error) {
	if err := c.bucket.turn(ctx, &req); err != nil {
		if _, refused := errors.AsType[*Error](err); refused {
			return nil, err
		}
		return nil, &callError{req: req, err: err}
	}
	// The hook runs before the transport flushes the first byte: as long as it
	// has not, nothing has left this machine.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	hr, err := c.newRequest(ctx, req)
	if err != nil {
		return nil, &callError{req: req, err: err}
	}
	ctx, ended := c.observe(ctx, &req, hr.URL.Hostname())
	resp, err := c.http.Do(hr.WithContext(ctx))
	defer func() { ended(resp, err) }()
	if err != nil {
		// *url.Error repeats the method and the URL.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return nil, &callError{req: req, sent: sent.Load(), err: err}
	}
	c.bucket.learn(resp)
	if err := checkResponse(req, resp, c.token); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func (c *Client) newRequest(ctx context.Context, req request) (*http.Request, error) {
	target := req.base + req.path
	if len(req.query) > 0 {
		target += "?" + req.query.Encode()
	}
	hr, err := http.NewRequestWithContext(ctx, req.method, target, nil)
	if err != nil {
		return nil, err
	}
	if req.body != nil {
		raw, err := json.Marshal(req.body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		// GetBody stays nil, so that the transport cannot send the request a
		// second time when a reused connection breaks: an action must not run
		// twice behind our back.
		hr.Body = io.NopCloser(bytes.NewReader(raw))
		hr.ContentLength = int64(len(raw))
		hr.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(hr.Header, req.header)
	hr.Header.Set("Accept", "application/json")
	if req.download {
		hr.Header.Set("Accept", "*/*")
		// A body that the transport unpacks has no known size.
		hr.Header.Set("Accept-Encoding", "identity")
	}
	hr.Header.Set("Authorization", "Bearer "+c.token)
	hr.Header.Set("User-Agent", c.userAgent)
	return hr, nil
}
