package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"firebreak/dev/internal/temporalserver"
)

// serverCommand is `server`, and `server start-dev` with the same flags: what
// programs call that expect the temporal command, such as the SDK's test suite.
func serverCommand() *cobra.Command {
	command := startCommand("server", "Run a Temporal server and its Web UI until interrupted")
	command.AddCommand(startCommand("start-dev", "The same, by the name the temporal command has for it"))
	return command
}

func startCommand(use, short string) *cobra.Command {
	var flags serverFlags
	command := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  usageArgs(cobra.NoArgs),
	}
	flags.register(command.Flags())
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		options, err := flags.options(cmd.ErrOrStderr(), cmd.Flags().Changed("ui-port"))
		if err != nil {
			return usageError{err}
		}
		return serve(cmd.Context(), options, cmd.OutOrStdout())
	}
	return command
}

// serve runs the server until the context is cancelled.
func serve(ctx context.Context, options temporalserver.Options, stdout io.Writer) error {
	server, err := temporalserver.Start(ctx, options)
	if err != nil {
		return err
	}
	defer server.Stop()
	printServer(stdout, server, options)
	<-ctx.Done()
	options.Logger.Info("stopping")
	return nil
}

func printServer(w io.Writer, server *temporalserver.Server, options temporalserver.Options) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	row := func(name, value string) { fmt.Fprintf(table, "%s\t%s\n", name, value) }

	row("Temporal", server.Address())
	if url := server.UIURL(); url != "" {
		row("Web UI", url)
	}
	if options.DatabaseFile == "" {
		row("Database", "in memory, gone when this stops")
	} else {
		row("Database", options.DatabaseFile)
	}
	row("Namespaces", strings.Join(server.Namespaces(), ", "))
	if options.Auth != nil {
		row("Tokens", options.Auth.TokenFile("NAME"))
		row("Use one", fmt.Sprintf(`export TEMPORAL_GRPC_META_AUTHORIZATION="Bearer $(cat '%s')"`, options.Auth.TokenFile(exampleName(options.Auth))))
	}
	if options.TLS != nil {
		row("TLS", tlsSettings(options.TLS))
	}
	row("Stop", "Ctrl-C")
}

// tlsSettings are the variables that callers need.
func tlsSettings(t *temporalserver.TLS) string {
	settings := "TEMPORAL_TLS_SERVER_CA_CERT_PATH"
	if t.ClientCA != "" {
		settings += ", TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"
	}
	return "callers need " + settings
}

// exampleName is whose token to show the use of.
func exampleName(auth *temporalserver.Auth) string {
	if len(auth.Principals) > 0 {
		return auth.Principals[0].Name
	}
	return temporalserver.AdminPrincipal
}

// newLogger writes to w, in a format and from a level up as flags name them.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	if level == "never" {
		return slog.New(slog.DiscardHandler), nil
	}
	var floor slog.Level
	if err := floor.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn, error or never", level)
	}
	options := &slog.HandlerOptions{Level: floor}
	switch format {
	case "text", "pretty":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("--log-format %q: want text or json", format)
	}
}
