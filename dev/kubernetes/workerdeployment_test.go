package kubernetes_test

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the API temporal.io/v1alpha1 of the Temporal worker controller takes, as far
// as the manifests use it: no module that can be had has its types. Their source is
// api/v1alpha1 in github.com/temporalio/temporal-worker-controller.

type connection struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		HostPort           string                    `json:"hostPort"`
		MutualTLSSecretRef *named                    `json:"mutualTLSSecretRef"`
		APIKeySecretRef    *corev1.SecretKeySelector `json:"apiKeySecretRef"`
	} `json:"spec"`
}

type workerDeployment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Replicas      *int32                 `json:"replicas"`
		Template      corev1.PodTemplateSpec `json:"template"`
		WorkerOptions struct {
			ConnectionRef     named  `json:"connectionRef"`
			TemporalNamespace string `json:"temporalNamespace"`
		} `json:"workerOptions"`
		Rollout struct {
			Strategy string `json:"strategy"`
			Steps    []struct {
				RampPercentage int             `json:"rampPercentage"`
				PauseDuration  metav1.Duration `json:"pauseDuration"`
			} `json:"steps"`
		} `json:"rollout"`
		Sunset struct {
			ScaledownDelay *metav1.Duration `json:"scaledownDelay"`
			DeleteDelay    *metav1.Duration `json:"deleteDelay"`
		} `json:"sunset"`
	} `json:"spec"`
}

type named struct {
	Name string `json:"name"`
}
