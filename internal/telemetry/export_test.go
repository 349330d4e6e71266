package telemetry

import (
	"log/slog"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Hurry makes a server's patience with clients short, for tests.
func (s *Server) Hurry(header, request time.Duration) {
	s.http.ReadHeaderTimeout, s.http.ReadTimeout = header, request
}

// Patience is how long a server waits: for a request's headers, for a request,
// until an answer is written, and for the next request.
func (s *Server) Patience() [4]time.Duration {
	return [4]time.Duration{s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout}
}

// NewTestTracing is a tracing whose spans go where the options say.
func NewTestTracing(log *slog.Logger, options ...sdktrace.TracerProviderOption) *Tracing {
	return newTracing(log, options...)
}
