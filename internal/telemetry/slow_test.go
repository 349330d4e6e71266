package telemetry_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"firebreak/internal/certfile/certtest"
	"firebreak/internal/telemetry"
)

// impatient serves a handler with little patience, over TLS if there is a
// certificate.
func impatient(t *testing.T, handler http.Handler, header, request time.Duration, certificate *tls.Certificate) *telemetry.Server {
	t.Helper()
	s := telemetry.NewServer("127.0.0.1:0", telemetry.NewReadiness(func(context.Context) error { return nil }),
		prometheus.NewRegistry(), slog.New(slog.DiscardHandler), func(err error) { t.Error(err) })
	s.Hurry(header, request)
	s.Handle("/", handler)
	if certificate != nil {
		s.UseTLS(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil })
	}
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// drip sends a beginning at once and then a byte at a time, for as long as the
// server takes them, and returns what the server answered until it hung up.
func drip(t *testing.T, address, beginning string) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)), "of a server that would not hang up")
	_, err = io.WriteString(conn, beginning)
	require.NoError(t, err)
	dripping, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if _, err := conn.Write([]byte("x")); err != nil {
					return
				}
			case <-dripping.Done():
				return
			}
		}
	}()
	answer, err := io.ReadAll(conn)
	stop()
	<-ended
	// That the server reset the connection is as good as that it closed it.
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server did not hang up")
	return string(answer)
}

func TestAClientThatDripsHeadersIsCut(t *testing.T) {
	t.Parallel()
	s := impatient(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("no request was complete") }),
		50*time.Millisecond, time.Hour, nil)
	require.NotContains(t, drip(t, s.Address(), "POST /v1/events/x HTTP/1.1\r\nHost: x\r\nX-Slow: "), "200 OK")
}

func TestAClientThatDripsABodyIsCut(t *testing.T) {
	t.Parallel()
	read := make(chan error, 1)
	s := impatient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
		w.WriteHeader(http.StatusBadRequest)
	}), time.Hour, 50*time.Millisecond, nil)
	drip(t, s.Address(), "POST /v1/events/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n[")
	var timeout net.Error
	require.ErrorAs(t, <-read, &timeout)
	require.True(t, timeout.Timeout())
}

func TestAClientThatDripsItsHandshakeIsCut(t *testing.T) {
	t.Parallel()
	certificate := certtest.NewAuthority(t).Server(t).TLS(t)
	s := impatient(t, http.NotFoundHandler(), 50*time.Millisecond, time.Hour, &certificate)
	// The beginning of a record of 512 bytes.
	drip(t, s.Address(), "\x16\x03\x01\x02\x00")
}

func TestHeadersHaveALimit(t *testing.T) {
	t.Parallel()
	s := serve(t, http.NotFoundHandler(), telemetry.NewReadiness(func(context.Context) error { return nil }))
	defer func() { require.NoError(t, s.Stop(t.Context())) }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address()+"/", nil)
	require.NoError(t, err)
	r.Header.Set("X-Large", strings.Repeat("x", 32<<10))
	require.Equal(t, http.StatusNotFound, do(t, http.DefaultClient, r))
	r.Header.Set("X-Large", strings.Repeat("x", 128<<10))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, do(t, http.DefaultClient, r))
}

func do(t *testing.T, c *http.Client, r *http.Request) int {
	t.Helper()
	answer, err := c.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

func TestAServersPatienceHasAnEnd(t *testing.T) {
	t.Parallel()
	s := telemetry.NewServer("127.0.0.1:0", nil, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), nil)
	for _, d := range s.Patience() {
		require.Positive(t, d)
		require.LessOrEqual(t, d, 2*time.Minute)
	}
}
