// Command bench measures what Firebreak costs over the Temporal server that it
// runs on. It runs Firebreak (webhook, worker, playbooks) and, beside it in the
// same process, the least that a user of Temporal's SDK would write for the same
// job: a webhook that starts a workflow of one activity, which is one HTTP
// request. Both work on the same embedded Temporal server and the same simulated
// Sysdig, in turns, so that a change of the machine's mood hits both.
//
// The server's database is a file in the system's folder for temporary files, so
// the disk has its part in every number. With TMPDIR in memory it has none.
//
// `bench ingest` measures the webhook instead, in the same setting: how soon it
// acknowledges copies of a few events that come at a steady rate, and how many
// distinct events it takes when they come as fast as it answers.
//
// `bench cluster` measures on a Temporal of several processes over PostgreSQL how
// many incidents per second both programs complete there.
//
// `bench capture` measures how fast captures are saved, and in how much memory,
// beside curl.
//
// `bench memory` measures the worker as a process, with many incidents that wait:
// how much of it is in memory, and how soon it is ready and gone.
//
// `bench enrich` measures what a large account costs an incident that lacks its
// host's ID: requests for the list of agents, the worker's memory, and the time.
//
// What it prints is a report, not a verdict: the exit code tells only whether
// every incident was handled and every action was done exactly once; for the
// webhook, whether every event was counted exactly once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// mode is one of the benchmarks.
type mode interface {
	register(flags *pflag.FlagSet)
	validate() error
	measure(ctx context.Context, stdout, stderr io.Writer) error
}

// run carries out a benchmark and returns the exit code: 0 done, 1 failed, 2
// wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name, m := "bench", mode(&sizes{})
	if len(args) > 0 {
		switch args[0] {
		case "ingest":
			name, m, args = "bench ingest", &ingestSizes{}, args[1:]
		case "cluster":
			name, m, args = "bench cluster", &clusterSizes{}, args[1:]
		case "capture":
			name, m, args = "bench capture", &captureSizes{}, args[1:]
		case "memory":
			name, m, args = "bench memory", &memorySizes{}, args[1:]
		case "enrich":
			name, m, args = "bench enrich", &enrichSizes{}, args[1:]
		case saveMode: // by itself
			if err := saveHere(ctx, os.Stdin, stdout); err != nil {
				fmt.Fprintf(stderr, "bench: %v\n", err)
				return 1
			}
			return 0
		}
	}
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetOutput(stderr)
	m.register(flags)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("argument %q: want none", flags.Arg(0))
	case err == nil:
		err = m.validate()
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 2
	}
	if err := m.measure(ctx, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// sizes are how much is measured.
type sizes struct {
	samples, concurrency int
	rate                 float64
	incidents, senders   int
}

func (z *sizes) register(flags *pflag.FlagSet) {
	flags.IntVar(&z.samples, "samples", 200, "how often each latency is measured, of each program")
	flags.IntVar(&z.concurrency, "concurrency", 4, "how many latencies are measured at a time")
	flags.Float64Var(&z.rate, "rate", 20, "latencies measured per `second` at most; 0 is as many as possible")
	flags.IntVar(&z.incidents, "incidents", 400, "how many incidents a burst is, two bursts of each program")
	flags.IntVar(&z.senders, "senders", 16, "how many events of a burst are sent at a time")
}

func (z *sizes) validate() error {
	failed := positive(map[string]int{
		"samples": z.samples, "concurrency": z.concurrency, "incidents": z.incidents, "senders": z.senders,
	})
	if z.rate < 0 {
		failed = errors.Join(failed, fmt.Errorf("--rate %g: want 0 or more", z.rate))
	}
	return failed
}

// positive refuses sizes that measure nothing.
func positive(sizes map[string]int) error {
	var failed error
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		if sizes[name] < 1 {
			failed = errors.Join(failed, fmt.Errorf("--%s %d: want 1 or more", name, sizes[name]))
		}
	}
	return failed
}

// containers is how many containers each program kills.
func (z *sizes) containers() int {
	return 2*(warmUp+z.samples) + bursts*z.incidents
}
