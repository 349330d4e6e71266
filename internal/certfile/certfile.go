// Package certfile holds certificates that are read from PEM files, and read
// anew when the files change, so that they can be rotated without a restart, see
// package reread.
package certfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"firebreak/internal/reread"
)

// Pair is a certificate with its chain and its key.
type Pair struct {
	files *reread.Files[*tls.Certificate]
}

// NewPair reads a certificate and its key from two files.
func NewPair(cert, key string, log *slog.Logger) (*Pair, error) {
	f, err := reread.New(log, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("read certificate %s with key %s: %w", cert, key, err)
		}
		return &pair, nil
	}, cert, key)
	return &Pair{f}, err
}

// Certificate is a tls.Config's GetCertificate.
func (p *Pair) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.files.Get(), nil }

// Pool is a set of certificate authorities.
type Pool struct{ files *reread.Files[*x509.CertPool] }

// NewPool reads authorities from a file.
func NewPool(path string, log *slog.Logger) (*Pool, error) {
	f, err := reread.New(log, func() (*x509.CertPool, error) {
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
func (p *Pool) Authorities() *x509.CertPool { return p.files.Get() }
