package sysdigtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// capture is a system capture that was accepted. Its status follows from the
// time, like that of an execution.
type capture struct {
	ID        int64
	Name      string
	AgentID   string
	Customer  string
	HostName  string
	MachineID string
	HostID    string // "" if no such agent is connected
	// ContainerID only presets the filter of Sysdig's viewer: a capture records the
	// host unless its filter names a container (documentation of captures; README of
	// the Cortex XSOAR pack).
	ContainerID string
	Filter      string
	Folder      string
	Size        int64
	CreatedAt   time.Time
	CaptureAt   time.Time // requested until then
	UploadAt    time.Time // capturing until then
	DoneAt      time.Time // uploading until then
	Begun       bool      // the agent has taken it or refused it
	// Failure is why the agent refused it, "" if it did not.
	Failure string
}

// Reasons for which an agent refuses a capture, in the words of Sysdig's published
// agent source (capture_job_handler.cpp). That a filter does not compile is
// reported too; its words are made up here.
const (
	ReasonBusy      = "maximum number of outstanding captures (1) reached"
	ReasonQueueFull = "Capture job handler queue full"
	ReasonDisabled  = "Sysdig capture disabled from agent configuration file, not starting capture"
	ReasonNoDriver  = "Sysdig Agent in nodriver mode, captures not supported"
	ReasonFilter    = "filter error: unbalanced parentheses"
)

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

// dumpFields is the body of sysdig-sdk-python, create_sysdig_capture.
var dumpFields = []field{
	required("agent", anObject),
	required("name", filled),
	required("duration", integerWithin(1, 300)),
	required("folder", printable(512)),
	required("filters", printable(4096)),
	required("bucketName", exactly("")),
	required("source", exactly("SDS")),
}

// createDump answers POST on the older path. The agent is an object of the list of
// connected agents (sysdig-sdk-python), so nothing of it is checked but what is
// read.
func (s *Server) createDump(in *input) (any, *problem) {
	agent := in.body["agent"].(map[string]any)
	h, _ := s.host(func(h Host) bool { return strconv.FormatInt(h.AgentID, 10) == fmt.Sprint(agent["id"]) })
	c := &capture{
		AgentID: fmt.Sprint(agent["id"]), Customer: fmt.Sprint(agent["customer"]),
		HostName: h.Name, MachineID: h.MAC, Folder: in.body["folder"].(string),
	}
	return s.accept(c, "dump", in)
}

// createCapture answers POST on the captures. It accepts a capture of a host that
// is busy: the agent refuses it, later (capture_job_handler.cpp and its test; that
// the back end refuses some at once is not known, see Options.RefuseBusyAtOnce).
func (s *Server) createCapture(in *input) (any, *problem) {
	agent := in.body["agent"].(map[string]any)
	if p := checkFields("key of agent", agent, captureAgentFields); p != nil {
		return nil, p
	}
	annotations := in.body["annotations"].(map[string]any)
	if p := checkFields("key of annotations", annotations, []field{required("manual", exactly("true"))}); p != nil {
		return nil, p
	}
	return s.accept(&capture{
		ContainerID: in.body["containerId"].(string),
		Folder:      in.body["folder"].(string),
		AgentID:     agent["id"].(string),
		Customer:    agent["customer"].(string),
		HostName:    agent["hostName"].(string),
		MachineID:   agent["machineID"].(string),
	}, "capture", in)
}

// accept takes a capture, and answers with it under the key of its path.
func (s *Server) accept(c *capture, key string, in *input) (any, *problem) {
	c.ID = 555444 + int64(len(s.state.Captures))
	c.Name = in.body["name"].(string) + ".scap"
	c.Filter = in.body["filters"].(string)
	c.Size = s.opts.CaptureSize
	c.CreatedAt = in.now.UTC()
	if s.opts.RefuseBusyAtOnce && s.busy(c.AgentID, in.now) {
		return nil, notNow("Maximum number of outstanding captures (1) reached")
	}
	if h, ok := s.host(func(h Host) bool {
		return strconv.FormatInt(h.AgentID, 10) == c.AgentID && h.MAC == c.MachineID
	}); ok {
		c.HostID = h.ID
		s.pending = append(s.pending, c)
	}
	c.CaptureAt = c.CreatedAt.Add(s.opts.Step)
	c.UploadAt = c.CaptureAt.Add(s.opts.Step)
	c.DoneAt = c.UploadAt.Add(s.uploadTime())
	s.state.Captures = append(s.state.Captures, c)
	s.touch()
	return map[string]any{key: c.view(in.now, s.opts.ReasonKey)}, nil
}

// uploadTime is how long the upload of a file takes, one Step at least.
func (s *Server) uploadTime() time.Duration {
	return max(s.opts.Step, time.Duration(float64(s.opts.CaptureSize)/float64(s.opts.UploadRate)*float64(time.Second)))
}

// busy reports whether an agent has a capture that is not uploaded yet: its job is
// removed after the last chunk (capture_job_handler.cpp, is_complete and
// cleanup_jobs).
func (s *Server) busy(agentID string, at time.Time) bool {
	if at.Before(s.state.Busy[agentID]) {
		return true
	}
	return slices.ContainsFunc(s.state.Captures, func(c *capture) bool {
		return c.AgentID == agentID && c.Begun && c.Failure == "" && at.Before(c.DoneAt)
	})
}

// PolicyCapture has a host's agent take a capture of its own from now on, as a
// policy does. It uses the same slot (capture_job_handler.cpp), and is busy for
// that long.
func (s *Server) PolicyCapture(agentID int64, duration time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.occupy(strconv.FormatInt(agentID, 10), time.Now().Add(duration))
	s.save()
}

func (s *Server) occupy(agentID string, until time.Time) {
	s.state.Busy[agentID] = until
	s.touch()
}

// getCapture answers GET on a capture, under the key that its path uses.
func (s *Server) getCapture(key string) func(*input) (any, *problem) {
	return func(in *input) (any, *problem) {
		c, p := s.capture(in.id)
		if p != nil {
			return nil, p
		}
		return map[string]any{key: c.view(in.now, s.opts.ReasonKey)}, nil
	}
}

// listCaptures answers GET /api/sysdig, or the same of the other path under its own
// key; from and to are in microseconds.
func (s *Server) listCaptures(key string) func(*input) (any, *problem) {
	return func(in *input) (any, *problem) {
		from, to := in.number("from", 0), in.number("to", in.now.UnixMicro())
		if from > to {
			return nil, badRequest(`query parameter "from": must not be after "to"`)
		}
		items := []any{}
		for _, c := range s.state.Captures {
			if at := c.CreatedAt.UnixMicro(); at >= from && at <= to && s.listed(c.CreatedAt, in.now) {
				items = append(items, c.view(in.now, s.opts.ReasonKey))
			}
		}
		return map[string]any{key: items}, nil
	}
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
	s.record(Effect{Time: in.now.UTC(), Kind: Download, CaptureID: c.ID, HostID: c.HostID, ContainerID: c.scope()})
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

// takeEffect has the agent begin the capture, or refuse it.
func (c *capture) takeEffect(s *Server) {
	switch {
	case s.opts.AgentRefuses != "":
		c.Failure = s.opts.AgentRefuses
	case s.busy(c.AgentID, c.CaptureAt):
		c.Failure = ReasonBusy
	case strings.Count(c.Filter, "(") != strings.Count(c.Filter, ")"):
		c.Failure = ReasonFilter
	}
	c.Begun = true
	if c.Failure != "" {
		s.touch()
		return
	}
	s.record(Effect{Time: c.CaptureAt, Kind: Capture, CaptureID: c.ID, HostID: c.HostID, ContainerID: c.scope()})
}

// scoped finds the container that a filter restricts a capture to.
var scoped = regexp.MustCompile(`^container\.id=([0-9a-z-]+)(?: and \(|$)`)

// scope is the container that the capture is restricted to, "" for the whole host.
func (c *capture) scope() string {
	if m := scoped.FindStringSubmatch(c.Filter); m != nil {
		return m[1]
	}
	return ""
}

// status of the capture: that of an agent that is not connected is requested
// for ever.
func (c *capture) status(now time.Time) string {
	switch {
	case !c.Begun:
		return "requested"
	case c.Failure != "":
		return "error"
	case now.Before(c.UploadAt):
		return "capturing"
	case now.Before(c.DoneAt):
		return "uploading"
	default:
		return "done"
	}
}

// view is the capture as the Cortex XSOAR pack recorded it. Under which key the
// agent's words are is not known.
func (c *capture) view(now time.Time, reasonKey string) map[string]any {
	v := map[string]any{
		"id": c.ID, "source": "SDS", "name": c.Name, "type": "PROVIDED", "status": c.status(now),
		"bucketName": "", "folder": c.Folder, "containerId": c.ContainerID, "machineId": c.MachineID,
		"agent": map[string]any{
			"customer": number(c.Customer), "id": number(c.AgentID), "machineId": c.MachineID, "hostName": c.HostName,
		},
		"annotations": map[string]any{"manual": true},
		"storageId":   123,
	}
	if c.Failure != "" && reasonKey != "" {
		v[reasonKey] = c.Failure
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
