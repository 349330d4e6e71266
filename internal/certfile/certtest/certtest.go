// Package certtest makes certificate authorities and certificates for tests.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority signs certificates.
type Authority struct {
	// PEM is its own certificate.
	PEM  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Certificate is a certificate with its key, both as PEM.
type Certificate struct{ Cert, Key []byte }

// NewAuthority returns an authority of its own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &Authority{key: key}
	a.PEM = sign(t, template, template, key, key)
	block, _ := pem.Decode(a.PEM)
	var err error
	a.cert, err = x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return a
}

// Intermediate returns an authority that a has signed.
func (a *Authority) Intermediate(t testing.TB) *Authority {
	t.Helper()
	key := newKey(t)
	i := &Authority{key: key}
	i.PEM = sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "intermediate"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.cert, key, a.key)
	block, _ := pem.Decode(i.PEM)
	var err error
	i.cert, err = x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return i
}

// Server returns a certificate of a server at 127.0.0.1.
func (a *Authority) Server(t testing.TB) Certificate {
	t.Helper()
	return a.Issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// Client returns a certificate of a client with a DNS name, after some changes.
func (a *Authority) Client(t testing.TB, name string, changes ...func(*x509.Certificate)) Certificate {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"clients"}}, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, change := range changes {
		change(template)
	}
	return a.Issue(t, template)
}

// Issue returns a certificate made from a template; it is valid for an hour
// around now unless the template says otherwise.
func (a *Authority) Issue(t testing.TB, template *x509.Certificate) Certificate {
	t.Helper()
	key := newKey(t)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return Certificate{
		Cert: sign(t, template, a.cert, key, a.key),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
	}
}

// TLS is the certificate as TLS takes it.
func (c Certificate) TLS(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	require.NoError(t, err)
	return pair
}

// Write writes the certificate and its key into a new directory.
func (c Certificate) Write(t testing.TB) (cert, key string) {
	t.Helper()
	return WriteFile(t, "cert.pem", c.Cert), WriteFile(t, "key.pem", c.Key)
}

// WriteFile writes a file into a new directory, and returns where.
func WriteFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// Replace writes a file anew, with a time of its own: two writes may fall into one
// tick of the file system's clock.
func Replace(t testing.TB, path string, content []byte) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.NoError(t, os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Second)))
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, of, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	var err error
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &of.PublicKey, by)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
