// Package kubernetes_test holds the manifests against the binary that they start:
// its flags, its variables, its ports and its configuration. What an API server
// makes of them is tested in dev/kubernetes.
package kubernetes_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"firebreak/internal/command"
	"firebreak/internal/config"
)

// manifest is what these tests look at in an object.
type manifest struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		VolumeClaimTemplates []struct {
			Metadata struct{ Name string }
			Spec     struct {
				Resources struct{ Requests struct{ Storage string } }
			}
		} `yaml:"volumeClaimTemplates"`
		// Of a Service.
		Ports []struct {
			TargetPort string `yaml:"targetPort"`
		}
		// Of a NetworkPolicy.
		PodSelector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		} `yaml:"podSelector"`
		Ingress []struct{ Ports []struct{ Port int } }
	}
}

type pod struct {
	TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
	ServiceAccountName            string `yaml:"serviceAccountName"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type container struct {
	Name, Image string
	Args        []string
	Env         []struct{ Name, Value string }
	EnvFrom     []struct {
		ConfigMapRef struct{ Name string } `yaml:"configMapRef"`
	} `yaml:"envFrom"`
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	Lifecycle      struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	Resources struct{ Requests, Limits map[string]string }

	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// objects are those of a file.
func objects(t *testing.T, file string) []manifest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("base", file))
	require.NoError(t, err)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var all []manifest
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err, file)
		all = append(all, m)
	}
}

// process is one of ours, and the manifest that runs it.
type process struct {
	command, file string
	// listens is the flag that says where, and port what that is called.
	listens, port string
	// name is that of what runs it.
	name string
}

func processes() []process {
	return []process{
		{"worker", "worker.yaml", "metrics-listen", "metrics", "firebreak-worker"},
		{"starter", "starter.yaml", "listen", "http", "firebreak-starter"},
	}
}

// pod is the pod of the process, which has one container.
func (p process) pod(t *testing.T) (manifest, container) {
	t.Helper()
	m := objects(t, p.file)[0]
	require.Contains(t, []string{"Deployment", "StatefulSet"}, m.Kind)
	require.Equal(t, p.name, m.Metadata.Name)
	require.Len(t, m.Spec.Template.Spec.Containers, 1)
	return m, m.Spec.Template.Spec.Containers[0]
}

// flags are the values of the container's flags, by name.
func (c container) flags(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, arg := range c.Args[1:] {
		name, value, ok := strings.Cut(arg, "=")
		require.True(t, ok && strings.HasPrefix(name, "--"), arg)
		values[strings.TrimPrefix(name, "--")] = value
	}
	return values
}

// run runs a command with variables, and returns what it printed.
func run(t *testing.T, environ []string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = command.Run(t.Context(), args, command.Env{Environ: environ, Stdin: &bytes.Buffer{}, Stdout: &out, Stderr: &out})
	return code, out.String()
}

// generated are the literals of the ConfigMap of variables.
func generated(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("base/kustomization.yaml")
	require.NoError(t, err)
	var kustomization struct {
		ConfigMapGenerator []struct{ Literals []string } `yaml:"configMapGenerator"`
	}
	require.NoError(t, yaml.Unmarshal(text, &kustomization))
	values := map[string]string{}
	for _, generator := range kustomization.ConfigMapGenerator {
		for _, literal := range generator.Literals {
			name, value, _ := strings.Cut(literal, "=")
			values[name] = value
		}
	}
	return values
}

func TestContainersAreStartedWithFlagsTheyHave(t *testing.T) {
	t.Parallel()
	for _, p := range processes() {
		_, c := p.pod(t)
		require.Equal(t, p.command, c.Args[0])
		// Flags are read in order: a bad one comes before the help.
		code, output := run(t, nil, append(slices.Clone(c.Args), "--help")...)
		require.Zero(t, code, output)
		for name := range c.flags(t) {
			require.Regexp(t, `(?m)^ +--`+name+` `, output)
		}
	}
}

func TestEveryVariableOfAContainerIsReadByIt(t *testing.T) {
	t.Parallel()
	yaml, err := os.ReadFile("base/firebreak.yaml")
	require.NoError(t, err)
	// These are read by the libraries of Temporal and by Go.
	known := []string{"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "GOMEMLIMIT"}
	for _, p := range processes() {
		_, c := p.pod(t)
		_, help := run(t, nil, p.command, "--help")
		names := slices.Collect(maps.Keys(generated(t)))
		for _, variable := range c.Env {
			names = append(names, variable.Name)
		}
		require.Len(t, c.EnvFrom, 1)
		require.Equal(t, "firebreak-environment", c.EnvFrom[0].ConfigMapRef.Name)
		for _, name := range names {
			require.True(t, slices.Contains(known, name) || strings.Contains(help, "["+name+"]") || bytes.Contains(yaml, []byte("${"+name+"}")), "%s of %s", name, p.command)
		}
	}
}

func TestTheConfigurationLoadsAndEachProcessHasTheSecretsItNeeds(t *testing.T) {
	t.Parallel()
	variables := generated(t)
	environ := []string{"FIREBREAK_CONFIG=base/firebreak.yaml"}
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	code, output := run(t, environ, "config", "--output", "json")
	require.Zero(t, code, output)
	require.True(t, strings.HasPrefix(variables["FIREBREAK_EVIDENCE_URL"], "s3://"), "pods share no disk")
	cfg, err := config.Load("base/firebreak.yaml", func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	_, worker := processes()[0].pod(t)
	_, starter := processes()[1].pod(t)
	require.Equal(t, "${"+worker.Env[0].Name+"}", cfg.Sysdig.Token.String())
	require.Equal(t, "${"+starter.Env[0].Name+"}", cfg.Starter.Sources[0].Auth.Secrets[0].String())
}

func TestPortsAreWhereProcessesListen(t *testing.T) {
	t.Parallel()
	for _, p := range processes() {
		m, c := p.pod(t)
		require.Len(t, c.Ports, 1)
		require.Equal(t, p.port, c.Ports[0].Name)
		require.Equal(t, "0.0.0.0:"+strconv.Itoa(c.Ports[0].ContainerPort), c.flags(t)[p.listens], "others than the pod itself connect")
		require.Equal(t, probe{struct{ Path, Port string }{"/livez", p.port}}, c.LivenessProbe)
		require.Equal(t, probe{struct{ Path, Port string }{"/readyz", p.port}}, c.ReadinessProbe)

		admitted := 0
		for _, policy := range objects(t, "network-policy.yaml") {
			if !selects(policy.Spec.PodSelector.MatchLabels, m.Spec.Template.Metadata.Labels) {
				continue
			}
			for _, rule := range policy.Spec.Ingress {
				for _, port := range rule.Ports {
					require.Equal(t, c.Ports[0].ContainerPort, port.Port, policy.Metadata.Name)
					admitted++
				}
			}
		}
		require.Equal(t, 1, admitted)
	}
	for _, m := range objects(t, "starter.yaml") {
		if m.Kind == "Service" {
			require.Equal(t, "http", m.Spec.Ports[0].TargetPort)
		}
	}
	monitors, err := os.ReadFile("monitoring/monitors.yaml")
	require.NoError(t, err)
	require.Contains(t, string(monitors), "podMetricsEndpoints: [{port: metrics,")
	require.Contains(t, string(monitors), "endpoints: [{port: http,")
}

func TestTheOperatorScrapesByTheJobsThatAlertsName(t *testing.T) {
	t.Parallel()
	alerts, err := os.ReadFile("../prometheus/alerts.yaml")
	require.NoError(t, err)
	named := map[string]bool{}
	for _, match := range regexp.MustCompile(`job="([^"]+)"`).FindAllStringSubmatch(string(alerts), -1) {
		named[match[1]] = true
	}
	monitors, err := os.ReadFile("monitoring/monitors.yaml")
	require.NoError(t, err)
	type endpoint struct {
		Relabelings []struct {
			TargetLabel string `yaml:"targetLabel"`
			Replacement string
		}
	}
	scraped := map[string]bool{}
	for text := range strings.SplitSeq(string(monitors), "\n---\n") {
		var m struct {
			Kind string
			Spec struct {
				JobLabel            string     `yaml:"jobLabel"`
				PodMetricsEndpoints []endpoint `yaml:"podMetricsEndpoints"`
				Selector            struct {
					MatchLabels map[string]string `yaml:"matchLabels"`
				}
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(text), &m))
		require.Empty(t, m.Spec.JobLabel)
		if m.Kind == "PodMonitor" {
			for _, e := range m.Spec.PodMetricsEndpoints {
				for _, r := range e.Relabelings {
					require.Equal(t, "job", r.TargetLabel)
					scraped[r.Replacement] = true
				}
			}
			continue
		}
		for _, service := range objects(t, "starter.yaml") {
			if service.Kind == "Service" && selects(m.Spec.Selector.MatchLabels, service.Metadata.Labels) {
				scraped[service.Metadata.Name] = true
			}
		}
	}
	require.Equal(t, named, scraped)
}

func TestPodsHaveTimeToStop(t *testing.T) {
	t.Parallel()
	for _, p := range processes() {
		m, c := p.pod(t)
		stopping, err := time.ParseDuration(c.flags(t)["shutdown-timeout"])
		require.NoError(t, err)
		// The last spans have five seconds, see flushBudget in internal/telemetry.
		needed := stopping + 5*time.Second + time.Duration(c.Lifecycle.PreStop.Sleep.Seconds)*time.Second
		require.Greater(t, time.Duration(m.Spec.Template.Spec.TerminationGracePeriodSeconds)*time.Second, needed, p.command)
	}
}

func TestPodsMayDoNothingTheyNeedNot(t *testing.T) {
	t.Parallel()
	for _, p := range processes() {
		m, c := p.pod(t)
		pod := m.Spec.Template.Spec
		require.True(t, pod.SecurityContext.RunAsNonRoot)
		require.Positive(t, pod.SecurityContext.RunAsUser)
		require.Equal(t, "RuntimeDefault", pod.SecurityContext.SeccompProfile.Type)
		require.Equal(t, p.name, pod.ServiceAccountName)
		require.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop)
		require.True(t, c.SecurityContext.ReadOnlyRootFilesystem)
		require.NotNil(t, c.SecurityContext.AllowPrivilegeEscalation)
		require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
		require.Equal(t, map[string]string{"memory": "128Mi"}, c.Resources.Limits)
		require.Equal(t, "64Mi", c.Resources.Requests["memory"])
		require.Equal(t, "GOMEMLIMIT", c.Env[1].Name)
	}
}

func TestFilesAreWhereTheyAreMounted(t *testing.T) {
	t.Parallel()
	for _, p := range processes() {
		m, c := p.pod(t)
		mounts := map[string]string{}
		for _, mount := range c.VolumeMounts {
			mounts[mount.Name] = mount.MountPath
		}
		require.Equal(t, mounts["config"]+"/firebreak.yaml", c.flags(t)["config"])
		require.Equal(t, "firebreak-config", m.Spec.Template.Spec.Volumes[0].ConfigMap.Name)
		require.Equal(t, mounts["journal"], c.flags(t)["journal"])
	}
	starter, _ := processes()[1].pod(t)
	require.Equal(t, "journal", starter.Spec.VolumeClaimTemplates[0].Metadata.Name)
	require.Equal(t, "3Gi", starter.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage, "twice what a journal may hold, see maxJournal in starter, and more")
}

// selects reports whether a selector takes a pod with these labels.
func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return true
}
