// Package config is firebreak.yaml: its sections, their defaults, and the
// errors that say where a file is wrong and what to write instead. It reads the
// file and the environment it is given, and nothing else: flags and the
// connection to Temporal are the commands' business.
//
// A file need not be complete: a key that it leaves out, or leaves empty, has
// the value of the embedded default. A list or map that it does write replaces
// the default one; `routes: []` means no routes.
//
// ${NAME} in a string stands for an environment variable, except in routes,
// whose strings are expressions; in a secret, ${file:PATH} stands for what a
// file holds. Secrets are looked up when they are needed, for each process has
// only its own; all else when the file is loaded.
package config

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"firebreak/internal/incident"
	"firebreak/internal/redact"
	"firebreak/signals"
)

// FileName is the configuration file in the working directory that is used
// when none is named.
const FileName = "firebreak.yaml"

// defaultName stands for a file name in errors about the embedded default.
const defaultName = "(embedded default)"

//go:embed default.yaml
var defaultYAML []byte

// Config is the whole configuration.
type Config struct {
	Temporal  Temporal  `yaml:"temporal" json:"temporal"`
	Sysdig    Sysdig    `yaml:"sysdig" json:"sysdig"`
	Starter   Starter   `yaml:"starter" json:"starter"`
	Worker    Worker    `yaml:"worker" json:"worker"`
	Codec     Codec     `yaml:"codec" json:"codec"`
	Evidence  Evidence  `yaml:"evidence" json:"evidence"`
	Approvals Approvals `yaml:"approvals" json:"approvals"`
	Guard     Guard     `yaml:"guard" json:"guard"`
	Notify    Notify    `yaml:"notify" json:"notify"`
	// Redact are the rules by which events lose what nobody is to read, see
	// [redact.New].
	Redact []string `yaml:"redact" json:"redact"`
	// Hooks are requests to other vendors, by name.
	Hooks  map[string]Hook  `yaml:"hooks" json:"hooks"`
	Routes []incident.Route `yaml:"routes" json:"routes"`
}

// Temporal is what the configuration says of Temporal; the connection itself
// comes from TEMPORAL_* or temporal.toml, as for the temporal CLI.
type Temporal struct {
	TaskQueue string `yaml:"task_queue" json:"task_queue"`
	// WebURL is the base URL of Temporal Web, for links in notifications; "" puts
	// none there.
	WebURL string `yaml:"web_url" json:"web_url"`
	// Keyset is the file of the keys that payloads are encrypted with; "" leaves
	// them as they are.
	Keyset string `yaml:"keyset" json:"keyset"`
}

// Sysdig is the Sysdig Secure account, and those of tenants.
type Sysdig struct {
	Region string `yaml:"region" json:"region"`
	// SecureURL is SYSDIG_SECURE_URL, the application host as Sysdig's Terraform
	// provider takes it; it wins over the region.
	SecureURL string `yaml:"-" json:"-"`
	// AppURL and APIURL override the two hosts.
	AppURL string `yaml:"app_url" json:"app_url"`
	APIURL string `yaml:"api_url" json:"api_url"`
	Token  Secret `yaml:"token" json:"token"`
	// Tenants are further accounts, for sources that name one. Without a token of
	// its own, the section is none where every source names a tenant.
	Tenants []Tenant `yaml:"tenants" json:"tenants"`
}

// Tenant is a Sysdig account under a name. Its keys mean what the section's own
// do, but nothing stands in for what is not written.
type Tenant struct {
	Name   string `yaml:"name" json:"name"`
	Region string `yaml:"region" json:"region"`
	AppURL string `yaml:"app_url" json:"app_url"`
	APIURL string `yaml:"api_url" json:"api_url"`
	Token  Secret `yaml:"token" json:"token"`
}

// Starter is the webhook server.
type Starter struct {
	Listen string `yaml:"listen" json:"listen"`
	// TLS is what the starter terminates TLS with; without it, it speaks plain
	// HTTP, for a proxy in front of it.
	TLS TLS `yaml:"tls" json:"tls"`
	// Journal is the directory of the journal, which takes events while Temporal
	// does not; "" means none.
	Journal string `yaml:"journal" json:"journal"`
	// MaxBody bounds the body of a request as it is sent, in bytes. Default: 1
	// MiB.
	MaxBody int      `yaml:"max_body" json:"max_body"`
	Sources []Source `yaml:"sources" json:"sources"`
}

// TLS is a certificate with its chain and its key, in PEM files. They are read
// anew when they change.
type TLS struct {
	Cert string `yaml:"cert" json:"cert"`
	Key  string `yaml:"key" json:"key"`
}

// Source is a sender of events, under its name in the webhook's path.
type Source struct {
	Name string `yaml:"name" json:"name"`
	Auth Auth   `yaml:"auth" json:"auth"`
	// Allow are the networks and addresses that may send, in addition to what
	// Auth asks for; empty means all.
	Allow []string `yaml:"allow,omitempty" json:"allow,omitempty"`
	// Tenant is the name of the Sysdig account that the events come from, and that
	// is acted on; "" is the section's own.
	Tenant string `yaml:"tenant" json:"tenant"`
}

// Worker is the worker process.
type Worker struct {
	MetricsListen string `yaml:"metrics_listen" json:"metrics_listen"`
	Mode          Mode   `yaml:"mode" json:"mode"`
	// ActivitiesPerMinute bounds how many activities all workers of the task queue
	// together begin in a minute, in which Sysdig counts requests, too. 0 means that
	// nothing does: what Sysdig turns away is tried again when it says so.
	ActivitiesPerMinute int `yaml:"activities_per_minute" json:"activities_per_minute"`
}

// Mode is what a worker does of what it decides.
type Mode string

// The modes.
const (
	ModeAct Mode = "act"
	// ModeObserve is a dry run: everything but the side effect. Nothing is changed
	// in Sysdig, and what would have been is told.
	ModeObserve Mode = "observe"
)

// Check refuses what is no mode.
func (m Mode) Check() error {
	if m != ModeAct && m != ModeObserve {
		return fmt.Errorf("want %s or %s", ModeAct, ModeObserve)
	}
	return nil
}

// Evidence is where captures and reports are kept.
type Evidence struct {
	URL string `yaml:"url" json:"url"`
}

// Approvals says whose decision counts. Groups are names of analysts; with
// trust listed or verified, a member of the groups that an approval names may
// decide, and of any group where it names none.
type Approvals struct {
	Trust  signals.Trust       `yaml:"trust" json:"trust"`
	Groups map[string][]string `yaml:"groups" json:"groups"`
	// Policies say how single actions are to be approved, whatever the route says;
	// the first that matches holds.
	Policies []incident.ApprovalPolicy `yaml:"policies" json:"policies"`
}

// Guard bounds what is contained, whatever routes and analysts say.
type Guard struct {
	// Protected are the targets that are never contained.
	Protected []incident.Protection `yaml:"protected" json:"protected"`
	// Budgets bound the containment that nobody approved.
	Budgets []signals.Budget `yaml:"budgets" json:"budgets"`
}

// Notify says who is told of incidents: URLs of shoutrrr, which hold secrets.
type Notify struct {
	// URLs are told of every incident that Routes says nothing else of.
	URLs []Secret `yaml:"urls" json:"urls"`
	// Routes are told, instead, of the incidents of a route.
	Routes map[string][]Secret `yaml:"routes" json:"routes"`
	// Groups are told besides, of requests that were escalated to the group.
	Groups map[string][]Secret `yaml:"groups" json:"groups"`
}

// Any reports whether anybody is told of anything.
func (n *Notify) Any() bool { return len(n.URLs) > 0 || len(n.Routes) > 0 || len(n.Groups) > 0 }

// Redactor redacts by the rules.
func (c *Config) Redactor() (*redact.Redactor, error) { return redact.New(c.Redact) }

// Load reads the configuration file at path; with path "" it is [FileName] in
// the working directory if that is there, and else the embedded default. All
// that is wrong with a file is reported together; each part of the error is an
// *[Error]. lookup is os.LookupEnv or stands in for it.
func Load(path string, lookup func(string) (string, bool)) (*Config, error) {
	c := &Config{}
	d := newDecoder(lookup)
	d.decode(defaultName, defaultYAML, c)
	name, text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if name != "" {
		d.decode(name, text, c)
	}
	// Values are only checked in a file that could be read as a whole: what is
	// wrong with the shape would show again as something wrong with a value.
	if len(d.problems) == 0 {
		c.check(d.wrong)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	c.Sysdig.SecureURL, _ = lookup("SYSDIG_SECURE_URL")
	for i, route := range c.Routes {
		c.Routes[i] = route.WithDefaults()
	}
	for i := range c.Starter.Sources {
		source := &c.Starter.Sources[i]
		source.Auth = source.Auth.withDefaults()
	}
	for name, hook := range c.Hooks {
		c.Hooks[name] = hook.withDefaults()
	}
	return c, nil
}

// read reads the file to use; its name is "" for the embedded default.
func read(path string) (name string, text []byte, err error) {
	if path != "" {
		text, err = os.ReadFile(path)
		return path, text, err
	}
	text, err = os.ReadFile(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	return FileName, text, err
}

// Approvers is who may decide, as it travels with an incident.
func (c *Config) Approvers() signals.Approvers {
	all := map[string]bool{}
	for _, members := range c.Approvals.Groups {
		for _, name := range members {
			all[name] = true
		}
	}
	return signals.Approvers{
		Trust: c.Approvals.Trust, Analysts: slices.Sorted(maps.Keys(all)), Groups: c.Approvals.Groups,
		Policies: len(c.Approvals.Policies) > 0 || len(c.Guard.Protected) > 0,
	}
}

// ResolveSecrets are the secrets that the source may authenticate with.
func (s Source) ResolveSecrets() ([]string, error) {
	resolved, err := s.Auth.ResolveSecrets()
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.Name, err)
	}
	return resolved, nil
}
