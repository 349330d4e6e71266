package telemetry

import "time"

// Hurry makes a server's patience with clients short, for tests.
func (s *Server) Hurry(header, request time.Duration) {
	s.http.ReadHeaderTimeout, s.http.ReadTimeout = header, request
}

// Patience is how long a server waits: for a request's headers, for a request,
// until an answer is written, and for the next request.
func (s *Server) Patience() [4]time.Duration {
	return [4]time.Duration{s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout}
}
