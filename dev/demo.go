package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"firebreak/dev/internal/stack"
	"firebreak/dev/internal/temporalserver"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// demoRoutes are the default routes, with a cool-down short enough to watch.
//
//go:embed demo-routes.yaml
var demoRoutes string

type demoFlags struct {
	autoApprove bool
	state       string
	temporal    int
	ui          int
	starter     int
	metrics     int
	sysdig      int
}

func demoCommand() *cobra.Command {
	var flags demoFlags
	command := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job: a miner is reported, an analyst approves, the container is dead",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), flags, cmd.OutOrStdout())
		},
	}
	f := command.Flags()
	f.BoolVar(&flags.autoApprove, "auto-approve", false, "approve by itself, run both playbooks, and exit 0 only if both did their job")
	f.StringVar(&flags.state, "state", ".state/demo", "`folder` of what survives a restart; delete it to start afresh")
	f.IntVar(&flags.temporal, "port", temporalserver.DefaultPort, "`port` of Temporal; 0 picks a free one, as for the others")
	f.IntVar(&flags.ui, "ui-port", temporalserver.DefaultUIPort, "`port` of Temporal Web")
	f.IntVar(&flags.starter, "starter-port", 8080, "`port` of the webhook")
	f.IntVar(&flags.metrics, "metrics-port", 9464, "`port` of the worker's metrics")
	f.IntVar(&flags.sysdig, "sysdig-port", 9090, "`port` of the simulated Sysdig")
	return command
}

// demo runs the demonstration until it is interrupted, or with --auto-approve
// until both playbooks are done.
func demo(ctx context.Context, flags demoFlags, out io.Writer) (err error) {
	fmt.Fprintln(out, "Firebreak demo: Temporal, Temporal Web, a simulated Sysdig, worker and starter in one process.")
	if err := os.MkdirAll(flags.state, 0o755); err != nil {
		return fmt.Errorf("create state folder: %w", err)
	}
	logFile, err := os.OpenFile(filepath.Join(flags.state, "demo.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()

	parts, err := stack.Start(ctx, stack.Options{
		Dir: flags.state, TemporalPort: flags.temporal, UIPort: flags.ui, StarterPort: flags.starter,
		MetricsPort: flags.metrics, SysdigPort: flags.sysdig,
		Sysdig: sysdigtest.Options{
			Hosts: demoHosts(), Step: time.Second, CaptureSize: 5 << 20, StateFile: filepath.Join(flags.state, "sysdig.json"),
		},
		Routes: demoRoutes,
		Logger: slog.New(slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return fmt.Errorf("start the demo: %w", err)
	}
	defer func() {
		if !flags.autoApprove {
			fmt.Fprintln(out, "\nStopping. Incidents that wait are still there when you start again.")
		}
		err = errors.Join(err, parts.Stop())
	}()
	fmt.Fprintf(out, "\n  Temporal        %s\n  Temporal Web    %s\n  webhook         %s/v1/events/%s\n  Sysdig (fake)   %s, what happened to it: %s/sim/ledger\n  log             %s\n",
		parts.Temporal.Address(), parts.Temporal.UIURL(), parts.StarterURL, stack.Source, parts.Sysdig.URL, parts.Sysdig.URL, logFile.Name())

	s := story{stack: parts, out: out}
	if flags.autoApprove {
		return s.unattended(ctx)
	}
	return s.attended(ctx)
}

// attended tells the story of the miner, and leaves everything running.
func (s *story) attended(ctx context.Context) error {
	waiting, err := s.waiting(ctx)
	if err != nil {
		return ignoreInterrupt(ctx, err)
	}
	if len(waiting) == 0 {
		id, err := s.report(ctx, minerEvent(s.freeContainer()))
		if err != nil {
			return ignoreInterrupt(ctx, err)
		}
		waiting = []string{id}
	} else {
		fmt.Fprintf(s.out, "\n%d incident(s) from before are still open. They waited in Temporal while nothing ran.\n", len(waiting))
	}
	for _, id := range waiting {
		if _, err := s.follow(ctx, id, ""); err != nil {
			return ignoreInterrupt(ctx, err)
		}
	}
	fmt.Fprintf(s.out, "\nEverything keeps running: look around in Temporal Web, %s. Ctrl-C stops.\n", s.stack.Temporal.UIURL())
	<-ctx.Done()
	return nil
}

// unattended runs both playbooks, approves what they ask, and checks what
// happened to the simulated Sysdig.
func (s *story) unattended(ctx context.Context) error {
	container := s.freeContainer()
	for _, playbook := range []struct {
		event event
		want  signals.State
	}{
		{minerEvent(container), signals.Contained},
		{toolEvent(), signals.Captured},
	} {
		id, err := s.report(ctx, playbook.event)
		if err != nil {
			return err
		}
		page, err := s.follow(ctx, id, "demo")
		if err != nil {
			return err
		}
		if page.Outcome != playbook.want {
			return fmt.Errorf("incident %s ended %s: want %s", id, page.Outcome, playbook.want)
		}
	}
	if killed := s.stack.Sysdig.Ledger().Killed(container.id); killed != 1 {
		return fmt.Errorf("container %s was killed %d times: want once", container.id, killed)
	}
	fmt.Fprintf(s.out, "\nDone: container %s was killed once, and the capture is stored.\n", container.id)
	return nil
}

// ignoreInterrupt makes Ctrl-C a clean end.
func ignoreInterrupt(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
