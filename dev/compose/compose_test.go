// Package compose_test checks docker-compose.yml and the Dockerfiles against what
// they must agree with elsewhere. That they work is what `make compose-test` shows,
// with Docker.
package compose_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/dynamicconfig"
	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"

	"firebreak/internal/command"
	"firebreak/internal/config"
)

// project is docker-compose.yml, as far as it uses what there is.
type project struct {
	Service     service           `yaml:"x-service"`
	Firebreak   service           `yaml:"x-firebreak"`
	Environment map[string]string `yaml:"x-environment"`
	Services    map[string]service
	Networks    map[string]struct{ Internal bool }
	Volumes     map[string]struct{}
}

type service struct {
	Image       string
	Build       any
	User        string
	Command     []string
	Profiles    []string
	Environment map[string]string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Deploy      struct{ Replicas int }
	Networks    []string
	Ports       []string
	Volumes     []string
	Tmpfs       []string
	Restart     string
	ReadOnly    bool          `yaml:"read_only"`
	CapDrop     []string      `yaml:"cap_drop"`
	SecurityOpt []string      `yaml:"security_opt"`
	StopGrace   time.Duration `yaml:"stop_grace_period"`
	Logging     struct{ Driver string }
	Healthcheck struct {
		Test              []string
		Disable           bool
		Retries           int
		Interval, Timeout time.Duration
		StartPeriod       time.Duration `yaml:"start_period"`
	}
}

// read reads a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	require.NoError(t, err)
	return string(text)
}

// load reads docker-compose.yml; a key that is unknown is an error.
func load(t *testing.T) project {
	t.Helper()
	var p project
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "docker-compose.yml")))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&p))
	require.NotEmpty(t, p.Services)
	return p
}

// jobs end, and are done then.
func jobs() []string { return []string{"schema", "namespace", "setup"} }

func TestNothingIsPublishedBeyondThisHost(t *testing.T) {
	t.Parallel()
	published := 0
	for name, s := range load(t).Services {
		for _, port := range s.Ports {
			require.Regexp(t, `^127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+$`, port, name)
			published++
		}
	}
	require.Equal(t, 6, published)
}

func TestEveryServiceIsConfinedAndRestarted(t *testing.T) {
	t.Parallel()
	p := load(t)
	for name, s := range p.Services {
		require.True(t, s.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt, name)
		require.Equal(t, "local", s.Logging.Driver, name)
		if slices.Contains(jobs(), name) {
			require.Equal(t, "no", s.Restart, name)
			continue
		}
		require.Equal(t, "unless-stopped", s.Restart, name)
		require.NotZero(t, s.StopGrace, name)
		if name != "sysdig" { // nothing waits for the simulation, and its image has no shell
			require.NotEmpty(t, s.Healthcheck.Test, name)
		}
	}
	require.Equal(t, 2, p.Services["worker"].Deploy.Replicas)
	require.Equal(t, []string{"database"}, p.Services["postgres"].Networks)
	require.True(t, p.Networks["database"].Internal)
	for name, s := range p.Services {
		if name != "postgres" && name != "schema" && name != "temporal" {
			require.NotContains(t, s.Networks, "database", name)
		}
	}
}

func TestProcessesAreGivenMoreTimeThanTheyTakeToStop(t *testing.T) {
	t.Parallel()
	p := load(t)
	for _, name := range []string{"worker", "starter"} {
		var help bytes.Buffer
		require.Zero(t, command.Run(t.Context(), []string{name, "--help"}, command.Env{Stdout: &help, Stderr: &help}))
		found := regexp.MustCompile(`shutdown-timeout .*\(default (\S+)\)`).FindStringSubmatch(help.String())
		require.NotNil(t, found)
		own, err := time.ParseDuration(found[1])
		require.NoError(t, err)
		require.Greater(t, p.Services[name].StopGrace, own, name)
	}
}

func TestVersionsAreThoseThatAreTested(t *testing.T) {
	t.Parallel()
	mod, err := modfile.Parse("go.mod", []byte(read(t, "dev/go.mod")), nil)
	require.NoError(t, err)
	pinned := map[string]string{}
	for _, require := range mod.Require {
		pinned[require.Mod.Path] = strings.TrimPrefix(require.Mod.Version, "v")
	}
	p := load(t)
	for name, image := range map[string]string{
		"temporal":  "temporalio/server:" + pinned["go.temporal.io/server"],
		"schema":    "temporalio/admin-tools:" + pinned["go.temporal.io/server"],
		"namespace": "temporalio/admin-tools:" + pinned["go.temporal.io/server"],
		"ui":        "temporalio/ui:" + pinned["github.com/temporalio/ui-server/v2"],
	} {
		require.Equal(t, image, p.Services[name].Image)
	}
	built := map[string]string{}
	for name, s := range p.Services {
		require.Regexp(t, `:(\d|v\d|local$)`, s.Image, "a tag that does not move, or what is built here")
		if s.Build != nil {
			require.NotContains(t, built, s.Image, "two builds of one image at once")
			built[s.Image] = name
		}
	}
	require.Equal(t, map[string]string{"firebreak:local": "setup", "firebreak-sandbox-sysdig:local": "sysdig"}, built)
	for _, dockerfile := range []string{"Dockerfile", "dev/sysdig/Dockerfile"} {
		require.Contains(t, read(t, dockerfile), "FROM golang:"+mod.Go.Version+" AS build\n")
	}
}

// variables are the names of an environment file, with their values.
func variables(t *testing.T, file string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(read(t, file)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		require.True(t, ok, line)
		found[name] = value
	}
	return found
}

func TestEveryVariableIsInTheExampleAndUsed(t *testing.T) {
	t.Parallel()
	used := map[string]string{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)(:[-?])([^}]*)\}`).FindAllStringSubmatch(read(t, "docker-compose.yml"), -1) {
		used[m[1]] = ""
		if m[2] == ":-" {
			used[m[1]] = m[3]
		}
	}
	used["COMPOSE_PROJECT_NAME"] = "firebreak"
	require.Equal(t, used, variables(t, ".env.example"), "with the same defaults, and empty what must be filled in")

	used["COMPOSE_PROFILES"] = ""
	for name, value := range variables(t, ".env.sandbox") {
		require.Contains(t, used, name)
		require.NotEmpty(t, value)
	}
}

func TestASandboxAndAnInstallationShareNothing(t *testing.T) {
	t.Parallel()
	sandbox, installation := variables(t, ".env.sandbox"), variables(t, ".env.example")
	require.NotEqual(t, installation["COMPOSE_PROJECT_NAME"], sandbox["COMPOSE_PROJECT_NAME"])
	require.Equal(t, "http://sysdig:9090", sandbox["SYSDIG_URL"])
	require.NotContains(t, read(t, "docker-compose.yml"), "sysdig:9090", "only the sandbox's own file names its Sysdig")
	require.Equal(t, []string{"sandbox"}, load(t).Services["sysdig"].Profiles)
}

func TestSecretsComeFromTheEnvironmentFileAndGoToWhoNeedsThem(t *testing.T) {
	t.Parallel()
	holders := map[string][]string{}
	for name, s := range load(t).Services {
		for variable, value := range s.Environment {
			secret := regexp.MustCompile(`PASSWORD|PWD|TOKEN|SECRET|KEY`).MatchString(variable)
			if m := regexp.MustCompile(`^\$\{(\w+):\?set it in \.env\}$`).FindStringSubmatch(value); m != nil {
				holders[m[1]] = append(holders[m[1]], name)
			} else {
				require.False(t, secret, "%s of %s is written out", variable, name)
			}
		}
	}
	for _, names := range holders {
		slices.Sort(names)
	}
	require.Equal(t, map[string][]string{
		"POSTGRES_PASSWORD": {"postgres", "schema", "temporal"},
		"SYSDIG_URL":        {"worker"},
		"SYSDIG_TOKEN":      {"worker"},
		"WEBHOOK_TOKEN":     {"starter"},
	}, holders)
	require.Contains(t, strings.Split(read(t, ".gitignore"), "\n"), ".env")
	require.Contains(t, strings.Split(read(t, ".dockerignore"), "\n"), ".env*")
}

func TestTheConfigurationIsGoodAndListensWhereItIsPublished(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load("../../deploy/firebreak.yaml", func(name string) (string, bool) {
		_, ok := load(t).Environment[name]
		return "http://" + name, ok
	})
	require.NoError(t, err)
	p := load(t)
	require.Equal(t, "0.0.0.0:8080", cfg.Starter.Listen)
	require.Regexp(t, `:8080$`, p.Services["starter"].Ports[0])
	require.Contains(t, p.Firebreak.Volumes, "journal:"+cfg.Starter.Journal)
	require.Contains(t, p.Firebreak.Volumes, "evidence:"+strings.TrimPrefix(cfg.Evidence.URL, "file://"))
	require.Contains(t, read(t, "Dockerfile"), "/evidence /var/lib/firebreak/journal\n", "which the image has, so that its user owns the volumes")
}

func TestTheServersDynamicConfigurationIsUnderstood(t *testing.T) {
	t.Parallel()
	text := read(t, "deploy/temporal/dynamicconfig.yaml")
	result := dynamicconfig.LoadYamlFile([]byte(text))
	require.Empty(t, result.Errors)
	require.Empty(t, result.Warnings)
	require.Contains(t, text, "frontend.enablePrincipalPropagation:\n  - value: true\n")
	require.NotContains(t, strings.ToLower(text), "forcesearchattributescacherefreshonread")
}
