package sysdig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Paths of captures, on the application host. The Cortex XSOAR pack creates and
// downloads with the first; sysdig-sdk-python polls and lists with the second.
const (
	capturesPath       = "/api/v1/captures"
	legacyCapturesPath = "/api/sysdig"
)

// The bounds of a capture's duration, from Sysdig's documentation of captures.
const (
	MinCaptureDuration = time.Second
	MaxCaptureDuration = 300 * time.Second
)

// CaptureRequest asks for a system capture: a recording of the system calls of
// a host or a container.
type CaptureRequest struct {
	// Name of the capture; Sysdig appends ".scap".
	Name string
	// Agent records; ID, Customer, MachineID and HostName are needed.
	Agent Agent
	// HostName of the event, if it differs from the agent's.
	HostName string
	// ContainerID presets the filter of Sysdig's viewer, and restricts nothing: what is
	// recorded is up to Filter (documentation of captures).
	ContainerID string
	// Duration in whole seconds, from MinCaptureDuration to MaxCaptureDuration.
	Duration time.Duration
	// Filter in Falco's condition syntax; empty records the whole host.
	Filter string
}

// Capture is a system capture.
type Capture struct {
	ID int64
	// Name ends in ".scap" whatever name was asked for.
	Name   string
	Status CaptureStatus
	// Size of the file in bytes, 0 while unknown.
	Size        int64
	ContainerID string
	AgentID     string
	HostName    string
	MachineID   string
	Folder      string
	// Reason is what Sysdig says about a capture that has failed, "" if nothing: the
	// texts of its answer that are no known field, cleaned and shortened.
	Reason string
}

// CaptureStatus is how far a capture has come. Statuses other than the
// constants mean that it is not finished.
type CaptureStatus string

// The capture statuses of sysdig-sdk-python.
const (
	CaptureRequested      CaptureStatus = "requested"
	CaptureCapturing      CaptureStatus = "capturing"
	CaptureUploading      CaptureStatus = "uploading"
	CaptureDone           CaptureStatus = "done"
	CaptureUploaded       CaptureStatus = "uploaded"
	CaptureError          CaptureStatus = "error"
	CaptureUploadingError CaptureStatus = "uploadingError"
)

// Done reports whether the capture's file can be downloaded.
func (c *Capture) Done() bool { return c.Status == CaptureDone || c.Status == CaptureUploaded }

// Failed reports whether the capture has ended without a file.
func (c *Capture) Failed() bool {
	return c.Status == CaptureError || c.Status == CaptureUploadingError
}

// Busy reports whether the capture has failed because its host's agent had another
// one under way (capture_job_handler.cpp of Sysdig's published agent source).
func (c *Capture) Busy() bool { return c.Failed() && BusyReason(c.Reason) }

// BusyReason reports whether an agent refuses a capture in these words because it
// has others to take first.
func BusyReason(reason string) bool {
	reason = strings.ToLower(reason)
	return strings.Contains(reason, "maximum number of outstanding captures") || strings.Contains(reason, "capture job handler queue full")
}

// CreateCapture starts a capture (POST /api/v1/captures with the body of the
// Cortex XSOAR pack, or where that is closed POST /api/sysdig with the body of
// sysdig-sdk-python). An agent takes one at a time, and refuses another one after
// Sysdig has accepted it: see [Capture.Busy]. It may also ignore the request: the
// capture then stays "requested" for ever.
func (c *Client) CreateCapture(ctx context.Context, cr CaptureRequest) (*Capture, error) {
	if cr.Duration < MinCaptureDuration || cr.Duration > MaxCaptureDuration || cr.Duration%time.Second != 0 {
		return nil, fmt.Errorf("create capture %s: duration %s: must be whole seconds from %s to %s",
			cr.Name, cr.Duration, MinCaptureDuration, MaxCaptureDuration)
	}
	var a captureAnswer
	err := c.call(ctx, request{method: http.MethodPost, base: c.app, path: capturesPath, body: newCaptureBody(cr)}, &a)
	if closed(err) {
		err = either(err, c.call(ctx, request{method: http.MethodPost, base: c.app, path: legacyCapturesPath, body: newDumpBody(cr)}, &a))
	}
	if err != nil {
		return nil, fmt.Errorf("create capture %s: %w", cr.Name, err)
	}
	return c.capture(a.item), nil
}

// Capture returns a capture as it stands now. GET /api/v1/captures/{id} follows
// from the path that creates captures but is described nowhere, so that where it
// is closed the path of sysdig-sdk-python, /api/sysdig/{id}, is asked, and then the
// list.
func (c *Client) Capture(ctx context.Context, id int64) (*Capture, error) {
	var a captureAnswer
	err := c.call(ctx, request{method: http.MethodGet, base: c.app, path: capturePath(capturesPath, id)}, &a)
	if closed(err) {
		err = either(err, c.call(ctx, request{
			method: http.MethodGet, base: c.app, path: capturePath(legacyCapturesPath, id),
			query: url.Values{"source": {"SDS"}},
		}, &a))
	}
	if closed(err) {
		found, listErr := c.listedCapture(ctx, id)
		if found != nil {
			return found, nil
		}
		if listErr != nil {
			err = either(err, listErr)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("get capture %d: %w", id, err)
	}
	return c.capture(a.item), nil
}

// closed reports whether an endpoint does not exist, or what it was asked for, or
// the token may not use it. Whether a token that may use one of the two families of
// capture paths may use the other is not known.
func closed(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	switch e.StatusCode {
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	}
	return false
}

// either is the error of two attempts, of which the first found its path closed:
// nil if the second succeeded, and the more telling one otherwise. A refusal says
// more than an absence.
func either(first, second error) error {
	e, ok := errors.AsType[*Error](first)
	if closed(second) && ok && e.StatusCode == http.StatusForbidden {
		return first
	}
	return second
}

// listedCapture returns a capture of these days, nil if it is not listed.
func (c *Client) listedCapture(ctx context.Context, id int64) (*Capture, error) {
	// No capture is followed for longer, and clocks differ by less.
	const day = 24 * time.Hour
	now := time.Now()
	captures, err := c.Captures(ctx, now.Add(-day), now.Add(day))
	if err != nil {
		return nil, err
	}
	for i := range captures {
		if captures[i].ID == id {
			return &captures[i], nil
		}
	}
	return nil, nil
}

// Captures returns the captures created between two times (GET /api/sysdig,
// sysdig-sdk-python, or where that is closed the other path). It is how to learn
// whether a creation without an answer was accepted: by the capture's name.
func (c *Client) Captures(ctx context.Context, from, to time.Time) ([]Capture, error) {
	list := func(path string) (captureList, error) {
		var a captureList
		err := c.call(ctx, request{
			method: http.MethodGet, base: c.app, path: path,
			query: url.Values{
				"source": {"SDS"},
				"from":   {strconv.FormatInt(from.UnixMicro(), 10)},
				"to":     {strconv.FormatInt(to.UnixMicro(), 10)},
			},
		}, &a)
		return a, err
	}
	a, err := list(legacyCapturesPath)
	if closed(err) {
		var secondErr error
		a, secondErr = list(capturesPath)
		err = either(err, secondErr)
	}
	if err != nil {
		return nil, fmt.Errorf("list captures: %w", err)
	}
	items := a.items()
	captures := make([]Capture, len(items))
	for i := range items {
		captures[i] = *c.capture(&items[i])
	}
	return captures, nil
}

func capturePath(collection string, id int64) string {
	return collection + "/" + strconv.FormatInt(id, 10)
}
