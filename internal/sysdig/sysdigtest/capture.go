package sysdigtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// capture is a system capture that was accepted. Its status follows from the
// time, like that of an execution.
type capture struct {
	ID          int64
	Name        string
	ContainerID string
	AgentID     string
	Customer    string
	HostName    string
	MachineID   string
	HostID      string // "" if no such agent is connected
	Filter      string
	Size        int64
	CreatedAt   time.Time
	CaptureAt   time.Time // requested until then
	UploadAt    time.Time // capturing until then
	DoneAt      time.Time // uploading until then
	Begun       bool
}

// captureFields is the body of the Cortex XSOAR pack, constant values included.
var captureFields = []field{
	required("containerId", printable(512)),
	required("duration", integerWithin(1, 300)),
	required("hostName", filled),
	required("name", filled),
	required("filters", printable(4096)),
	required("bucketName", exactly("")),
	required("agent", anObject),
	required("annotations", anObject),
	required("source", exactly("SDS")),
	required("storageType", exactly("S3")),
	required("folder", exactly("/")),
}

var captureAgentFields = []field{
	required("id", filled), required("customer", filled), required("machineID", filled), required("hostName", filled),
}

// createCapture answers POST on the captures.
func (s *Server) createCapture(in *input) (any, *problem) {
	agent := in.body["agent"].(map[string]any)
	if p := checkFields("key of agent", agent, captureAgentFields); p != nil {
		return nil, p
	}
	annotations := in.body["annotations"].(map[string]any)
	if p := checkFields("key of annotations", annotations, []field{required("manual", exactly("true"))}); p != nil {
		return nil, p
	}
	c := &capture{
		ID:          555444 + int64(len(s.state.Captures)),
		Name:        in.body["name"].(string) + ".scap",
		ContainerID: in.body["containerId"].(string),
		Filter:      in.body["filters"].(string),
		AgentID:     agent["id"].(string),
		Customer:    agent["customer"].(string),
		HostName:    agent["hostName"].(string),
		MachineID:   agent["machineID"].(string),
		Size:        s.opts.CaptureSize,
		CreatedAt:   in.now.UTC(),
	}
	for _, other := range s.state.Captures {
		if other.AgentID == c.AgentID && !other.ended(in.now) {
			return nil, notNow("Maximum number of outstanding captures (1) reached")
		}
	}
	if h, ok := s.host(func(h Host) bool {
		return strconv.FormatInt(h.AgentID, 10) == c.AgentID && h.MAC == c.MachineID
	}); ok {
		c.HostID = h.ID
		s.pending = append(s.pending, c)
	}
	c.CaptureAt = c.CreatedAt.Add(s.opts.Step)
	c.UploadAt = c.CaptureAt.Add(s.opts.Step)
	c.DoneAt = c.UploadAt.Add(s.opts.Step)
	s.state.Captures = append(s.state.Captures, c)
	s.touch()
	return map[string]any{"capture": c.view(in.now)}, nil
}

// getCapture answers GET on a capture, under the key that its path uses.
func (s *Server) getCapture(key string) func(*input) (any, *problem) {
	return func(in *input) (any, *problem) {
		c, p := s.capture(in.id)
		if p != nil {
			return nil, p
		}
		return map[string]any{key: c.view(in.now)}, nil
	}
}

// listCaptures answers GET /api/sysdig; from and to are in microseconds.
func (s *Server) listCaptures(in *input) (any, *problem) {
	from, to := in.number("from", 0), in.number("to", in.now.UnixMicro())
	if from > to {
		return nil, badRequest(`query parameter "from": want a time before "to"`)
	}
	dumps := []any{}
	for _, c := range s.state.Captures {
		if at := c.CreatedAt.UnixMicro(); at >= from && at <= to && s.listed(c.CreatedAt, in.now) {
			dumps = append(dumps, c.view(in.now))
		}
	}
	return map[string]any{"dumps": dumps}, nil
}

// download answers GET on a capture's file. How Sysdig refuses one that is not
// ready is not known.
func (s *Server) download(in *input) (any, *problem) {
	c, p := s.capture(in.id)
	if p != nil {
		return nil, p
	}
	if status := c.status(in.now); status != "done" {
		return nil, &problem{status: http.StatusConflict, Type: "conflict", Message: "the capture is " + status + ", not done"}
	}
	s.record(Effect{Time: in.now.UTC(), Kind: Download, CaptureID: c.ID, HostID: c.HostID, ContainerID: c.ContainerID})
	return file{CaptureReader(c.ID, c.Size), fmt.Sprint(c.ID), s.opts.NoRange}, nil
}

// file is the answer to a download, of what has a name of its own.
type file struct {
	content *io.SectionReader
	name    string
	whole   bool
}

// serve serves the file or, unless it is only given whole, the part that is
// asked for.
func (f file) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if f.whole {
		w.Header().Set("Content-Length", strconv.FormatInt(f.content.Size(), 10))
		_, _ = io.Copy(w, f.content) // nobody is left to tell
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%s-%d"`, f.name, f.content.Size()))
	http.ServeContent(w, r, "", time.Time{}, f.content)
}

func (s *Server) capture(id string) (*capture, *problem) {
	for _, c := range s.state.Captures {
		if strconv.FormatInt(c.ID, 10) == id {
			return c, nil
		}
	}
	return nil, notFound("no capture %q", id)
}

func (c *capture) dueAt() time.Time { return c.CaptureAt }

func (c *capture) takeEffect(s *Server) {
	c.Begun = true
	s.record(Effect{Time: c.CaptureAt, Kind: Capture, CaptureID: c.ID, HostID: c.HostID, ContainerID: c.ContainerID})
}

// status of the capture: that of an agent that is not connected is requested
// for ever, and one whose filter cannot be parsed ends in an error.
func (c *capture) status(now time.Time) string {
	switch {
	case !c.Begun:
		return "requested"
	case strings.Count(c.Filter, "(") != strings.Count(c.Filter, ")"):
		return "error"
	case now.Before(c.UploadAt):
		return "capturing"
	case now.Before(c.DoneAt):
		return "uploading"
	default:
		return "done"
	}
}

func (c *capture) ended(now time.Time) bool {
	status := c.status(now)
	return status == "done" || status == "error"
}

// view is the capture as the Cortex XSOAR pack recorded it.
func (c *capture) view(now time.Time) map[string]any {
	v := map[string]any{
		"id": c.ID, "source": "SDS", "name": c.Name, "type": "PROVIDED", "status": c.status(now),
		"bucketName": "", "folder": "/", "containerId": c.ContainerID, "machineId": c.MachineID,
		"agent": map[string]any{
			"customer": number(c.Customer), "id": number(c.AgentID), "machineId": c.MachineID, "hostName": c.HostName,
		},
		"annotations": map[string]any{"manual": true},
		"storageId":   123,
	}
	if v["status"] == "done" {
		v["size"] = c.Size
	}
	return v
}

// number makes a JSON number of an ID that is one, as Sysdig answers.
func number(id string) any {
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return id
	}
	return json.Number(id)
}
