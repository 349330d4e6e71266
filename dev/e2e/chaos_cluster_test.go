package e2e_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"firebreak/dev/internal/cluster"
)

// TestChaosOfACluster is TestChaos on a Temporal of several processes and a
// PostgreSQL, with starters and workers that stand in for one another: each of
// them all is killed in turn.
func TestChaosOfACluster(t *testing.T) {
	t.Parallel()
	if err := cluster.Missing(); err != nil {
		t.Skip(err)
	}
	newChaos(t, *chaosIncidents, severalServers(t)).happen()
}

// severalServers is a stage whose Temporal is a cluster.
func severalServers(t *testing.T) stage {
	t.Helper()
	c, err := cluster.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	temporal, err := client.Dial(client.Options{HostPort: c.Address(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	s := stage{temporal: &temporalServer{Client: temporal, address: c.Address()}, starters: 2, workers: 3, turns: true}
	for _, node := range c.Nodes {
		of := func() *process { return &process{cmd: node.Cmd, output: node.Output, ended: node.Ended} }
		s.processes = append(s.processes, &doomed{name: node.Name, process: of(), supervised: true, down: 3 * time.Second, launch: func() (*process, error) {
			err := node.Start(context.WithoutCancel(t.Context()))
			return of(), err
		}})
	}
	return s
}
