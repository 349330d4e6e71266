package telemetry

import (
	"log/slog"

	"go.uber.org/fx"
)

// Fatal ends a process when a part of it cannot go on.
func Fatal(shutdown fx.Shutdowner, log *slog.Logger) func(error) {
	return func(err error) {
		log.Error("cannot go on", "error", err)
		_ = shutdown.Shutdown(fx.ExitCode(1)) // fails only when it is shutting down already
	}
}

// Serve gives a process its server on an address, started and stopped with it.
func Serve(lc fx.Lifecycle, fatal func(error), listen string, ready *Readiness, m *Metrics, log *slog.Logger) *Server {
	s := NewServer(listen, ready, m.Registry, log, fatal)
	lc.Append(fx.StartStopHook(s.Start, s.Stop))
	return s
}
