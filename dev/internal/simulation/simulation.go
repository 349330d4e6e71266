package main

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

	"github.com/spf13/cobra"

	"firebreak/internal/sysdig/sysdigtest"
)

// shutdownTimeout is how long requests that are being answered may take when the
// simulated Sysdig stops.
const shutdownTimeout = 5 * time.Second

// sysdigCommand is `sysdig`.
func sysdigCommand() *cobra.Command {
	var listen string
	var options sysdigtest.Options
	command := &cobra.Command{
		Use:   "sysdig",
		Short: "Run a simulated Sysdig Secure until interrupted",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Step <= 0 {
				return usageError{fmt.Errorf("--step %s: want more than 0", options.Step)}
			}
			return simulate(cmd.Context(), listen, options, cmd.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:9090", "`address` to answer on; port 0 picks a free one")
	flags.StringVar(&options.Token, "token", "test-token", "the API `token` that is accepted; it opens nothing but this simulation")
	flags.StringVar(&options.StateFile, "state-file", "", "JSON `file` to keep executions, captures and the ledger in; none keeps them in memory")
	flags.DurationVar(&options.Step, "step", time.Second, "how `long` each stage of an action or a capture lasts")
	return command
}

// simulate serves a simulated Sysdig until the context is cancelled.
func simulate(ctx context.Context, listen string, options sysdigtest.Options, stdout io.Writer) error {
	if options.StateFile != "" {
		if err := os.MkdirAll(filepath.Dir(options.StateFile), 0o700); err != nil {
			return fmt.Errorf("create state file: %w", err)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("simulate sysdig: %w", err)
	}
	simulation := sysdigtest.New(options)
	simulation.URL = "http://" + listener.Addr().String()
	server := &http.Server{Handler: simulation, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	printSysdig(stdout, simulation)

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

func printSysdig(w io.Writer, simulation *sysdigtest.Server) {
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
