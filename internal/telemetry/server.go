package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Server serves a process's probes and metrics on one listener, and beside them
// what else the process serves.
type Server struct {
	listen   string
	mux      *http.ServeMux
	http     *http.Server
	ready    *Readiness
	log      *slog.Logger
	failed   func(error)
	listener net.Listener
}

// NewServer returns a server that will listen on an address, whose port may be
// 0. Failed is told when it stops serving without having been stopped.
func NewServer(listen string, ready *Readiness, registry *prometheus.Registry, log *slog.Logger, failed func(error)) *Server {
	mux := http.NewServeMux()
	ops := Ops(registry, ready.Ready)
	mux.Handle("/livez", ops)
	mux.Handle("/readyz", ops)
	mux.Handle("/metrics", ops)
	var protocols http.Protocols
	protocols.SetHTTP1(true) // a sender has one request at a time: HTTP/2 would only be more to attack
	return &Server{
		listen: listen, mux: mux, ready: ready, log: log, failed: failed,
		http: &http.Server{
			Handler:   mux,
			Protocols: &protocols,
			// Requests are small and come at once: one that drips holds a
			// connection that others need. The first bounds the TLS handshake too.
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      15 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
	}
}

// Handle adds what else is served. Call it before Start.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// UseTLS makes the server speak TLS with the certificate that is current for
// each connection. Clients are asked for a certificate, and served without one:
// whoever wants one verifies it himself, for not all that is served does, and
// clients have authorities of their own. Call it before Start.
func (s *Server) UseTLS(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) {
	s.http.TLSConfig = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: certificate,
		ClientAuth:     tls.RequestClientCert,
	}
}

// Start listens and returns.
func (s *Server) Start(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.listener = listener
	s.log.Info("listening", "address", s.Address(), "tls", s.http.TLSConfig != nil)
	serve := s.http.Serve
	if s.http.TLSConfig != nil {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	go func() {
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed(fmt.Errorf("serve: %w", err))
		}
	}()
	return nil
}

// Address is where the server listens, once it has been started.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Stop says that the process is not ready any more, and returns when the
// requests that are under way have been answered; when ctx ends first, they are
// cut.
func (s *Server) Stop(ctx context.Context) error {
	s.ready.Drain()
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("drain requests: %w", errors.Join(err, s.http.Close()))
	}
	return nil
}
