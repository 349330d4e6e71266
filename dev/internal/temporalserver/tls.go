package temporalserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"

	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"go.temporal.io/server/common/config"
)

// TLS makes the server speak TLS with its callers, as a real cluster and Temporal
// Cloud do. All are PEM files, read at the start.
type TLS struct {
	// Cert and Key are the server's certificate, with its chain, and its key.
	Cert, Key string
	// ClientCA are the authorities one of which must have signed the certificate
	// that a caller has to show. Empty asks for none.
	ClientCA string
}

// check reports everything that is wrong.
func (t *TLS) check() error {
	if t == nil {
		return nil
	}
	var errs []error
	if t.Cert == "" || t.Key == "" {
		errs = append(errs, errors.New("tls: want both a certificate and its key"))
	} else if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		errs = append(errs, fmt.Errorf("tls certificate: %w", err))
	}
	return errors.Join(errs...)
}

// secrecy is the TLS of a server, and with what the server's own process, which
// are the Web UI and the wait for its start, calls it. Nil is a server without.
type secrecy struct {
	server config.ServerTLS
	// cert and key are PEM, and empty where no certificate is asked for.
	cert, key []byte
}

// newSecrecy reads the authorities of clients, and adds one: that of a
// certificate that it makes for this process and that ends with it.
func newSecrecy(t *TLS) (*secrecy, error) {
	if t == nil {
		return nil, nil
	}
	s := &secrecy{server: config.ServerTLS{CertFile: t.Cert, KeyFile: t.Key}}
	if t.ClientCA == "" {
		return s, nil
	}
	authorities, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read authorities of clients: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("authorities of clients %s: no certificate is in it; want PEM", t.ClientCA)
	}
	if s.cert, s.key, err = makeCertificate(); err != nil {
		return nil, fmt.Errorf("make a client certificate: %w", err)
	}
	s.server.RequireClientAuth = true
	s.server.ClientCAData = []string{base64.StdEncoding.EncodeToString(authorities), base64.StdEncoding.EncodeToString(s.cert)}
	return s, nil
}

// makeCertificate makes a certificate of a client that signs itself.
func makeCertificate() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "temporalserver"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(tokenLife),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}

// client is how this process calls its own server. Whom it reaches there is no
// question, and the server's certificate may be one that nobody would trust: to
// see what becomes of that is what tests are for.
func (s *secrecy) client() (*tls.Config, error) {
	if s == nil {
		return nil, nil
	}
	c := &tls.Config{InsecureSkipVerify: true}
	if s.server.RequireClientAuth {
		pair, err := tls.X509KeyPair(s.cert, s.key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// ui is the same for the Web UI, which speaks TLS if it has the name of a server.
func (s *secrecy) ui() uiconfig.TLS {
	if s == nil {
		return uiconfig.TLS{}
	}
	return uiconfig.TLS{
		ServerName: "localhost",
		CertData:   base64.StdEncoding.EncodeToString(s.cert),
		KeyData:    base64.StdEncoding.EncodeToString(s.key),
	}
}
