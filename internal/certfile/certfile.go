// Package certfile holds certificates that are read from PEM files, and read
// anew when the files change, so that they can be rotated without a restart. It
// does not watch: whoever uses a certificate looks whether its files are still
// the same, which costs a stat.
package certfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// Pair is a certificate with its chain and its key.
type Pair struct{ files *files[*tls.Certificate] }

// NewPair reads a certificate and its key from two files.
func NewPair(cert, key string, log *slog.Logger) (*Pair, error) {
	f, err := newFiles(log, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("read certificate %s with key %s: %w", cert, key, err)
		}
		return &pair, nil
	}, cert, key)
	return &Pair{f}, err
}

// Certificate is a tls.Config's GetCertificate.
func (p *Pair) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.files.get(), nil }

// Pool is a set of certificate authorities.
type Pool struct{ files *files[*x509.CertPool] }

// NewPool reads authorities from a file.
func NewPool(path string, log *slog.Logger) (*Pool, error) {
	f, err := newFiles(log, func() (*x509.CertPool, error) {
		content, err := os.ReadFile(path)
		pool := x509.NewCertPool()
		if err == nil && !pool.AppendCertsFromPEM(content) {
			err = errors.New("no certificate is in it; want PEM")
		}
		if err != nil {
			return nil, fmt.Errorf("read authorities %s: %w", path, err)
		}
		return pool, nil
	}, path)
	return &Pool{f}, err
}

// Authorities are those of the file as it is now.
func (p *Pool) Authorities() *x509.CertPool { return p.files.get() }

// files is a value that is read from some files.
type files[T any] struct {
	paths []string
	read  func() (T, error)
	log   *slog.Logger

	mu    sync.Mutex
	seen  []stamp
	value T
}

// stamp changes when a file does.
type stamp struct {
	modified time.Time
	size     int64
}

func newFiles[T any](log *slog.Logger, read func() (T, error), paths ...string) (*files[T], error) {
	f := &files[T]{paths: paths, read: read, log: log, seen: stamps(paths)}
	var err error
	f.value, err = read()
	return f, err
}

// get is the value as the files have it. Files that cannot be read leave it as
// it was: a certificate and its key are seldom replaced at the same instant.
// Each state of the files is tried once, and logged.
func (f *files[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	// The stamps are taken first: what changes while it is read is read again.
	now := stamps(f.paths)
	if slices.Equal(now, f.seen) {
		return f.value
	}
	f.seen = now
	value, err := f.read()
	if err != nil {
		f.log.Warn("files changed, but cannot be used: what they held before stays in use", "error", err)
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
