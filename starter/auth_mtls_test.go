package starter_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"firebreak/internal/certfile"
	"firebreak/internal/certfile/certtest"
	"firebreak/internal/httpauth"
	"firebreak/internal/telemetry"
	"firebreak/starter"
)

// entrance is a webhook behind TLS.
type entrance struct {
	address   string
	authority *x509.CertPool
}

// newEntrance serves a source of client certificates beside an open one.
func newEntrance(t *testing.T, clientCA string, names ...string) *entrance {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	certificates, err := httpauth.NewMTLS(clientCA, names, log)
	require.NoError(t, err)
	handler, err := starter.NewHandler(starter.Config{
		Sources:  []starter.Source{{Name: "falco", Auth: certificates}, {Name: "lab", Open: true}},
		Temporal: &temporal{}, Quarantine: &quarantine{}, Metrics: prometheus.NewRegistry(), Log: log,
	})
	require.NoError(t, err)
	authority := certtest.NewAuthority(t)
	cert, key := authority.Server(t).Write(t)
	pair, err := certfile.NewPair(cert, key, log)
	require.NoError(t, err)
	server := telemetry.NewServer("127.0.0.1:0", telemetry.NewReadiness(func(context.Context) error { return nil }),
		prometheus.NewRegistry(), log, func(err error) { t.Error(err) })
	server.Handle("/", handler)
	server.UseTLS(pair.Certificate)
	require.NoError(t, server.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	e := &entrance{server.Address(), x509.NewCertPool()}
	require.True(t, e.authority.AppendCertsFromPEM(authority.PEM))
	return e
}

// client returns a client with a certificate, if any.
func (e *entrance) client(t *testing.T, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.authority, Certificates: certificates}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post sends an empty batch and returns the status and the body of the answer.
func (e *entrance) post(t *testing.T, c *http.Client, source string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+e.address+"/v1/events/"+source, strings.NewReader("[]"))
	require.NoError(t, err)
	answer, err := c.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, 1, answer.ProtoMajor)
	content, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(content)
}

func TestAClientCertificateLetsInWhomTheSourcesAuthoritySigned(t *testing.T) {
	t.Parallel()
	ours, others := certtest.NewAuthority(t), certtest.NewAuthority(t)
	intermediate := ours.Intermediate(t)
	chained := intermediate.Client(t, "falco.example.com")
	orphan := chained
	chained.Cert = append(chained.Cert[:len(chained.Cert):len(chained.Cert)], intermediate.PEM...)
	expired := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Minute)
	}
	future := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	}
	unnamed := func(c *x509.Certificate) { c.DNSNames = nil }
	commonName := func(c *x509.Certificate) { c.DNSNames, c.Subject = nil, pkix.Name{CommonName: "falco.example.com"} }
	spiffe := func(c *x509.Certificate) {
		c.DNSNames, c.URIs = nil, []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/falco"}}
	}
	serverOnly := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	anyUsage := func(c *x509.Certificate) { c.ExtKeyUsage = nil }
	named := newEntrance(t, certtest.WriteFile(t, "ca.pem", ours.PEM), "falco.example.com", "spiffe://example.com/falco")
	unlimited := newEntrance(t, certtest.WriteFile(t, "ca.pem", ours.PEM))
	for name, tc := range map[string]struct {
		entrance *entrance
		client   []tls.Certificate
		want     int
	}{
		"right":                    {named, []tls.Certificate{ours.Client(t, "falco.example.com").TLS(t)}, 202},
		"by its common name":       {named, []tls.Certificate{ours.Client(t, "", commonName).TLS(t)}, 202},
		"by its URI":               {named, []tls.Certificate{ours.Client(t, "", spiffe).TLS(t)}, 202},
		"for any use":              {named, []tls.Certificate{ours.Client(t, "falco.example.com", anyUsage).TLS(t)}, 202},
		"with its chain":           {named, []tls.Certificate{chained.TLS(t)}, 202},
		"without its chain":        {named, []tls.Certificate{orphan.TLS(t)}, 401},
		"any name, without a list": {unlimited, []tls.Certificate{ours.Client(t, "other.example.com").TLS(t)}, 202},
		"no name, without a list":  {unlimited, []tls.Certificate{ours.Client(t, "", unnamed).TLS(t)}, 202},
		"of another authority":     {named, []tls.Certificate{others.Client(t, "falco.example.com").TLS(t)}, 401},
		"none":                     {named, nil, 401},
		"none, without a list":     {unlimited, nil, 401},
		"wrong name":               {named, []tls.Certificate{ours.Client(t, "other.example.com").TLS(t)}, 401},
		"no name":                  {named, []tls.Certificate{ours.Client(t, "", unnamed).TLS(t)}, 401},
		"a name within":            {named, []tls.Certificate{ours.Client(t, "x.falco.example.com").TLS(t)}, 401},
		"expired":                  {named, []tls.Certificate{ours.Client(t, "falco.example.com", expired).TLS(t)}, 401},
		"not valid yet":            {named, []tls.Certificate{ours.Client(t, "falco.example.com", future).TLS(t)}, 401},
		"of a server":              {named, []tls.Certificate{ours.Client(t, "falco.example.com", serverOnly).TLS(t)}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := tc.entrance.client(t, tc.client...)
			status, body := tc.entrance.post(t, client, "falco")
			require.Equal(t, tc.want, status, body)
			if status == http.StatusUnauthorized {
				require.Contains(t, body, `"detail":"want a valid client certificate"`, "not what is wrong with it")
			}
			status, body = tc.entrance.post(t, client, "lab")
			require.Equal(t, http.StatusAccepted, status, "another source does not care: "+body)
		})
	}
}

func TestAnAuthorityIsReplacedWithoutARestart(t *testing.T) {
	t.Parallel()
	before, after := certtest.NewAuthority(t), certtest.NewAuthority(t)
	path := certtest.WriteFile(t, "ca.pem", before.PEM)
	e := newEntrance(t, path)
	old := e.client(t, before.Client(t, "a").TLS(t))
	status, _ := e.post(t, old, "falco")
	require.Equal(t, http.StatusAccepted, status)
	require.NoError(t, os.WriteFile(path, after.PEM, 0o600))
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute)))
	status, _ = e.post(t, old, "falco")
	require.Equal(t, http.StatusUnauthorized, status, "also on a connection that is open")
	status, _ = e.post(t, e.client(t, after.Client(t, "a").TLS(t)), "falco")
	require.Equal(t, http.StatusAccepted, status)
}

func TestACertificateCountsForNothingWithoutTLS(t *testing.T) {
	t.Parallel()
	certificates, err := httpauth.NewMTLS(certtest.WriteFile(t, "ca.pem", certtest.NewAuthority(t).PEM), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	d := newDoor(t, starter.Source{Auth: certificates})
	refused(t, d.knock(t, "", "[]", with("X-Forwarded-Client-Cert", "Hash=x")), http.StatusUnauthorized)
	_, err = httpauth.NewMTLS("nowhere.pem", nil, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, os.ErrNotExist)
}
