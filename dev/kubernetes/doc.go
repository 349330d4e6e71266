// Package kubernetes tests the manifests in deploy/kubernetes as an API server
// would: it builds what `kubectl apply -k` sends, and validates it. It has a module of
// its own because Kubernetes' libraries are many, and would choose the versions that
// the Temporal server is built with.
package kubernetes
