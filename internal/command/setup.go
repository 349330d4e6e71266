package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"firebreak/internal/config"
	"firebreak/internal/evidence"
	"firebreak/internal/journal"
	"firebreak/internal/notify"
	"firebreak/starter"
)

// checkTimeout bounds each check: a host that swallows packets must not hide
// the results of the others.
const checkTimeout = 10 * time.Second

// registrationTimeout bounds the registration of search attributes, which lasts
// until they can be used: a minute where visibility is kept in Elasticsearch.
const registrationTimeout = 90 * time.Second

// evidenceProbe is what setup stores, again and again, to see that it can.
const evidenceProbe = "setup/writable.txt"

// level is how a check came out.
type level string

// The levels. A warning is about what works, but not as one may expect; it does
// not make setup fail.
const (
	levelOK   level = "ok"
	levelWarn level = "warn"
	levelFail level = "fail"
)

// check is the result of one check. OK is false for those that fail, and true
// for a warning.
type check struct {
	Name   string `json:"check"`
	OK     bool   `json:"ok"`
	Level  level  `json:"level"`
	Detail string `json:"detail"`
}

func (s *session) setupCommand() *cobra.Command {
	var temporalOnly bool
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Register the search attributes and check that everything is reachable",
		Long: "Registers the search attributes of incidents in Temporal, which changes nothing if they are there, and\n" +
			"checks the configuration, Temporal, the Sysdig tokens and what they may do, the routes' actions, the evidence\n" +
			"store, the journal, the secrets of the webhook's sources, and the URLs of notifications and hooks, to which it sends nothing. Exit code 1 if a\n" +
			"check fails; a warning does not. With --temporal-only it does what processes need before they start: whoever\n" +
			"waits for it is not kept from answering by a Sysdig that does not.",
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := s.checks(cmd, temporalOnly)
			if err := s.print(checks, func(w io.Writer) error { return writeChecks(w, checks) }); err != nil {
				return err
			}
			if failed := countFailed(checks); failed > 0 {
				return fmt.Errorf("setup: %d of %d checks failed", failed, len(checks))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&temporalOnly, "temporal-only", false, "register the search attributes, and check the configuration and Temporal alone")
	addSettings(cmd, flagTaskQueue, flagSysdigRegion, flagSysdigAppURL, flagSysdigAPIURL, flagEvidenceURL, flagJournal, flagMode)
	return cmd
}

// checks runs every check, or those of the configuration and Temporal. What
// depends on a configuration that is bad is left out.
func (s *session) checks(cmd *cobra.Command, temporalOnly bool) []check {
	ctx := cmd.Context()
	cfg, err := s.load(cmd)
	checks := []check{result("config", configDetail(cfg), err)}
	checks = append(checks, s.checkTemporal(ctx, cfg)...)
	if err != nil || temporalOnly {
		return checks
	}
	checks = append(checks, checkSysdig(ctx, cfg)...)
	return append(checks, checkEvidence(ctx, cfg.Evidence.URL), checkJournal(cfg.Starter.Journal), checkSources(cfg), checkNotifications(cfg), checkHooks(cfg))
}

func configDetail(cfg *config.Config) string {
	if cfg == nil {
		return ""
	}
	return fmt.Sprintf("%d routes, %d sources, trust %s", len(cfg.Routes), len(cfg.Starter.Sources), cfg.Approvals.Trust)
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

// checkJournal looks at the journal, which a starter may have open just now.
func checkJournal(dir string) check {
	if dir == "" {
		return result("journal", "none: while Temporal does not answer, events are refused with 503", nil)
	}
	state, err := journal.Look(dir)
	switch {
	case err != nil:
		return result("journal", "", err)
	case state.Held:
		return result("journal", dir+" is in use by another process: a starter that runs", nil)
	case state.Depth > 0:
		return warning("journal", fmt.Sprintf("%d messages wait in %s, and no starter delivers them", state.Depth, dir))
	default:
		return result("journal", dir+" is writable, and no starter uses it now", nil)
	}
}

// checkSources looks up what senders have to show. It only warns: whoever sets up,
// in a worker's container perhaps, need not have the secrets of the starter.
func checkSources(cfg *config.Config) check {
	if err := starter.Check(cfg); err != nil {
		return warning("sources", "a starter does not start here: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return result("sources", fmt.Sprintf("%d, with what senders have to show", len(cfg.Starter.Sources)), nil)
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

// checkHooks looks up what hooks are made of, and calls none: that opens tickets.
func checkHooks(cfg *config.Config) check {
	all, err := cfg.ResolveHooks()
	var unused []string
	for i := range all {
		if len(all[i].Routes) == 0 {
			unused = append(unused, all[i].Name)
		}
	}
	if err == nil && len(unused) > 0 {
		return warning("hooks", "no route calls "+strings.Join(unused, ", "))
	}
	return result("hooks", fmt.Sprintf("%d hooks; none was called", len(all)), err)
}

// result is a check that passed unless err says why it failed.
func result(name, detail string, err error) check {
	if err != nil {
		return check{Name: name, Level: levelFail, Detail: err.Error()}
	}
	return check{Name: name, OK: true, Level: levelOK, Detail: detail}
}

func warning(name, detail string) check {
	return check{Name: name, OK: true, Level: levelWarn, Detail: detail}
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
	words := map[level]string{levelOK: "ok  ", levelWarn: "warn", levelFail: "FAIL"}
	for _, c := range checks {
		if _, err := fmt.Fprintf(w, "%s  %s: %s\n", words[c.Level], c.Name, plain(c.Detail)); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}
