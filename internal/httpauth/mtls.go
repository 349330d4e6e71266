package httpauth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"firebreak/internal/certfile"
)

// MTLS wants a client certificate that one of the source's authorities signed
// for client authentication, and, if names are given, that has one of them. The
// starter terminates TLS itself then: no header of a proxy is believed.
//
// The certificate is verified with each request, not with the handshake, for
// another source on the same listener has other authorities, or none. So one
// that expires is refused on a connection that is open already.
type MTLS struct {
	authorities *certfile.Pool
	names       []string
}

// NewMTLS reads the authorities from a PEM file, and again when it changes.
func NewMTLS(clientCA string, names []string, log *slog.Logger) (*MTLS, error) {
	authorities, err := certfile.NewPool(clientCA, log)
	if err != nil {
		return nil, err
	}
	return &MTLS{authorities: authorities, names: names}, nil
}

// Why a certificate does not let anybody in.
var (
	errNoCertificate = errors.New("no client certificate was sent")
	errWrongName     = errors.New("the client certificate has none of the source's names")
)

// Challenge names no scheme of HTTP's.
func (*MTLS) Challenge() (scheme, wants string) {
	return "Certificate", "a valid client certificate"
}

// Admits whoever has such a certificate.
func (m *MTLS) Admits(r *http.Request, _ []string) error {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return errNoCertificate
	}
	leaf := r.TLS.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, c := range r.TLS.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots:         m.authorities.Authorities(),
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return fmt.Errorf("verify client certificate: %w", err)
	}
	if len(m.names) > 0 && !slices.ContainsFunc(certificateNames(leaf), func(name string) bool {
		return slices.Contains(m.names, name)
	}) {
		return errWrongName
	}
	return nil
}

// certificateNames are the subject alternative names of a certificate, and its
// common name: the authorities are the source's own, and not all of them write
// alternative names.
func certificateNames(c *x509.Certificate) []string {
	names := slices.Concat(c.DNSNames, c.EmailAddresses)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	return names
}
