package temporalserver

import (
	"context"
	"log/slog"
	"os"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logger writes the server's log to an slog.Logger.
type logger struct {
	slog *slog.Logger
	// alarm is the lowest level that is news. What lies below is written as
	// information: services that come and go complain of one another, and there
	// is nothing to do about it.
	alarm slog.LevelVar
}

// The levels that are news while the server starts, runs and stops.
const (
	alarmStarting = slog.LevelError
	alarmRunning  = slog.LevelWarn
	alarmStopping = slog.LevelError + 1
)

func newLogger(l *slog.Logger) *logger {
	starting := &logger{slog: l}
	starting.alarm.Set(alarmStarting)
	return starting
}

var (
	_ log.Logger      = (*logger)(nil)
	_ log.SLogWrapper = (*logger)(nil)
)

// SLog gives the server's own users of slog the logger underneath.
func (l *logger) SLog() *slog.Logger { return l.slog }

func (l *logger) Debug(msg string, tags ...tag.Tag)  { l.write(slog.LevelDebug, msg, tags) }
func (l *logger) Info(msg string, tags ...tag.Tag)   { l.write(slog.LevelInfo, msg, tags) }
func (l *logger) Warn(msg string, tags ...tag.Tag)   { l.write(slog.LevelWarn, msg, tags) }
func (l *logger) Error(msg string, tags ...tag.Tag)  { l.write(slog.LevelError, msg, tags) }
func (l *logger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

// Panic writes the message and panics, as log.Logger demands.
func (l *logger) Panic(msg string, tags ...tag.Tag) {
	l.write(alarmStopping, msg, tags)
	panic(msg)
}

// Fatal writes the message and ends the process, as log.Logger demands.
func (l *logger) Fatal(msg string, tags ...tag.Tag) {
	l.write(alarmStopping, msg, tags)
	os.Exit(1)
}

func (l *logger) write(level slog.Level, msg string, tags []tag.Tag) {
	if level < l.alarm.Level() {
		level = min(level, slog.LevelInfo)
	}
	ctx := context.Background()
	if !l.slog.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, len(tags))
	for i, t := range tags {
		attrs[i] = slog.Any(t.Key(), t.Value())
	}
	l.slog.LogAttrs(ctx, level, msg, attrs...)
}
