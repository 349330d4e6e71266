// Package reread holds what is read from files, and read anew when the files
// change, so that it can be rotated without a restart. It does not watch:
// whoever uses the value looks whether its files are still the same, which costs
// a stat.
package reread

import (
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// Files is a value that is read from some files. It is safe for concurrent use.
type Files[T any] struct {
	paths []string
	read  func() (T, error)
	log   *slog.Logger

	mu    sync.Mutex
	seen  []stamp
	value T
	// failed is why the files cannot be used as they are, nil if they can; tried is
	// when that was seen.
	failed error
	tried  time.Time
}

// again is the time between two tries of files that cannot be used: whose they are
// and who may read them may change, and their stamps not.
const again = time.Second

// stamp changes when a file does.
type stamp struct {
	modified time.Time
	size     int64
}

// New reads a value from files for the first time. The error is that of read.
func New[T any](log *slog.Logger, read func() (T, error), paths ...string) (*Files[T], error) {
	f := &Files[T]{paths: paths, read: read, log: log, seen: stamps(paths)}
	var err error
	f.value, err = read()
	return f, err
}

// Get is the value as the files have it. Files that cannot be read leave it as
// it was: a certificate and its key are seldom replaced at the same instant. They
// are tried again after a while, and logged when what is wrong changes.
func (f *Files[T]) Get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	// The stamps are taken first: what changes while it is read is read again.
	now := stamps(f.paths)
	if slices.Equal(now, f.seen) && (f.failed == nil || time.Since(f.tried) < again) {
		return f.value
	}
	f.seen = now
	before := f.failed
	var value T
	if value, f.failed = f.read(); f.failed != nil {
		f.tried = time.Now()
		if before == nil || before.Error() != f.failed.Error() {
			f.log.Warn("files changed, but cannot be used: what they held before stays in use", "error", f.failed)
		}
		return f.value
	}
	f.log.Info("files changed, and were read anew", "files", f.paths)
	f.value = value
	return value
}

// stamps are those of files; a file that is not there has none.
func stamps(paths []string) []stamp {
	all := make([]stamp, len(paths))
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			all[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return all
}
