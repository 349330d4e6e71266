package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// temporalServer is a Temporal server that keeps everything in a file, and a
// client of it.
type temporalServer struct {
	*process
	client.Client
	dir, address string
}

// startTemporal starts a server on a database in dir; port "0" picks a free one.
func startTemporal(ctx context.Context, dir, port string) (*temporalServer, error) {
	p, err := launch(dir, "temporal", os.Environ(), filepath.Join(binaries, "dev"),
		"server", "--headless", "--port", port, "--db-filename", filepath.Join(dir, "temporal.db"), "--log-level", "error")
	if err != nil {
		return nil, err
	}
	s := &temporalServer{process: p, dir: dir}
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

// restart starts a server again that was killed, on the same database and port.
func (s *temporalServer) restart(ctx context.Context) error {
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return fmt.Errorf("restart temporal server: %w", err)
	}
	again, err := startTemporal(ctx, s.dir, port)
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
