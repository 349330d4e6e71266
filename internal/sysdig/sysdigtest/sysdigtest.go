// Package sysdigtest is a simulated Sysdig Secure, to test against what httptest
// is to test HTTP against: in the same process, or served by a process of its
// own for a demonstration.
//
// It is stricter than Sysdig wherever Sysdig's published descriptions leave room
// to be: a key, parameter or query parameter that none of them names is refused,
// and so is a value of the wrong type. Where they are silent it behaves as badly
// as it could: a repeated callerId runs the action again, a capture of an
// unknown agent stays "requested" for ever.
//
// Such a request is a mistake of whoever sent it, so it is also noted: a test
// asserts at its end that [Server.Invalid] is empty.
//
// Actions and captures run asynchronously and change containers that can be
// killed once. Whatever takes effect is written to a ledger, so that a test can
// say what happened to the world, not merely what was asked for. Faults make
// requests slow, refused, cut off before or after they took effect.
//
// One server answers for both host families of Sysdig, the application host and
// the API host. Beside them it serves, without authentication and exempt from
// faults, for those outside the process:
//
//	GET    /sim/ledger   the ledger, an array of [Effect]
//	GET    /sim/invalid  the requests that were invalid, an array of strings
//	POST   /sim/faults   adds a [Fault]
//	DELETE /sim/faults   clears the faults
//
// The package must not be used by the product itself.
package sysdigtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"firebreak/internal/sysdig"
)

// Options shape a Server. The zero value is a good default.
type Options struct {
	// Token is the only API token accepted. Default: "test-token".
	Token string
	// CustomerID and CustomerName own the token. Default: 55001, "Acme Corp".
	CustomerID   int64
	CustomerName string
	// Hosts are the hosts with a connected agent. Default: DefaultHosts.
	Hosts []Host
	// Step is how long each stage lasts: ENQUEUED and IN_PROGRESS of an
	// execution; requested and capturing of a capture, whatever duration it asked
	// for. Default: 2ms.
	Step time.Duration
	// CaptureSize is the size of every capture's file, and of every acquired one.
	// Default: 64 KiB.
	CaptureSize int64
	// UploadRate is how fast an agent uploads a capture, in bytes a second; an upload
	// takes one Step at least. Default: 1 MiB/s, the agent's (capture_job_handler.cpp).
	UploadRate int64
	// AgentRefuses are the words in which every agent refuses every capture, like
	// ReasonDisabled. The capture is accepted first and ends in error. Default: "", no
	// refusal.
	AgentRefuses string
	// ReasonKey is the key of a failed capture that holds the agent's words: which it
	// is at Sysdig is not known. Default: "errorMessage"; "-" leaves them out.
	ReasonKey string
	// RefuseBusyAtOnce refuses a capture of a busy host by HTTP, where the agent would
	// have done so later: Sysdig's documentation of captures has the words, and says
	// not who speaks them.
	RefuseBusyAtOnce bool
	// Closed are families of capture paths that the token may not use, of
	// CapturesPath and DumpsPath: that one role opens both is not known.
	Closed []string
	// Events are served by both events feeds. Each is an item of the Next-Gen feed: an
	// object with an id of at most 32 characters and a timestamp in nanoseconds. No
	// other key is checked.
	Events []json.RawMessage
	// ListLag is how long a new execution or capture stays out of the lists:
	// nothing says that Sysdig's are up to date. By its ID it is found at once.
	ListLag time.Duration
	// Deny are permissions that the token lacks, of [Permissions]. Default: none.
	Deny []Permission
	// Without are endpoints that this Sysdig does not have, as they are written in
	// the table of routes: "GET /api/v1/captures/{id}". Default: none.
	Without []string
	// NoRange makes downloads start at the first byte whatever Range asks for, and
	// gives them no ETag, as it may be with Sysdig: nobody says.
	NoRange bool
	// RateLimit is the number of requests allowed per minute, 1 to 4096. Every answer
	// of the API host announces it in X-RateLimit-Limit, and one request too many is
	// answered 429 with Retry-After in seconds (Sysdig's public OpenAPI). That the
	// minute is a fixed one, and that requests to the application host count and do
	// not announce the limit, is an assumption. Default: 4096 is announced, and
	// nothing refused. Unlimited announces nothing, for measuring without Sysdig's
	// part.
	RateLimit int
	// StateFile keeps executions, captures, containers and the ledger over a
	// restart. Default: in memory only.
	StateFile string
}

// Permission is what a token may do, in Sysdig's words (its public OpenAPI).
type Permission string

// The permissions: to run and to read actions of either class, and to read events.
const (
	ContainmentExec Permission = containment + exec
	ContainmentRead Permission = containment + read
	GatheringExec   Permission = gathering + exec
	GatheringRead   Permission = gathering + read
	EventsRead      Permission = "policy-events.read"
)

const (
	containment = "containment-response-actions."
	gathering   = "data-gathering-response-actions."
	exec        = "exec"
	read        = "read"
)

// The families of paths by which captures are created and read: of the Cortex XSOAR
// pack, and of sysdig-sdk-python.
const (
	CapturesPath = "/api/v1/captures"
	DumpsPath    = "/api/sysdig"
)

// Permissions returns all permissions that there are.
func Permissions() []Permission {
	return []Permission{ContainmentExec, ContainmentRead, GatheringExec, GatheringRead, EventsRead}
}

// Deny takes the permissions from the token, and gives it all others.
func (s *Server) Deny(permissions ...Permission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny = permissions
}

// granted reports whether the token has a permission.
func (s *Server) granted(p Permission) bool { return !slices.Contains(s.deny, p) }

// denied refuses a token that lacks every one of the permissions.
func (s *Server) denied(permissions ...Permission) *problem {
	if slices.ContainsFunc(permissions, s.granted) {
		return nil
	}
	return &problem{status: http.StatusForbidden, Type: "forbidden", Message: "missing permission " + string(permissions[0])}
}

// permissions answers GET /api/users/me/permissions, in the shape that Sysdig's MCP
// server reads.
func (s *Server) permissions(*input) (any, *problem) {
	names := []Permission{}
	for _, p := range Permissions() {
		if s.granted(p) {
			names = append(names, p)
		}
	}
	return map[string]any{"customerId": s.opts.CustomerID, "userId": userID, "teamId": teamID, "permissions": names}, nil
}

// teamID is the team of the token.
const teamID = 77

const (
	// maxRateLimit is the largest X-RateLimit-Limit there can be (Sysdig's public
	// OpenAPI).
	maxRateLimit = 4096
	// Unlimited is a RateLimit that is not announced.
	Unlimited = -1
)

// Server is the simulated Sysdig Secure. It is an http.Handler.
type Server struct {
	// URL is the base URL of the server, which Start sets. Whoever serves a
	// Server by other means sets it for Config.
	URL string

	opts    Options
	actions map[string]action
	events  []event
	api     http.Handler
	sim     http.Handler

	mu       sync.Mutex
	deny     []Permission
	state    state
	byID     map[string]*execution
	pending  []pending // what has yet to take effect
	saveErr  error
	faults   []Fault
	requests []arrival
	changed  chan struct{} // closed and replaced at every change
	window   time.Time     // start of the rate limit's minute
	inWindow int
}

// New returns a server that listens nowhere yet. If there is a state file that
// cannot be read or written, or an option that means nothing, every request is
// answered with 500 and the reason.
func New(opts Options) *Server {
	opts.Token = cmp.Or(opts.Token, "test-token")
	opts.CustomerID = cmp.Or(opts.CustomerID, 55001)
	opts.CustomerName = cmp.Or(opts.CustomerName, "Acme Corp")
	opts.Step = cmp.Or(opts.Step, 2*time.Millisecond)
	opts.CaptureSize = cmp.Or(opts.CaptureSize, 64<<10)
	opts.UploadRate = cmp.Or(opts.UploadRate, 1<<20)
	if opts.ReasonKey = cmp.Or(opts.ReasonKey, "errorMessage"); opts.ReasonKey == "-" {
		opts.ReasonKey = ""
	}
	if opts.Hosts == nil {
		opts.Hosts = DefaultHosts()
	}
	s := &Server{opts: opts, deny: opts.Deny, actions: catalogue(), byID: map[string]*execution{}, changed: make(chan struct{})}
	s.api = s.authenticated(s.routes())
	s.sim = s.simRoutes()
	var err error
	s.events, err = readEvents(opts.Events)
	s.saveErr = errors.Join(err, s.checkOptions(), s.load())
	return s
}

// checkOptions refuses names that nothing has, which would change nothing.
func (s *Server) checkOptions() error {
	var errs []error
	if s.opts.RateLimit < Unlimited || s.opts.RateLimit > maxRateLimit {
		errs = append(errs, fmt.Errorf("rate limit %d: must be between 1 and %d, or %d", s.opts.RateLimit, maxRateLimit, Unlimited))
	}
	for _, p := range s.opts.Deny {
		if !slices.Contains(Permissions(), p) {
			errs = append(errs, fmt.Errorf("deny %q: must be one of %q", p, Permissions()))
		}
	}
	for _, endpoint := range s.opts.Without {
		if !slices.ContainsFunc(s.table(), func(rt route) bool { return rt.endpoint() == endpoint }) {
			errs = append(errs, fmt.Errorf("without %q: there is no such endpoint", endpoint))
		}
	}
	for _, family := range s.opts.Closed {
		if family != CapturesPath && family != DumpsPath {
			errs = append(errs, fmt.Errorf("closed %q: expected %s or %s", family, CapturesPath, DumpsPath))
		}
	}
	return errors.Join(errs...)
}

// Start serves a new Server until the test ends. It is found under a base path,
// so that a client which forgets about its base URL's path fails.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s := New(opts)
	ts := httptest.NewServer(http.StripPrefix("/base", s))
	t.Cleanup(func() {
		ts.CloseClientConnections() // a fault may hold a request back for long
		ts.Close()
	})
	s.URL = ts.URL + "/base"
	return s
}

// Config is the configuration of a client that talks to the server.
func (s *Server) Config() sysdig.Config {
	return sysdig.Config{AppURL: s.URL, APIURL: s.URL, Token: s.opts.Token}
}

// Hosts are the hosts with a connected agent.
func (s *Server) Hosts() []Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opts.Hosts
}

// SetHosts changes which hosts have a connected agent: agents come back with another
// agent ID, and of cloned machines that share a MAC address Sysdig lists only the
// one that connected last (draios/kubernetes-sysdig-metrics-apiserver, issue 1).
func (s *Server) SetHosts(hosts []Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Hosts = hosts
}

// ServeHTTP answers for Sysdig, or plays the fault that is due.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/sim/") {
		s.sim.ServeHTTP(w, r)
		return
	}
	if s.opts.RateLimit != Unlimited && strings.HasPrefix(r.URL.Path, "/secure/") {
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(cmp.Or(s.opts.RateLimit, maxRateLimit)))
	}
	if f, ok := s.arrive(r); ok {
		f.play(w, r, s.api)
		return
	}
	s.api.ServeHTTP(w, r)
}

// authenticated lets requests pass that hold the token and keep the rate limit.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+s.opts.Token {
			writeJSON(w, http.StatusUnauthorized, problem{Type: "unauthorized", Message: "Unauthorized"})
			return
		}
		if wait := s.overLimit(); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			writeJSON(w, http.StatusTooManyRequests, problem{Type: "too_many_requests", Message: "Too many requests"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// overLimit counts a request against the rate limit, and returns how long until
// the next one is allowed: 0 for at once.
func (s *Server) overLimit() time.Duration {
	if s.opts.RateLimit <= 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.window) >= time.Minute {
		s.window, s.inWindow = now, 0
	}
	if s.inWindow >= s.opts.RateLimit {
		return s.window.Add(time.Minute).Sub(now)
	}
	s.inWindow++
	return 0
}
