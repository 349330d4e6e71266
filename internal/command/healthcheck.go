package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"firebreak/internal/config"
)

// healthTimeout bounds the question. A readiness check answers within a second,
// and whoever asks for a container's health wants to tell an answer that is bad
// from none.
const healthTimeout = 3 * time.Second

// maxHealthAnswer is how much of an answer is shown, in bytes.
const maxHealthAnswer = 1 << 10

func (s *session) healthcheckCommand() *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use:   "healthcheck [worker|starter|codec]",
		Short: "Ask a worker, a starter or a codec server on this machine whether it is ready",
		Long: "Asks the process on this machine, or in this container, where the configuration, the flags and the\n" +
			"environment say that it listens: /readyz, or /livez with --live. Without an argument it asks whichever\n" +
			"listens. Exit code 1 if one is not well, or none listens.\n\n" +
			"Restart on --live only: a process that is not ready waits for Temporal, and does not find it sooner when\n" +
			"it is restarted.",
		Args:      atMostOneProcess,
		ValidArgs: []cobra.Completion{processWorker, processStarter, processCodec},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.load(cmd)
			if err != nil {
				return err
			}
			path := "/readyz"
			if live {
				path = "/livez"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			checks := health(ctx, cfg, args, path)
			if err := s.print(checks, func(w io.Writer) error { return writeChecks(w, checks) }); err != nil {
				return err
			}
			if countFailed(checks) > 0 {
				return errors.New("healthcheck: not well")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "ask whether it answers at all, not whether it is ready")
	addSettings(cmd, flagListen, flagMetricsListen, flagCodecListen)
	return cmd
}

// The processes that can be asked.
const (
	processWorker  = "worker"
	processStarter = "starter"
	processCodec   = "codec"
)

func atMostOneProcess(cmd *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 1 && !slices.Contains(cmd.ValidArgs, args[0]) {
		return usagef("healthcheck %s: want %s, %s, %s or nothing", strings.Join(args, " "), processWorker, processStarter, processCodec)
	}
	return nil
}

// health asks the processes that are named, and without a name those that
// listen: one in a container that runs one.
func health(ctx context.Context, cfg *config.Config, names []string, path string) []check {
	processes := []listening{
		{processWorker, cfg.Worker.MetricsListen, false},
		{processStarter, cfg.Starter.Listen, cfg.Starter.TLS != config.TLS{}},
		{processCodec, cfg.Codec.Listen, cfg.Codec.TLS != config.TLS{}},
	}
	var checks, silent []check
	for _, p := range processes {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		answer, err := p.ask(ctx, path)
		if errors.Is(err, syscall.ECONNREFUSED) {
			silent = append(silent, result(p.name, "", err))
			continue
		}
		checks = append(checks, result(p.name, answer, err))
	}
	if len(checks) == 0 {
		return silent
	}
	return checks
}

// listening is a process and where it listens.
type listening struct {
	name, address string
	tls           bool
}

// ask returns what the process answers, and an error unless that is well.
func (l *listening) ask(ctx context.Context, path string) (string, error) {
	if _, port, _ := net.SplitHostPort(l.address); port == "0" {
		return "", fmt.Errorf("it listens on a port that it picks itself (%s): want one that is fixed", l.address)
	}
	client := &http.Client{
		Transport: &http.Transport{
			// The address as it is configured: without a host, or with 0.0.0.0, it
			// means this machine.
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, l.address)
			},
			// Its certificate is made out to the name that senders use, and nothing
			// is told here that a stranger must not hear.
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true,
		},
	}
	url := "http://localhost" + path
	if l.tls {
		url = "https://localhost" + path
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", l.address, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", l.address, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxHealthAnswer))
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", l.address, err)
	}
	answer := fmt.Sprintf("%s says %s", l.address, strings.TrimSpace(string(body)))
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s (%s)", answer, response.Status)
	}
	return answer, nil
}
