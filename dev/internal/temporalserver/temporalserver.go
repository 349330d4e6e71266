// Package temporalserver runs a Temporal server and its Web UI inside this
// process, on one SQLite database, with the namespaces and search attributes
// Firebreak needs: what `temporal server start-dev` does, as a library.
//
// It is for demonstrations, tests and benchmarks. Unless Options.TLS and
// Options.Auth say otherwise, nothing is encrypted and nobody is authenticated, so
// it binds to loopback addresses and refuses any other. The product must not
// import it.
package temporalserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"

	uiserver "github.com/temporalio/ui-server/v2/server"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/temporal"
)

// The ports that people and tools expect.
const (
	DefaultPort   = 7233
	DefaultUIPort = 8233
)

// DefaultNamespace exists on every server.
const DefaultNamespace = "default"

const defaultIP = "127.0.0.1"

// Options say what to run. The zero value is a server in memory, with its Web
// UI, both on free ports.
type Options struct {
	// IP is the loopback address to bind to, 127.0.0.1 by default.
	IP string
	// Port is where Temporal answers; 0 picks a free one.
	Port int
	// UIPort is where the Web UI answers; 0 picks a free one.
	UIPort int
	// Headless leaves the Web UI out.
	Headless bool
	// DatabaseFile is the SQLite file, made with its folder if it is not there.
	// Empty keeps everything in memory, until Stop.
	DatabaseFile string
	// Namespaces are made if they are not there, beside DefaultNamespace.
	Namespaces []string
	// SearchAttributes are registered beside Firebreak's own.
	SearchAttributes map[string]enumspb.IndexedValueType
	// DynamicConfig overrides the server's settings, by Temporal's names for them.
	DynamicConfig map[string]any
	// Auth makes the server authenticate its callers. Nil lets everybody do
	// everything.
	Auth *Auth
	// TLS makes the server speak TLS with its callers. Nil leaves it in plain text.
	TLS *TLS
	// Logger takes the server's log, as much as its level lets through; the
	// server has much to say below warning. Nil discards it.
	Logger *slog.Logger
}

// Server is a running Temporal server.
type Server struct {
	options   Options
	authority *authority
	secrecy   *secrecy
	logger    *logger
	temporal  temporal.Server
	ui        *uiserver.Server
	stop      sync.Once
}

// Start starts a server and returns when it answers. It does not block while the
// server runs; call Stop to end it. The context bounds the start only.
func Start(ctx context.Context, options Options) (*Server, error) {
	s, err := newServer(options)
	if err != nil {
		return nil, err
	}
	if err := s.temporal.Start(); err != nil {
		return nil, fmt.Errorf("start temporal: %w", err)
	}
	if s.ui != nil {
		// Start returns when Stop closes the listener. It reports no error: that
		// its port is free was checked beforehand.
		go func() { _ = s.ui.Start() }()
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	s.logger.alarm.Set(alarmRunning)
	return s, nil
}

func newServer(options Options) (*Server, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	database, err := openDatabase(options)
	if err != nil {
		return nil, err
	}
	s := &Server{options: options, logger: newLogger(options.Logger)}
	if s.authority, err = openAuthority(options); err != nil {
		return nil, err
	}
	if s.secrecy, err = newSecrecy(options.TLS); err != nil {
		return nil, err
	}
	if s.temporal, err = newTemporal(options, s.authority, s.secrecy, database, s.logger); err != nil {
		return nil, fmt.Errorf("configure temporal: %w", err)
	}
	if !options.Headless {
		s.ui = newUI(options, s.secrecy)
	}
	return s, nil
}

// Address is where Temporal answers, as host:port.
func (s *Server) Address() string { return s.options.address() }

// UIURL is where the Web UI answers, and empty if there is none.
func (s *Server) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return "http://" + s.options.uiAddress()
}

// Namespaces lists the namespaces that were asked for.
func (s *Server) Namespaces() []string { return slices.Clone(s.options.Namespaces) }

// Stop ends the Web UI and the server, in about a second. What is in the
// database file stays. Stopping again does nothing.
func (s *Server) Stop() { s.stop.Do(s.stopAll) }

func (s *Server) stopAll() {
	s.logger.alarm.Set(alarmStopping)
	if s.ui != nil {
		s.ui.Stop()
	}
	if err := s.temporal.Stop(); err != nil {
		s.options.Logger.Error("stop temporal", "error", err)
	}
}

// complete checks the options and fills in what was left open, ports included.
func (o Options) complete() (Options, error) {
	o.IP = cmp.Or(o.IP, defaultIP)
	if ip := net.ParseIP(o.IP); ip == nil || !ip.IsLoopback() {
		return o, fmt.Errorf("ip %q: want a loopback address such as %s, since anybody may read", o.IP, defaultIP)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Namespaces = unique(append([]string{DefaultNamespace}, o.Namespaces...))
	if slices.Contains(o.Namespaces, "") {
		return o, errors.New(`namespace "": want a name`)
	}
	if err := errors.Join(o.Auth.check(), o.TLS.check()); err != nil {
		return o, err
	}

	var err error
	if o.Port, err = choosePort(o.IP, o.Port); err != nil {
		return o, fmt.Errorf("temporal port: %w", err)
	}
	if o.Headless {
		return o, nil
	}
	if o.UIPort, err = choosePort(o.IP, o.UIPort); err != nil {
		return o, fmt.Errorf("web ui port: %w", err)
	}
	return o, nil
}

func (o Options) address() string   { return net.JoinHostPort(o.IP, strconv.Itoa(o.Port)) }
func (o Options) uiAddress() string { return net.JoinHostPort(o.IP, strconv.Itoa(o.UIPort)) }

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
