package sysdigtest

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// pending is something that takes effect later.
type pending interface {
	dueAt() time.Time
	takeEffect(*Server)
}

// settle lets everything take effect that is due, in order.
func (s *Server) settle(now time.Time) {
	var due []pending
	s.pending = slices.DeleteFunc(s.pending, func(p pending) bool {
		if p.dueAt().After(now) {
			return false
		}
		due = append(due, p)
		return true
	})
	slices.SortStableFunc(due, func(a, b pending) int { return a.dueAt().Compare(b.dueAt()) })
	for _, p := range due {
		p.takeEffect(s)
	}
}

func (e *execution) dueAt() time.Time { return e.EndAt }

// takeEffect carries the action out. The action CAPTURE also begins a capture.
func (e *execution) takeEffect(s *Server) {
	e.Ended = true
	e.Failure = s.carryOut(e)
	if e.Failure == nil {
		e.Outputs = s.outputs(e)
	}
	effect := Effect{
		Time: e.EndAt, Kind: Action, Action: e.Action, CallerID: e.CallerID, ExecutionID: e.ID,
		HostID: e.text("host.id"), ContainerID: e.text("container.id"), Parameters: e.Parameters,
	}
	if e.Undoes != "" {
		effect.Kind = Undo
	}
	if e.Failure != nil {
		effect.Failure = e.Failure.Reason
	}
	s.record(effect)
	if e.Action == "CAPTURE" && e.Failure == nil {
		s.record(Effect{
			Time: e.EndAt, Kind: Capture, ExecutionID: e.ID, HostID: effect.HostID, ContainerID: effect.ContainerID,
		})
	}
}

// Reasons why an action fails. Sysdig's own are not published.
const (
	HostNotFound         = "host_not_found"
	ContainerNotFound    = "container_not_found"
	ContainerNotEligible = "container_not_eligible" // dead, or not in the state the action needs
	ProcessNotFound      = "process_not_found"
	CaptureRefused       = "capture_refused"
)

// carryOut changes the world. Actions on clusters and clouds always succeed.
func (s *Server) carryOut(e *execution) *failure {
	if s.actions[e.Action].responder != "HOST" {
		return nil
	}
	h, ok := s.hostByID(e.text("host.id"))
	if !ok {
		return &failure{HostNotFound, fmt.Sprintf("no connected host %q", e.text("host.id"))}
	}
	id := e.text("container.id")
	if id != "" && !slices.Contains(h.Containers, id) {
		return &failure{ContainerNotFound, fmt.Sprintf("no container %q on host %s", id, h.Name)}
	}
	if e.Action == "CAPTURE" {
		return s.captureByAction(e, h)
	}
	if e.Action == "KILL_PROCESS" {
		key := fmt.Sprintf("%s/%v", h.ID, e.Parameters["process.id"])
		if s.state.Killed[key] {
			return &failure{ProcessNotFound, fmt.Sprintf("no process %v on host %s", e.Parameters["process.id"], h.Name)}
		}
		s.state.Killed[key] = true
		return nil
	}
	return s.changeContainer(e.Action, id)
}

// captureByAction begins a capture. The agent has one slot for all
// captures. That this action uses it too is inferred.
func (s *Server) captureByAction(e *execution, h Host) *failure {
	agent := strconv.FormatInt(h.AgentID, 10)
	if s.opts.AgentRefuses != "" {
		return &failure{CaptureRefused, s.opts.AgentRefuses}
	}
	if s.busy(agent, e.EndAt) {
		return &failure{CaptureRefused, ReasonBusy}
	}
	s.occupy(agent, e.EndAt.Add(s.uploadTime()))
	return nil
}

// changeContainer moves a container to the state the action leads to.
func (s *Server) changeContainer(action, id string) *failure {
	const running, paused, stopped, dead = "", "paused", "stopped", "dead"
	moves := map[string]struct {
		from []string
		to   string
	}{
		"KILL_CONTAINER":    {[]string{running, paused}, dead},
		"STOP_CONTAINER":    {[]string{running, paused}, stopped},
		"START_CONTAINER":   {[]string{stopped}, running},
		"PAUSE_CONTAINER":   {[]string{running}, paused},
		"UNPAUSE_CONTAINER": {[]string{paused}, running},
	}
	move, ok := moves[action]
	if !ok {
		return nil // leaves the container as it is
	}
	if now := s.state.Containers[id]; !slices.Contains(move.from, now) {
		return &failure{ContainerNotEligible, fmt.Sprintf("container %s is %s", id, now)}
	}
	s.state.Containers[id] = move.to
	return nil
}

// outputs makes up what the action tells.
func (s *Server) outputs(e *execution) map[string]any {
	var out map[string]any
	for _, name := range s.outputNames(s.actions[e.Action]) {
		if _, known := e.Parameters[name]; known {
			continue
		}
		if out == nil {
			out = map[string]any{}
		}
		out[name] = name + "-" + e.ID
	}
	return out
}

// outputNames are what an action may tell: the logs it was to get, for how
// Sysdig hands them out is not known, and what its reverse action will need to
// know beyond what the action must be told.
func (s *Server) outputNames(a action) []string {
	switch a.name {
	case "GET_LOGS", "FETCH_CLOUD_LOGS":
		return []string{"logs"}
	}
	return slices.DeleteFunc(slices.Clone(s.actions[a.undo].required), func(name string) bool {
		return slices.Contains(a.required, name)
	})
}
