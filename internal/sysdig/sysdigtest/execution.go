package sysdigtest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// execution is a response action that was accepted. Its status follows from the
// time, so that it goes on whether or not anybody looks.
type execution struct {
	ID         string
	CallerID   string
	Action     string
	Parameters map[string]any
	Outputs    map[string]any
	Failure    *failure
	Undoes     string // the ID of the execution being undone
	CreatedAt  time.Time
	StartAt    time.Time // ENQUEUED until then
	EndAt      time.Time // IN_PROGRESS until then
	Ended      bool
}

type failure struct {
	Reason  string `json:"failureReason"`
	Message string `json:"logMessage"`
}

var submissionFields = []field{
	required("actionType", filled), optional("callerId", printable(128)), required("parameters", anObject),
}

// submit answers POST on the executions. A caller ID that was used before makes
// no difference.
func (s *Server) submit(in *input) (any, *problem) {
	name := in.body["actionType"].(string)
	a, ok := s.actions[name]
	if !ok {
		return nil, badRequest("unknown actionType %q", name)
	}
	if p := s.denied(a.class() + exec); p != nil {
		return nil, p
	}
	parameters := in.body["parameters"].(map[string]any)
	if p := checkFields("parameter of "+name, parameters, a.parameters()); p != nil {
		return nil, p
	}
	callerID, _ := in.body["callerId"].(string)
	return s.view(s.enqueue(&execution{CallerID: callerID, Action: name, Parameters: parameters}, in.now), in.now), nil
}

func (s *Server) enqueue(e *execution, now time.Time) *execution {
	n := len(s.state.Executions) + 1
	e.ID = fmt.Sprintf("%08d-0000-4000-8000-%012d", n, n)
	e.CreatedAt = now.UTC()
	e.StartAt = e.CreatedAt.Add(s.opts.Step)
	e.EndAt = e.StartAt.Add(s.opts.Step)
	s.state.Executions = append(s.state.Executions, e)
	s.byID[e.ID] = e
	s.pending = append(s.pending, e)
	s.touch()
	return e
}

// defaultSpan is the time that the list covers without from. The real one is not
// published.
const defaultSpan = time.Hour

// listExecutions answers GET on the executions. It leaves out those whose class the
// token may not read, and is empty where it may read none: "Results will include
// the executions of the Response Actions you are allowed to see" (Sysdig's public
// OpenAPI, which has no word on a refusal). The newest come first; the real order
// is not published.
func (s *Server) listExecutions(in *input) (any, *problem) {
	to := in.number("to", in.now.UnixNano())
	from := in.number("from", to-int64(defaultSpan))
	if time.Duration(to-from) > maxSpan {
		return nil, badRequest(`query parameter "from": must be at most two weeks before "to"`)
	}
	if from > to {
		return nil, badRequest(`query parameter "from": must be a time before "to"`)
	}
	data := []any{}
	skip, limit := in.number("offset", 0), in.number("limit", 25)
	for _, e := range slices.Backward(s.state.Executions) {
		at := e.CreatedAt.UnixNano()
		if callerID, ok := in.query["callerId"]; ok && callerID != e.CallerID || at < from || at > to || !s.listed(e.CreatedAt, in.now) {
			continue
		}
		if !s.granted(s.actions[e.Action].class() + read) {
			continue
		}
		if skip--; skip < 0 && int64(len(data)) < limit {
			data = append(data, s.view(e, in.now))
		}
	}
	return map[string]any{"data": data}, nil
}

// listed reports whether what was created then is in the lists by now.
func (s *Server) listed(created, now time.Time) bool { return now.Sub(created) >= s.opts.ListLag }

func (s *Server) getExecution(in *input) (any, *problem) {
	e, p := s.execution(in.id, read)
	if p != nil {
		return nil, p
	}
	return s.view(e, in.now), nil
}

// undo answers DELETE on an execution with the execution of the reverse action.
// What has been undone, or is being undone, cannot be undone again, and neither
// can an undo. What Sysdig answers where nothing can be undone is not known.
func (s *Server) undo(in *input) (any, *problem) {
	e, p := s.execution(in.id, exec)
	if p != nil {
		return nil, p
	}
	reverse, ok := s.actions[s.actions[e.Action].undo]
	if !ok {
		return nil, notNow("%s cannot be undone", e.Action)
	}
	if e.status(in.now) != "COMPLETED" {
		return nil, notNow("execution %s is not COMPLETED", e.ID)
	}
	for _, u := range s.state.Executions {
		if u.Undoes == e.ID && u.Failure == nil {
			return nil, notNow("execution %s is undone by %s", e.ID, u.ID)
		}
	}
	parameters := map[string]any{}
	for _, name := range slices.Concat(reverse.required, reverse.optional) {
		if v, ok := e.Parameters[name]; ok {
			parameters[name] = v
		} else if v, ok := e.Outputs[name]; ok {
			parameters[name] = v
		}
	}
	callerID, _ := in.query["callerId"].(string)
	u := s.enqueue(&execution{CallerID: callerID, Action: reverse.name, Parameters: parameters, Undoes: e.ID}, in.now)
	return s.view(u, in.now), nil
}

// acquiredFile answers GET on the file that an execution has fetched. There is
// one for FILE_ACQUIRE only; what Sysdig answers otherwise is not known.
func (s *Server) acquiredFile(in *input) (any, *problem) {
	e, p := s.execution(in.id, read)
	if p != nil {
		return nil, p
	}
	if e.Action != "FILE_ACQUIRE" || e.status(in.now) != "COMPLETED" {
		return nil, notFound("execution %s has no acquired file", e.ID)
	}
	s.record(Effect{
		Time: in.now.UTC(), Kind: Download, ExecutionID: e.ID, HostID: e.text("host.id"), ContainerID: e.text("container.id"),
	})
	return file{AcquiredReader(e.ID, s.opts.CaptureSize), e.ID, s.opts.NoRange}, nil
}

// execution finds an execution for one who is to read it, or to run the reverse
// of it.
func (s *Server) execution(id string, permission Permission) (*execution, *problem) {
	e, ok := s.byID[id]
	if !ok {
		return nil, notFound("no execution %q", id)
	}
	return e, s.denied(s.actions[e.Action].class() + permission)
}

func (e *execution) status(now time.Time) string {
	switch {
	case e.Ended && e.Failure != nil:
		return "FAILED"
	case e.Ended:
		return "COMPLETED"
	case now.Before(e.StartAt):
		return "ENQUEUED"
	default:
		return "IN_PROGRESS"
	}
}

// view is the execution as Sysdig's public OpenAPI shows it.
func (s *Server) view(e *execution, now time.Time) map[string]any {
	place := map[string]string{}
	if h, ok := s.hostByID(e.text("host.id")); ok {
		place = map[string]string{"host.id": h.ID, "host.hostName": h.Name, "host.mac": h.MAC}
	}
	updated := e.CreatedAt
	if e.Ended {
		updated = e.EndAt
	}
	v := map[string]any{
		"id": e.ID, "callerId": e.CallerID, "actionType": e.Action,
		"responderType": s.actions[e.Action].responder, "executionContext": place,
		"parameters": e.Parameters, "outputs": e.Outputs, "status": e.status(now),
		"userId": userID, "createdAt": e.CreatedAt, "updatedAt": updated,
	}
	if e.Failure != nil {
		v["failure"] = e.Failure
	}
	if e.Undoes != "" {
		v["actionExecutionIdBeingUndone"] = e.Undoes
	}
	return v
}

// text is a parameter that is a string, or "".
func (e *execution) text(name string) string {
	s, _ := e.Parameters[name].(string)
	return s
}

// listActions answers GET …/actions, the catalogue.
func (s *Server) listActions(*input) (any, *problem) {
	if p := s.denied(containment+exec, gathering+exec); p != nil {
		return nil, p
	}
	type parameter struct {
		Name        string `json:"name"`
		Type        string `json:"type"`
		Required    bool   `json:"required"`
		Description string `json:"description"`
	}
	describe := func(name string, required bool) parameter {
		kind, _ := parameterType(name)
		return parameter{name, kind, required, "The " + name + "."}
	}
	data := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.actions)) {
		a := s.actions[name]
		parameters, outputs := []parameter{}, []parameter{}
		for _, f := range a.parameters() {
			parameters = append(parameters, describe(f.name, f.required))
		}
		for _, name := range s.outputNames(a) {
			outputs = append(outputs, describe(name, !slices.Contains(a.optional, name)))
		}
		data = append(data, map[string]any{
			"type": a.name, "description": "The action " + a.name + ".", "responderType": a.responder,
			"isUndoable": a.undo != "", "parameters": parameters, "outputs": outputs,
		})
	}
	return map[string]any{"data": data}, nil
}
