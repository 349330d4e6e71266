package sysdig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
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
	// ContainerID limits the capture to a container; empty records the host.
	ContainerID string
	// Duration in whole seconds, from MinCaptureDuration to MaxCaptureDuration.
	Duration time.Duration
	// Filter in Falco's condition syntax; empty records everything.
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

// CreateCapture starts a capture (POST /api/v1/captures with the body of the
// Cortex XSOAR pack). A host takes one at a time; see [OutstandingCapture]. An
// agent may ignore the request: the capture then stays "requested" for ever.
func (c *Client) CreateCapture(ctx context.Context, cr CaptureRequest) (*Capture, error) {
	if cr.Duration < MinCaptureDuration || cr.Duration > MaxCaptureDuration || cr.Duration%time.Second != 0 {
		return nil, fmt.Errorf("create capture %s: duration %s: want whole seconds from %s to %s",
			cr.Name, cr.Duration, MinCaptureDuration, MaxCaptureDuration)
	}
	var a captureAnswer
	err := c.call(ctx, request{method: http.MethodPost, base: c.app, path: capturesPath, body: newCaptureBody(cr)}, &a)
	if err != nil {
		return nil, fmt.Errorf("create capture %s: %w", cr.Name, err)
	}
	return a.capture(), nil
}

// Capture returns a capture as it stands now. GET /api/v1/captures/{id} follows
// from the path that creates captures but is described nowhere, so that where it
// does not exist the path of sysdig-sdk-python, /api/sysdig/{id}, is asked, and
// then its list.
func (c *Client) Capture(ctx context.Context, id int64) (*Capture, error) {
	var a captureAnswer
	err := c.call(ctx, request{method: http.MethodGet, base: c.app, path: capturePath(capturesPath, id)}, &a)
	if missing(err) {
		err = c.call(ctx, request{
			method: http.MethodGet, base: c.app, path: capturePath(legacyCapturesPath, id),
			query: url.Values{"source": {"SDS"}},
		}, &a)
	}
	if missing(err) {
		found, listErr := c.listedCapture(ctx, id)
		switch {
		case found != nil:
			return found, nil
		case listErr != nil && !missing(listErr):
			err = listErr
		}
	}
	if err != nil {
		return nil, fmt.Errorf("get capture %d: %w", id, err)
	}
	return a.capture(), nil
}

// missing reports whether an endpoint, or what it was asked for, does not exist.
func missing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.StatusCode == http.StatusNotFound || e.StatusCode == http.StatusMethodNotAllowed)
}

// listedCapture returns a capture of these days, nil if there is none.
func (c *Client) listedCapture(ctx context.Context, id int64) (*Capture, error) {
	// Nobody follows a capture for longer, and clocks differ by less.
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
// sysdig-sdk-python). It is how to learn whether a creation without an answer
// was accepted: by the capture's name.
func (c *Client) Captures(ctx context.Context, from, to time.Time) ([]Capture, error) {
	var a captureList
	err := c.call(ctx, request{
		method: http.MethodGet, base: c.app, path: legacyCapturesPath,
		query: url.Values{
			"source": {"SDS"},
			"from":   {strconv.FormatInt(from.UnixMicro(), 10)},
			"to":     {strconv.FormatInt(to.UnixMicro(), 10)},
		},
	}, &a)
	if err != nil {
		return nil, fmt.Errorf("list captures: %w", err)
	}
	captures := make([]Capture, len(a.Dumps.items))
	for i, item := range a.Dumps.items {
		captures[i] = *item.capture()
	}
	return captures, nil
}

func capturePath(collection string, id int64) string {
	return collection + "/" + strconv.FormatInt(id, 10)
}
