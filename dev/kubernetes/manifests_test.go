package kubernetes_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kubectl-validate/pkg/openapiclient"
	"sigs.k8s.io/kubectl-validate/pkg/validator"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests is where they are.
const manifests = "../../deploy/kubernetes"

// apiVersion is the version of Kubernetes whose schemas they are held against. They
// use nothing that is not stable in it, but for a pod's sleep before it stops.
const apiVersion = "1.30"

// object is one that the API server is sent.
type object struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	text              []byte
}

// built is what `kubectl apply -k` sends, by kind and name.
func built(t *testing.T, dir string) map[string]object {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(manifests, dir))
	require.NoError(t, err)
	objects := map[string]object{}
	for _, resource := range resources.Resources() {
		text, err := resource.AsYAML()
		require.NoError(t, err)
		o := object{text: text}
		require.NoError(t, yaml.Unmarshal(text, &o))
		objects[o.Kind+"/"+o.Name] = o
	}
	return objects
}

// schemas validate what Kubernetes itself has kinds for.
func schemas(t *testing.T) *validator.Validator {
	t.Helper()
	schemas, err := validator.New(openapiclient.NewHardcodedBuiltins(apiVersion))
	require.NoError(t, err)
	return schemas
}

// decode decodes as an API server does: fields have to be known and spelt exactly,
// and a number is no text.
func decode(text []byte, into any) error {
	encoded, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	unknown, err := json.UnmarshalStrict(encoded, into)
	return errors.Join(append(unknown, err)...)
}

// validate says why the API server would refuse an object.
func validate(schemas *validator.Validator, text []byte) error {
	var o object
	if err := yaml.Unmarshal(text, &o); err != nil {
		return err
	}
	switch o.Kind {
	case "PodMonitor":
		return decode(text, &monitoring.PodMonitor{})
	case "ServiceMonitor":
		return decode(text, &monitoring.ServiceMonitor{})
	case "Connection":
		return decode(text, &connection{})
	case "WorkerDeployment":
		return validateWorkerDeployment(schemas, text)
	// To the schemas a quantity is any text.
	case "Deployment":
		if err := decode(text, &appsv1.Deployment{}); err != nil {
			return err
		}
	case "StatefulSet":
		if err := decode(text, &appsv1.StatefulSet{}); err != nil {
			return err
		}
	}
	_, parsed, err := schemas.Parse(text)
	if err != nil {
		return err
	}
	return schemas.Validate(parsed)
}

// validateWorkerDeployment validates the Deployment, too, that the controller makes
// of it.
func validateWorkerDeployment(schemas *validator.Validator, text []byte) error {
	var w workerDeployment
	if err := decode(text, &w); err != nil {
		return err
	}
	if strategies := []string{"Manual", "AllAtOnce", "Progressive"}; !slices.Contains(strategies, w.Spec.Rollout.Strategy) {
		return fmt.Errorf("spec.rollout.strategy %q: want one of %q", w.Spec.Rollout.Strategy, strategies)
	}
	var raw struct {
		Spec struct {
			Replicas any            `json:"replicas"`
			Template map[string]any `json:"template"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return err
	}
	deployment, err := yaml.Marshal(map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": w.Name, "namespace": w.Namespace},
		"spec": map[string]any{
			"replicas": raw.Spec.Replicas, "template": raw.Spec.Template,
			"selector": map[string]any{"matchLabels": w.Spec.Template.Labels},
		},
	})
	if err != nil {
		return err
	}
	return validate(schemas, deployment)
}

func TestAnAPIServerTakesTheManifests(t *testing.T) {
	t.Parallel()
	schemas := schemas(t)
	for dir, want := range map[string][]string{
		"base": {
			"ConfigMap/firebreak-config", "ConfigMap/firebreak-environment", "Deployment/firebreak-worker", "Namespace/firebreak",
			"NetworkPolicy/firebreak", "NetworkPolicy/firebreak-starter", "NetworkPolicy/firebreak-worker",
			"PodDisruptionBudget/firebreak-starter", "PodDisruptionBudget/firebreak-worker", "Service/firebreak-starter",
			"ServiceAccount/firebreak-starter", "ServiceAccount/firebreak-worker", "StatefulSet/firebreak-starter",
		},
		"versioned": {
			"ConfigMap/firebreak-config", "ConfigMap/firebreak-environment", "Connection/temporal", "Namespace/firebreak",
			"NetworkPolicy/firebreak", "NetworkPolicy/firebreak-starter", "NetworkPolicy/firebreak-worker",
			"PodDisruptionBudget/firebreak-starter", "PodDisruptionBudget/firebreak-worker", "Service/firebreak-starter",
			"ServiceAccount/firebreak-starter", "ServiceAccount/firebreak-worker", "StatefulSet/firebreak-starter",
			"WorkerDeployment/firebreak-worker",
		},
		"monitoring": {"PodMonitor/firebreak-worker", "ServiceMonitor/firebreak-starter"},
	} {
		objects := built(t, dir)
		require.Equal(t, want, slices.Sorted(maps.Keys(objects)), dir)
		for name, o := range objects {
			require.NoError(t, validate(schemas, o.text), "%s: %s\n%s", dir, name, o.text)
			if o.Kind != "Namespace" {
				require.Equal(t, "firebreak", o.Namespace, name)
			}
		}
	}
}

func TestTheExampleOfSecretsHasWhatContainersTakeFromThem(t *testing.T) {
	t.Parallel()
	schemas := schemas(t)
	text, err := os.ReadFile(filepath.Join(manifests, "base", "secret.example.yaml"))
	require.NoError(t, err)
	keys := map[string][]string{}
	for _, document := range strings.Split(string(text), "\n---\n") {
		require.NoError(t, validate(schemas, []byte(document)))
		var secret corev1.Secret
		require.NoError(t, decode([]byte(document), &secret))
		require.Equal(t, "firebreak", secret.Namespace)
		keys[secret.Name] = slices.Sorted(maps.Keys(secret.StringData))
	}
	taken := map[string][]string{}
	for _, pod := range pods(t, "base") {
		for _, variable := range pod.Spec.Containers[0].Env {
			if variable.ValueFrom != nil {
				from := variable.ValueFrom.SecretKeyRef
				taken[from.Name] = append(taken[from.Name], from.Key)
			}
		}
	}
	require.Equal(t, taken, keys)
}

// A misspelt field and a value of the wrong type are what a person overlooks.
func TestMistakesInManifestsAreSeen(t *testing.T) {
	t.Parallel()
	schemas := schemas(t)
	objects := built(t, "base")
	maps.Copy(objects, built(t, "versioned"))
	maps.Copy(objects, built(t, "monitoring"))
	for name, mistakes := range map[string]map[string]string{
		"Deployment/firebreak-worker": {
			"readinessProbe:": "readynessProbe:", "replicas: 2": "replicas: two", "drop:": "drops:", "cpu: 100m": "cpu: lots",
			"path: /livez": "route: /livez", "serviceAccountName:": "serviceAccount_name:", "runAsUser: 65532": "runAsUser: nobody",
		},
		"StatefulSet/firebreak-starter": {
			"whenScaled: Retain": "whenShrunk: Retain", "volumeClaimTemplates:": "volumeClaims:",
			"storage: 3Gi": "storage: much",
		},
		"NetworkPolicy/firebreak":               {"port: 53": "ports: 53", "podSelector:": "selector:"},
		"PodDisruptionBudget/firebreak-starter": {"maxUnavailable: 1": "maxUnavailible: 1"},
		"Service/firebreak-starter":             {"targetPort: http": "target: http", "port: 80\n": "port: http\n"},
		"PodMonitor/firebreak-worker":           {"podMetricsEndpoints:": "endpoints:", "path: /metrics": "path: 1"},
		"ServiceMonitor/firebreak-starter":      {"endpoints:": "podMetricsEndpoints:", "port: http": "port: [http]"},
		"Connection/temporal":                   {"hostPort:": "address:", "hostPort: temporal-frontend.temporal.svc:7233": "hostPort: 7233"},
		"WorkerDeployment/firebreak-worker": {
			"temporalNamespace:": "namespaceOfTemporal:", "strategy: AllAtOnce": "strategy: Sometime", "scaledownDelay: 5m": "scaledownDelay: soon",
			"replicas: 2": "replicas: two", "readinessProbe:": "readynessProbe:", "cpu: 100m": "cpu: lots",
		},
	} {
		for right, wrong := range mistakes {
			text := string(objects[name].text)
			require.Contains(t, text, right, name)
			err := validate(schemas, []byte(strings.Replace(text, right, wrong, 1)))
			require.Error(t, err, "%s: %s instead of %s", name, wrong, right)
		}
	}
}

// pods are the pods that the manifests make, by the name of who makes them.
func pods(t *testing.T, dir string) map[string]corev1.PodTemplateSpec {
	t.Helper()
	templates := map[string]corev1.PodTemplateSpec{}
	for _, o := range built(t, dir) {
		switch o.Kind {
		case "Deployment":
			var d appsv1.Deployment
			require.NoError(t, decode(o.text, &d))
			require.EqualValues(t, 2, *d.Spec.Replicas)
			require.Equal(t, d.Spec.Selector.MatchLabels, d.Spec.Template.Labels)
			templates[o.Name] = d.Spec.Template
		case "StatefulSet":
			var s appsv1.StatefulSet
			require.NoError(t, decode(o.text, &s))
			require.EqualValues(t, 2, *s.Spec.Replicas)
			require.Equal(t, s.Spec.Selector.MatchLabels, s.Spec.Template.Labels)
			templates[o.Name] = s.Spec.Template
		case "WorkerDeployment":
			var w workerDeployment
			require.NoError(t, decode(o.text, &w))
			templates[o.Name] = w.Spec.Template
		}
	}
	return templates
}

func TestWorkersWithVersionsAreAsThoseWithout(t *testing.T) {
	t.Parallel()
	without, with := pods(t, "base"), pods(t, "versioned")
	require.Len(t, without, 2)
	require.NotEmpty(t, without["firebreak-worker"].Spec.Containers)
	require.Equal(t, without, with)
}

func TestTheControllerConnectsWhereStartersDo(t *testing.T) {
	t.Parallel()
	objects := built(t, "versioned")
	var environment corev1.ConfigMap
	require.NoError(t, decode(objects["ConfigMap/firebreak-environment"].text, &environment))
	var c connection
	require.NoError(t, decode(objects["Connection/temporal"].text, &c))
	var w workerDeployment
	require.NoError(t, decode(objects["WorkerDeployment/firebreak-worker"].text, &w))
	require.Equal(t, environment.Data["TEMPORAL_ADDRESS"], c.Spec.HostPort)
	require.Equal(t, environment.Data["TEMPORAL_NAMESPACE"], w.Spec.WorkerOptions.TemporalNamespace)
	require.Equal(t, c.Name, w.Spec.WorkerOptions.ConnectionRef.Name)
}
