// Package simulation serves a simulated Sysdig Secure as a process of its own: as
// a command of firebreak/dev, and alone, in a container of the sandbox, without
// all that the other commands are built with.
package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"firebreak/internal/sysdig/sysdigtest"
)

// shutdownTimeout is how long requests that are being answered may take when the
// simulated Sysdig stops.
const shutdownTimeout = 5 * time.Second

// Options are how it is served.
type Options struct {
	// Listen is the address to answer on; port 0 picks a free one.
	Listen string
	sysdigtest.Options
}

// AddFlags adds a flag for each option that has one.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:9090", "`address` to answer on; port 0 picks a free one")
	flags.StringVar(&o.Token, "token", "test-token", "the API `token` that is accepted; it opens nothing but this simulation")
	flags.StringVar(&o.StateFile, "state-file", "", "JSON `file` to keep executions, captures and the ledger in; none keeps them in memory")
	flags.DurationVar(&o.Step, "step", time.Second, "how `long` each stage of an action or a capture lasts")
}

// Check refuses options that cannot be carried out.
func (o *Options) Check() error {
	if o.Step <= 0 {
		return fmt.Errorf("--step %s: want more than 0", o.Step)
	}
	return nil
}

// Run serves until the context is cancelled, and prints where.
func Run(ctx context.Context, options Options, stdout io.Writer) error {
	if options.StateFile != "" {
		if err := os.MkdirAll(filepath.Dir(options.StateFile), 0o700); err != nil {
			return fmt.Errorf("create state file: %w", err)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", options.Listen)
	if err != nil {
		return fmt.Errorf("simulate sysdig: %w", err)
	}
	simulation := sysdigtest.New(options.Options)
	simulation.URL = "http://" + listener.Addr().String()
	server := &http.Server{Handler: simulation, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	describe(stdout, simulation)

	select {
	case err := <-served:
		return fmt.Errorf("simulate sysdig: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("stop simulated sysdig: %w", err), server.Close())
	}
	return nil
}

func describe(w io.Writer, simulation *sysdigtest.Server) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	row := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")) }

	config := simulation.Config()
	row("Sysdig", simulation.URL)
	row("Ledger", simulation.URL+"/sim/ledger")
	row("Use it", "SYSDIG_SECURE_API_TOKEN="+config.Token)
	row("", "FIREBREAK_SYSDIG_APP_URL="+config.AppURL)
	row("", "FIREBREAK_SYSDIG_API_URL="+config.APIURL)
	for i, host := range simulation.Hosts() {
		title := ""
		if i == 0 {
			title = "Hosts"
		}
		row(title, host.Name+", containers "+strings.Join(host.Containers, ", "))
	}
	row("Stop", "Ctrl-C")
}
