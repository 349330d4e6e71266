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
}

// startTemporal starts a server on a database in dir; port "0" picks a free one.
func startTemporal(ctx context.Context, dir, port string, settings ...string) (*temporalServer, error) {
	args := []string{"server", "--headless", "--port", port, "--db-filename", filepath.Join(dir, "temporal.db"), "--log-level", "error"}
	for _, setting := range settings {
		args = append(args, "--dynamic-config-value", setting)
	}
	p, err := launch(dir, "temporal", os.Environ(), filepath.Join(binaries, "dev"), args...)
	if err != nil {
		return nil, err
	}
	s := &temporalServer{process: p, dir: dir, settings: settings}
	s.address, err = p.await(ctx, `(?m)^Temporal\s+(\S+)$[\s\S]*^Stop`)
	if err == nil {
		s.Client, err = client.DialContext(ctx, client.Options{
			HostPort: s.address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		})
	}
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("start temporal server: %w", err)
	}
	return s, nil
}

// ownTemporal starts a server that a test may kill.
func ownTemporal(t *testing.T) *temporalServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := startTemporal(ctx, t.TempDir(), "0")
	require.NoError(t, err)
	t.Cleanup(func() { s.stop() }) // it may be another process by then
	return s
}

// restart starts a server again that was killed, on the same database and port.
func (s *temporalServer) restart(ctx context.Context) error {
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return fmt.Errorf("restart temporal server: %w", err)
	}
	again, err := startTemporal(ctx, s.dir, port, s.settings...)
	if err != nil {
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
