package sysdigtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong with requests. The fault that was added
// first applies; it is told apart from what Sysdig refuses by itself in that the
// request is fine.
type Fault struct {
	// Method and Path choose the requests; empty matches every one. A path with
	// "*" is a pattern in which "*" stays within a segment; any other matches
	// what begins with it.
	Method string
	Path   string
	// Times is how many requests it applies to; 0 means until it is cleared.
	Times int
	// Latency holds the answer back; by then the request has taken effect.
	Latency time.Duration
	// Status answers with that status, in the words of an error whatever it is.
	// The request does not take effect, unless After is set.
	Status int
	// After has the request take effect before Status answers it.
	After bool
	// RetryAfter is sent along with Status.
	RetryAfter time.Duration
	// ResetBefore breaks the connection; the request does not take effect.
	ResetBefore bool
	// ResetAfter breaks the connection after the request has taken effect.
	ResetAfter bool
	// Truncate breaks the connection in the middle of the answer's body.
	Truncate bool
}

// UnmarshalJSON reads the keys method, path, times, latency ("2s"), status,
// after, retry_after ("30s"), reset_before, reset_after and truncate.
func (f *Fault) UnmarshalJSON(raw []byte) error {
	var in struct {
		Method      string `json:"method"`
		Path        string `json:"path"`
		Times       int    `json:"times"`
		Latency     string `json:"latency"`
		Status      int    `json:"status"`
		After       bool   `json:"after"`
		RetryAfter  string `json:"retry_after"`
		ResetBefore bool   `json:"reset_before"`
		ResetAfter  bool   `json:"reset_after"`
		Truncate    bool   `json:"truncate"`
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	*f = Fault{
		Method: in.Method, Path: in.Path, Times: in.Times, Status: in.Status, After: in.After,
		ResetBefore: in.ResetBefore, ResetAfter: in.ResetAfter, Truncate: in.Truncate,
	}
	var err error
	if in.Latency != "" {
		if f.Latency, err = time.ParseDuration(in.Latency); err != nil {
			return fmt.Errorf("latency: %w", err)
		}
	}
	if in.RetryAfter != "" {
		if f.RetryAfter, err = time.ParseDuration(in.RetryAfter); err != nil {
			return fmt.Errorf("retry_after: %w", err)
		}
	}
	return nil
}

// Fault adds a fault.
func (s *Server) Fault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// ClearFaults removes every fault.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault uses up the first fault that matches.
func (s *Server) takeFault(a arrival) (Fault, bool) {
	for i, f := range s.faults {
		if !matches(f.Method, f.Path, a) {
			continue
		}
		switch f.Times {
		case 0: // until cleared
		case 1:
			s.faults = slices.Delete(s.faults, i, i+1)
		default:
			s.faults[i].Times--
		}
		return f, true
	}
	return Fault{}, false
}

func matches(method, pattern string, a arrival) bool {
	if method != "" && method != a.method {
		return false
	}
	if strings.Contains(pattern, "*") {
		ok, err := path.Match(pattern, a.path)
		return ok && err == nil
	}
	return strings.HasPrefix(a.path, pattern)
}

// play answers a request as the fault has it. Panicking with ErrAbortHandler is
// how net/http breaks a connection.
func (f Fault) play(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch {
	case f.ResetBefore:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		if f.After {
			next.ServeHTTP(&discarded{header: http.Header{}}, r)
		}
		_, _ = io.Copy(io.Discard, r.Body) // an unread body hides that the client has gone
		wait(r.Context(), f.Latency)
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
		}
		writeProblem(w, r, &problem{
			status:  f.Status,
			Type:    strings.ReplaceAll(strings.ToLower(http.StatusText(f.Status)), " ", "_"),
			Message: http.StatusText(f.Status),
		})
		return
	}
	next.ServeHTTP(&faultyWriter{ResponseWriter: w, fault: f, ctx: r.Context()}, r)
	if f.ResetAfter {
		panic(http.ErrAbortHandler)
	}
}

// discarded is an answer that nobody sees.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d *discarded) WriteHeader(int)             {}

// wait returns early if the client has gone.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// faultyWriter delays, drops or cuts an answer whose request has already taken
// effect.
type faultyWriter struct {
	http.ResponseWriter
	fault   Fault
	ctx     context.Context
	started bool
	left    int // bytes until the cut
}

func (w *faultyWriter) WriteHeader(status int) {
	if w.started {
		return
	}
	w.started = true
	wait(w.ctx, w.fault.Latency)
	if w.fault.ResetAfter {
		return
	}
	length, _ := strconv.Atoi(w.Header().Get("Content-Length")) // every answer has one
	w.left = length / 2
	w.ResponseWriter.WriteHeader(status)
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.fault.ResetAfter:
		return len(p), nil
	case !w.fault.Truncate:
		return w.ResponseWriter.Write(p)
	case w.left < len(p):
		n, _ := w.ResponseWriter.Write(p[:w.left])
		w.left = 0
		// net/http closes a connection whose answer is shorter than announced.
		return n, errors.New("cut off")
	}
	w.left -= len(p)
	return w.ResponseWriter.Write(p)
}
