package sysdigtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// route is an endpoint: what it accepts, and what answers it.
type route struct {
	method, pattern string
	query           []field
	body            []field // nil: no body
	success         int
	// handle runs with Server.mu held and everything up to now settled. It
	// returns the answer, a download, or a problem.
	handle func(*input) (any, *problem)
}

// input is a request that has passed the route's checks.
type input struct {
	id    string
	query map[string]any
	body  map[string]any
	now   time.Time
}

// problem is a refusal.
type problem struct {
	status int
	// invalid says that the request is not as Sysdig describes it.
	invalid bool
	Type    string   `json:"type"`
	Message string   `json:"message"`
	Details []string `json:"details"`
}

// badRequest refuses a request that is not as Sysdig describes it.
func badRequest(format string, args ...any) *problem {
	p := notNow(format, args...)
	p.invalid = true
	return p
}

// notNow refuses a request that is fine, but for the state of things.
func notNow(format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, Type: "bad_request", Message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *problem {
	return &problem{status: http.StatusNotFound, Type: "resource_not_found", Message: fmt.Sprintf(format, args...)}
}

// endpoint is how [Options] call the route.
func (rt route) endpoint() string { return rt.method + " " + rt.pattern }

// table is the API, both families of it.
func (s *Server) table() []route {
	const actions, executions = "/secure/response-actions/v1alpha1/actions", "/secure/response-actions/v1alpha1/action-executions"
	const legacyEvents = "/api/v1/secureEvents"
	const events, captures, dumps = "/secure/events/v1/events", CapturesPath, DumpsPath
	listed := []field{
		optional("callerId", printable(128)), optional("limit", within(1, 200)), optional("offset", whole),
		optional("from", whole), optional("to", whole),
	}
	dumped := []field{
		required("source", exactly("SDS")), optional("from", whole), optional("to", whole), optional("scopeFilter", printable(512)),
	}
	eventsListed := []field{
		optional("from", whole), optional("to", whole), optional("cursor", printable(512)),
		optional("limit", within(1, 200)), optional("filter", printable(2048)), optional("zones", printable(512)),
	}
	legacyListed := []field{
		optional("from", whole), optional("to", whole), optional("cursor", printable(512)),
		optional("limit", within(1, 999)), optional("filter", printable(2048)),
	}
	return []route{
		{"GET", actions, []field{optional("context", printable(4096))}, nil, 200, s.listActions},
		{"POST", executions, nil, submissionFields, 201, s.submit},
		{"GET", executions, listed, nil, 200, s.listExecutions},
		{"GET", executions + "/{id}", nil, nil, 200, s.getExecution},
		{"GET", executions + "/{id}/acquired-file", nil, nil, 200, s.acquiredFile},
		{"DELETE", executions + "/{id}", []field{optional("callerId", printable(128))}, nil, 200, s.undo},
		{"GET", events, eventsListed, nil, 200, s.listEvents},
		{"GET", events + "/{id}", nil, nil, 200, s.getEvent},

		{"GET", legacyEvents, legacyListed, nil, 200, s.listLegacyEvents},
		{"GET", legacyEvents + "/status", nil, nil, 200, s.legacyStatus},
		{"GET", legacyEvents + "/{id}", nil, nil, 200, s.getLegacyEvent},

		{"GET", "/api/agents/connected", nil, nil, 200, s.agents},
		{"GET", "/api/users/me", nil, nil, 200, s.me},
		{"GET", "/api/users/me/permissions", nil, nil, 200, s.permissions},
		{"POST", captures, nil, captureFields, 201, s.createCapture},
		// That captures are listed and read under this path is described nowhere.
		{"GET", captures, dumped, nil, 200, s.listCaptures("captures")},
		{"GET", captures + "/{id}", nil, nil, 200, s.getCapture("capture")},
		{"GET", captures + "/{id}/download", nil, nil, 200, s.download},
		{"POST", dumps, nil, dumpFields, 201, s.createDump},
		{"GET", dumps, dumped, nil, 200, s.listCaptures("dumps")},
		{"GET", dumps + "/{id}", dumped[:1], nil, 200, s.getCapture("dump")},
		{"GET", dumps + "/{id}/download", []field{required("_product", exactly("SDS"))}, nil, 200, s.download},
	}
}

// routes serves the table.
func (s *Server) routes() http.Handler {
	byPattern := map[string]map[string]route{}
	for _, rt := range s.table() {
		if byPattern[rt.pattern] == nil {
			byPattern[rt.pattern] = map[string]route{}
		}
		byPattern[rt.pattern][rt.method] = rt
	}
	mux := http.NewServeMux()
	for pattern, methods := range byPattern {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			rt, ok := methods[r.Method]
			if !ok {
				w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
				s.refuse(w, r, &problem{
					status: http.StatusMethodNotAllowed, invalid: true, Type: "method_not_allowed", Message: "Method not allowed",
				})
				return
			}
			s.serve(rt, w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p := notFound("no such endpoint: %s", r.URL.Path)
		p.invalid = true
		s.refuse(w, r, p)
	})
	return mux
}

// serve checks a request, lets the route handle it and writes the answer, after
// the state it left is safe.
func (s *Server) serve(rt route, w http.ResponseWriter, r *http.Request) {
	if slices.Contains(s.opts.Without, rt.endpoint()) {
		s.refuse(w, r, notFound("no such endpoint here: %s", r.URL.Path))
		return
	}
	if slices.ContainsFunc(s.opts.Closed, func(family string) bool {
		return rt.pattern == family || strings.HasPrefix(rt.pattern, family+"/")
	}) {
		s.refuse(w, r, &problem{status: http.StatusForbidden, Type: "forbidden", Message: "Access is denied"})
		return
	}
	in := &input{id: r.PathValue("id")}
	var p *problem
	if in.query, p = readQuery(r, rt.query); p == nil && rt.body != nil {
		in.body, p = readBody(r, rt.body)
	}
	if p != nil {
		s.refuse(w, r, p)
		return
	}
	answer, p := s.handle(rt, in)
	if p != nil {
		s.refuse(w, r, p)
		return
	}
	if file, ok := answer.(file); ok {
		file.serve(w, r)
		return
	}
	writeJSON(w, rt.success, answer)
}

func (s *Server) handle(rt route, in *input) (any, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in.now = time.Now()
	s.settle(in.now)
	answer, p := rt.handle(in)
	s.save()
	if s.saveErr != nil {
		p = &problem{status: http.StatusInternalServerError, Type: "internal_server_error", Message: s.saveErr.Error()}
	}
	return answer, p
}

func readQuery(r *http.Request, fields []field) (map[string]any, *problem) {
	query := map[string]any{}
	for name, values := range r.URL.Query() {
		if len(values) > 1 {
			return nil, badRequest("query parameter %q is repeated", name)
		}
		query[name] = values[0]
	}
	return query, checkFields("query parameter", query, fields)
}

func readBody(r *http.Request, fields []field) (map[string]any, *problem) {
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/json" {
		return nil, badRequest("Content-Type %q: want application/json", r.Header.Get("Content-Type"))
	}
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
	if err != nil {
		return nil, notNow("the body breaks off") // its sender was killed
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var body map[string]any
	if err := dec.Decode(&body); err != nil || body == nil {
		return nil, badRequest("the body is not a JSON object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, badRequest("the body goes on after its JSON object")
	}
	return body, checkFields("key", body, fields)
}

// refuse writes a problem, after it was noted if the request is to blame.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	if p.invalid {
		s.noteInvalid(fmt.Sprintf("%s %s: %d %s", r.Method, r.URL.RequestURI(), p.status, p.Message))
	}
	writeProblem(w, r, p)
}

// writeProblem writes a problem in the shape of the API family that was asked.
func writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		writeJSON(w, p.status, p)
		return
	}
	type legacy struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
	writeJSON(w, p.status, map[string]any{"errors": []legacy{{p.Type, p.Message}}})
}

// writeJSON writes an answer of known length, so that one that is cut off can be
// told from one that is not.
func writeJSON(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"type":"internal_server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw) // nobody is left to tell
}
