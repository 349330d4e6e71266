package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// temporalServer is a Temporal server that keeps everything in a file, and a
// client of it.
type temporalServer struct {
	*process
	client.Client
	dir, address string
	// settings are those of its dynamic configuration that are not the default.
	settings []string
	// principals are who has a token, beside Firebreak's own processes. A server
	// that has none does not authenticate.
	principals []string
	// tls is nil for a server in plain text.
	tls *serverTLS
}

// startTemporal starts a server on a database in dir; port "0" picks a free one.
func startTemporal(ctx context.Context, dir, port string, settings ...string) (*temporalServer, error) {
	s := &temporalServer{dir: dir, settings: settings}
	return s, s.start(ctx, port)
}

// start starts the server. Its client is that of an administrator.
func (s *temporalServer) start(ctx context.Context, port string) error {
	var err error
	if s.process, err = s.launch(port); err != nil {
		return err
	}
	options := client.Options{Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))}
	s.address, err = s.await(ctx, `(?m)^Temporal\s+(\S+)$[\s\S]*^Stop`)
	if err == nil && len(s.principals) > 0 {
		var token string
		token, err = s.token("admin")
		options.Credentials, options.ConnectionOptions.TLSDisabled = client.NewAPIKeyStaticCredentials(token), true
	}
	if s.tls != nil {
		options.ConnectionOptions = client.ConnectionOptions{TLS: s.tls.admin}
	}
	if err == nil {
		options.HostPort = s.address
		s.Client, err = client.DialContext(ctx, options)
	}
	if err != nil {
		s.kill()
		return fmt.Errorf("start temporal server: %w", err)
	}
	return nil
}

// launch starts the process of the server.
func (s *temporalServer) launch(port string) (*process, error) {
	args := []string{"server", "--headless", "--port", port, "--db-filename", filepath.Join(s.dir, "temporal.db"), "--log-level", "error"}
	for _, setting := range s.settings {
		args = append(args, "--dynamic-config-value", setting)
	}
	if len(s.principals) > 0 {
		args = append(args, "--auth", s.dir)
	}
	for _, principal := range s.principals {
		args = append(args, "--principal", principal)
	}
	if s.tls != nil {
		args = append(args, s.tls.args...)
	}
	return launch(s.dir, "temporal", os.Environ(), filepath.Join(binaries, "dev"), args...)
}

// token is that of a principal.
func (s *temporalServer) token(principal string) (string, error) {
	token, err := os.ReadFile(filepath.Join(s.dir, principal+".jwt"))
	return string(token), err
}

// ownTemporal starts a server that a test may kill. With principals it
// authenticates: who has no token may only read.
func ownTemporal(t *testing.T, principals ...string) *temporalServer {
	t.Helper()
	return securedTemporal(t, nil, principals...)
}

// securedTemporal is ownTemporal over TLS.
func securedTemporal(t *testing.T, tls *serverTLS, principals ...string) *temporalServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := &temporalServer{dir: t.TempDir(), principals: principals, tls: tls}
	require.NoError(t, s.start(ctx, "0"))
	t.Cleanup(func() { s.stop() }) // it may be another process by then
	return s
}

// restart starts a server again that was killed, on the same database and port.
func (s *temporalServer) restart(ctx context.Context) error {
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return fmt.Errorf("restart temporal server: %w", err)
	}
	again := &temporalServer{dir: s.dir, settings: s.settings, principals: s.principals, tls: s.tls}
	if err := again.start(ctx, port); err != nil {
		return err
	}
	s.Client.Close()
	*s = *again
	return nil
}

func (s *temporalServer) stop() {
	s.Client.Close()
	s.kill()
}
