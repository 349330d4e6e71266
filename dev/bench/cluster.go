package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"firebreak/dev/internal/cluster"
	"firebreak/internal/temporalclient"
)

// clusterSizes are how much is measured on a cluster.
type clusterSizes struct{ incidents, senders int }

func (z *clusterSizes) register(flags *pflag.FlagSet) {
	flags.IntVar(&z.incidents, "incidents", 400, "how many incidents a burst is, two bursts of each program")
	flags.IntVar(&z.senders, "senders", 16, "how many events of a burst are sent at a time")
}

func (z *clusterSizes) validate() error {
	return positive(map[string]int{"incidents": z.incidents, "senders": z.senders})
}

// measure runs the benchmark and prints its report.
func (z *clusterSizes) measure(ctx context.Context, stdout, stderr io.Writer) (err error) {
	c, err := cluster.Start(ctx)
	if err != nil {
		return fmt.Errorf("start a temporal cluster: %w", err)
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if err := registerAttributes(ctx, c.Address()); err != nil {
		return err
	}
	containers := warmUp + bursts*z.incidents
	return setUp(ctx, c.Address(), containers, containers, stderr, func(b *bench) error {
		b.sizes = sizes{incidents: z.incidents, senders: z.senders}
		if err := b.turns(1, func(_ int, p *program) error { return b.burst(ctx, p, warmUp) }); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
		done, err := b.throughput(ctx)
		if err != nil {
			return fmt.Errorf("measure throughput: %w", err)
		}
		if _, err := b.check(ctx); err != nil {
			return fmt.Errorf("check what was done: %w", err)
		}
		return z.print(stdout, c, done, b.refused.Load())
	})
}

// registerAttributes does what firebreak setup does in Temporal.
func registerAttributes(ctx context.Context, temporal string) error {
	c, err := client.DialContext(ctx, client.Options{HostPort: temporal, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return fmt.Errorf("connect to temporal: %w", err)
	}
	defer c.Close()
	_, err = temporalclient.RegisterSearchAttributes(ctx, c, client.Options{Namespace: cluster.Namespace})
	return err
}

// print writes the report.
func (z *clusterSizes) print(w io.Writer, c *cluster.Cluster, done pair[float64], refused int64) error {
	var nodes []string
	for _, node := range c.Nodes {
		nodes = append(nodes, node.Name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Firebreak beside a bare program of Temporal's SDK: webhook, one workflow, one activity of one HTTP request.\n")
	fmt.Fprintf(&b, "Same cluster, a process each of %s; nothing is killed.\n", strings.Join(nodes, ", "))
	fmt.Fprintf(&b, "In turns, %d bursts of %d incidents, %d at a time.\n\n", bursts, z.incidents, z.senders)
	writeRow(&b, "", "firebreak", "bare SDK", "ratio", "bar", "")
	writeThroughput(&b, done)
	writeRow(&b, "answers other than 202, of both", fmt.Sprint(refused))
	fmt.Fprintf(&b, "\nEvery incident was completed, and every action was done exactly once.\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}
