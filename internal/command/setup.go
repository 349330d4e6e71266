package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"firebreak/internal/config"
	"firebreak/internal/evidence"
	"firebreak/internal/notify"
	"firebreak/internal/sysdig"
	"firebreak/internal/temporalclient"
)

// checkTimeout bounds each check: a host that swallows packets must not hide
// the results of the others.
const checkTimeout = 10 * time.Second

// evidenceProbe is what setup stores, again and again, to see that it can.
const evidenceProbe = "setup/writable.txt"

// check is the result of one check.
type check struct {
	Name   string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func (s *session) setupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Register the search attributes and check that everything is reachable",
		Long: "Registers the search attributes of incidents in Temporal, which changes nothing if they are there, and\n" +
			"checks the configuration, Temporal, the Sysdig tokens, the evidence store and the URLs of notifications, to\n" +
			"which it sends nothing. Exit code 1 if a check fails.",
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := s.checks(cmd)
			if err := s.print(checks, func(w io.Writer) error { return writeChecks(w, checks) }); err != nil {
				return err
			}
			if failed := countFailed(checks); failed > 0 {
				return fmt.Errorf("setup: %d of %d checks failed", failed, len(checks))
			}
			return nil
		},
	}
	addSettings(cmd, flagSysdigRegion, flagSysdigAppURL, flagSysdigAPIURL, flagEvidenceURL)
	return cmd
}

// checks runs every check. What depends on a configuration that is bad is left
// out.
func (s *session) checks(cmd *cobra.Command) []check {
	ctx := cmd.Context()
	cfg, err := s.load(cmd)
	checks := []check{result("config", configDetail(cfg), err)}
	checks = append(checks, s.checkTemporal(ctx, cfg)...)
	if err != nil {
		return checks
	}
	return append(append(checks, checkSysdig(ctx, cfg)...), checkEvidence(ctx, cfg.Evidence.URL), checkNotifications(cfg))
}

func configDetail(cfg *config.Config) string {
	if cfg == nil {
		return ""
	}
	return fmt.Sprintf("%d routes, %d sources, trust %s", len(cfg.Routes), len(cfg.Starter.Sources), cfg.Approvals.Trust)
}

func (s *session) checkTemporal(ctx context.Context, cfg *config.Config) []check {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	c, options, err := s.client(cfg)
	if err != nil {
		return []check{result("temporal", "", err)}
	}
	defer c.Close()
	if _, err := c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return []check{result("temporal", "", fmt.Errorf("connect to %s: %w", options.HostPort, err))}
	}
	added, err := temporalclient.RegisterSearchAttributes(ctx, c, options.Namespace)
	detail := "all were there"
	if len(added) > 0 {
		detail = "added " + strings.Join(added, ", ")
	}
	return []check{
		result("temporal", fmt.Sprintf("%s, namespace %s", options.HostPort, options.Namespace), nil),
		result("search attributes", detail, err),
	}
}

// checkSysdig checks the accounts side by side: many tenants whose hosts swallow
// packets are waited for once.
func checkSysdig(ctx context.Context, cfg *config.Config) []check {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	accounts, err := cfg.SysdigAccounts()
	if err != nil {
		return []check{result("sysdig token", "", err)}
	}
	checks := make([][]check, len(accounts))
	var group sync.WaitGroup
	for i := range accounts {
		group.Go(func() { checks[i] = checkAccount(ctx, &accounts[i]) })
	}
	group.Wait()
	return slices.Concat(checks...)
}

// checkAccount checks an account's token, and that of the one without a name in
// two lines.
func checkAccount(ctx context.Context, account *config.Account) []check {
	name := "sysdig token"
	if account.Tenant != "" {
		name = "sysdig tenant " + account.Tenant
	}
	of, err := account.Resolve()
	if err != nil {
		return []check{result(name, "", err)}
	}
	c, err := sysdig.NewClient(of)
	if err != nil {
		return []check{result(name, "", err)}
	}
	user, err := c.Me(ctx)
	if err != nil {
		return []check{result(name, "", err)}
	}
	agents, err := c.ConnectedAgents(ctx)
	whose := fmt.Sprintf("%s of customer %s (%s) at %s", user.Username, user.CustomerID, user.CustomerName, of.AppURL)
	connected := fmt.Sprintf("%d connected", len(agents))
	if account.Tenant != "" {
		return []check{result(name, whose+", agents: "+connected, err)}
	}
	return []check{result(name, whose, nil), result("sysdig agents", connected, err)}
}

func checkEvidence(ctx context.Context, url string) check {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	store, err := evidence.Open(ctx, url)
	if err == nil {
		_, err = store.Put(ctx, evidenceProbe, "text/plain", strings.NewReader("Written by firebreak setup.\n"))
		err = errors.Join(err, store.Close())
	}
	return result("evidence store", url+" is writable", err)
}

// checkNotifications makes the senders, and sends nothing: nobody is to be woken
// by a check.
func checkNotifications(cfg *config.Config) check {
	n, err := cfg.Notifications()
	if err != nil {
		return result("notifications", "", err)
	}
	sender, err := notify.New(n)
	if err != nil {
		return result("notifications", "", err)
	}
	return result("notifications", fmt.Sprintf("%d channels", sender.Channels()), nil)
}

// result is a check that passed unless err says why it failed.
func result(name, detail string, err error) check {
	if err != nil {
		return check{Name: name, Detail: err.Error()}
	}
	return check{Name: name, OK: true, Detail: detail}
}

func countFailed(checks []check) int {
	failed := 0
	for _, c := range checks {
		if !c.OK {
			failed++
		}
	}
	return failed
}

func writeChecks(w io.Writer, checks []check) error {
	for _, c := range checks {
		line := fmt.Sprintf("ok    %s: %s", c.Name, plain(c.Detail))
		if !c.OK {
			line = fmt.Sprintf("FAIL  %s: %s", c.Name, plain(c.Detail))
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}
