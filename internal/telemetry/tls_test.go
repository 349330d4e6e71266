package telemetry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"firebreak/internal/certfile/certtest"
	"firebreak/internal/telemetry"
)

func TestTLSAsksForACertificateAndServesWithoutOne(t *testing.T) {
	t.Parallel()
	authority := certtest.NewAuthority(t)
	certificate := authority.Server(t).TLS(t)
	s := telemetry.NewServer("127.0.0.1:0", telemetry.NewReadiness(func(context.Context) error { return nil }),
		prometheus.NewRegistry(), slog.New(slog.NewTextHandler(io.Discard, nil)), func(err error) { t.Error(err) })
	sent := make(chan int, 1)
	s.Handle("/sent", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent <- len(r.TLS.PeerCertificates) }))
	s.UseTLS(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil })
	require.NoError(t, s.Start(t.Context()))
	defer func() { require.NoError(t, s.Stop(t.Context())) }()

	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(authority.PEM))
	get := func(path string, change ...func(*tls.Config)) (int, error) {
		config := &tls.Config{RootCAs: trusted}
		for _, c := range change {
			c(config)
		}
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Address()+path, nil)
		require.NoError(t, err)
		answer, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			return 0, err
		}
		require.Equal(t, "HTTP/1.1", answer.Proto)
		return answer.StatusCode, answer.Body.Close()
	}
	status, err := get("/livez")
	require.NoError(t, err, "probes have no certificate")
	require.Equal(t, http.StatusOK, status)
	_, err = get("/sent")
	require.NoError(t, err)
	require.Zero(t, <-sent)
	// Whose it is, is not the server's business.
	client := certtest.NewAuthority(t).Client(t, "anybody").TLS(t)
	_, err = get("/sent", func(c *tls.Config) { c.Certificates = []tls.Certificate{client} })
	require.NoError(t, err)
	require.Equal(t, 1, <-sent)
	_, err = get("/livez", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11; c.MinVersion = tls.VersionTLS10 })
	require.Error(t, err, "TLS 1.1 is broken")
}
