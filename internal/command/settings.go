package command

import (
	"cmp"
	"errors"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"firebreak/internal/config"
	"firebreak/signals"
)

// setting is a flag that stands for a value of the configuration. Its default
// is only what help shows: the value is the configuration's unless the flag or
// its variable is given.
type setting struct {
	flag, shown, usage string
	set                func(*config.Config, string) error
}

// The flags of settings.
const (
	flagTaskQueue     = "task-queue"
	flagSysdigRegion  = "sysdig-region"
	flagSysdigAppURL  = "sysdig-app-url"
	flagSysdigAPIURL  = "sysdig-api-url"
	flagListen        = "listen"
	flagJournal       = "journal"
	flagMetricsListen = "metrics-listen"
	flagCodecListen   = "codec-listen"
	flagEvidenceURL   = "evidence-url"
	flagMode          = "mode"
)

func settings() []setting {
	return []setting{
		{flagTaskQueue, signals.TaskQueue, "Temporal task `QUEUE` of playbooks and activities", func(c *config.Config, v string) error {
			c.Temporal.TaskQueue = v
			return notEmpty(v)
		}},
		{flagSysdigRegion, "us2", "Sysdig SaaS `REGION`; SYSDIG_SECURE_URL names a host instead", func(c *config.Config, v string) error {
			c.Sysdig.Region, c.Sysdig.SecureURL = v, "" // the flag is the nearer one
			_, _, err := c.SysdigURLs()
			return err
		}},
		{flagSysdigAppURL, "", "`URL` of Sysdig's application host, instead of the region's", func(c *config.Config, v string) error {
			c.Sysdig.AppURL = v
			return notEmpty(v)
		}},
		{flagSysdigAPIURL, "", "`URL` of Sysdig's API host, instead of the region's", func(c *config.Config, v string) error {
			c.Sysdig.APIURL = v
			return notEmpty(v)
		}},
		{flagListen, "127.0.0.1:8080", "`ADDRESS` of the webhook server; port 0 picks a free one", func(c *config.Config, v string) error {
			c.Starter.Listen = v
			return listenAddress(v)
		}},
		{flagJournal, "", "`DIRECTORY` of the journal, which takes events while Temporal does not; without one they are refused", func(c *config.Config, v string) error {
			c.Starter.Journal = v
			return config.CheckJournal(v)
		}},
		{flagMetricsListen, "127.0.0.1:9464", "`ADDRESS` of the worker's probes and metrics; port 0 picks a free one", func(c *config.Config, v string) error {
			c.Worker.MetricsListen = v
			return listenAddress(v)
		}},
		{flagCodecListen, "127.0.0.1:8081", "`ADDRESS` of the codec server; port 0 picks a free one", func(c *config.Config, v string) error {
			c.Codec.Listen = v
			return listenAddress(v)
		}},
		{flagEvidenceURL, "file:///var/lib/firebreak/evidence", "`URL` of the evidence store", func(c *config.Config, v string) error {
			c.Evidence.URL = v
			return notEmpty(v)
		}},
		{flagMode, string(config.ModeAct), "`MODE` of the worker: act, or observe for a dry run, which changes nothing in Sysdig", func(c *config.Config, v string) error {
			c.Worker.Mode = config.Mode(v)
			return c.Worker.Mode.Check()
		}},
	}
}

// addSettings gives a command the flags of some settings.
func addSettings(cmd *cobra.Command, flags ...string) {
	for _, wanted := range flags {
		for _, s := range settings() {
			if s.flag == wanted {
				cmd.Flags().String(s.flag, s.shown, s.usage)
			}
		}
	}
}

// load reads the configuration and applies the command's settings to it.
func (s *session) load(cmd *cobra.Command) (*config.Config, error) {
	cfg, err := s.loadFile(s.config)
	if err != nil {
		return nil, err
	}
	for _, setting := range settings() {
		f := cmd.Flags().Lookup(setting.flag)
		if f == nil || !f.Changed {
			continue
		}
		if err := setting.set(cfg, f.Value.String()); err != nil {
			return nil, usagef("--%s %q: %w", setting.flag, f.Value, err)
		}
	}
	return cfg, nil
}

// loadFile reads a configuration file. One that cannot be read was named
// wrongly, so every error is a [UsageError].
func (s *session) loadFile(path string) (*config.Config, error) {
	cfg, err := config.Load(path, s.environ.LookupEnv)
	if err != nil {
		return nil, &UsageError{err}
	}
	cfg.Temporal.Keyset = cmp.Or(s.keyset, cfg.Temporal.Keyset)
	return cfg, nil
}

func notEmpty(value string) error {
	if value == "" {
		return errors.New("it is empty")
	}
	return nil
}

func listenAddress(value string) error {
	_, port, err := net.SplitHostPort(value)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return errors.New("want HOST:PORT, like 127.0.0.1:8080")
	}
	return nil
}
