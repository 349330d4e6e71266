// Package telemetry is how a Firebreak process tells how it is: its log, its
// metrics, and the ops endpoints that show them to a probe and to Prometheus.
// It must not know what the process does.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
)

// Logger returns the logger of a process. Format is "text" or "json"; empty
// means text when w is a terminal and JSON otherwise. Level is "debug", "info",
// "warn" or "error"; empty means info.
func Logger(w io.Writer, format, level string) (*slog.Logger, error) {
	var threshold slog.Level
	switch level {
	case "", "debug", "info", "warn", "error":
	default:
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	if level != "" {
		if err := threshold.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("log level %q: %w", level, err)
		}
	}
	if format == "" {
		format = "json"
		if terminal(w) {
			format = "text"
		}
	}
	options := &slog.HandlerOptions{Level: threshold, ReplaceAttr: rename}
	switch format {
	case "text":
		return slog.New(inTrace{slog.NewTextHandler(w, options)}), nil
	case "json":
		return slog.New(inTrace{slog.NewJSONHandler(w, options)}), nil
	default:
		return nil, fmt.Errorf("log format %q: want text or json", format)
	}
}

// terminal reports whether w is a character device, which the standard streams
// are when they go to a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
