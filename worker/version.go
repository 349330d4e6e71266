package worker

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Version is the version of a Worker Deployment that a worker runs as: an
// incident is finished by workers of the version that it was opened on. The zero
// value is no version: then any worker goes on with any incident.
type Version worker.WorkerDeploymentVersion

// maxVersion bounds name and build ID with the colon between them, in bytes. The
// server takes more, but an SQL database lists workflows by a column of 255.
const maxVersion = 255

// reserved is how the server's own names begin.
const reserved = "__"

// Check refuses what the server would refuse with every poll, see
// ValidateDeploymentVersionFields in its common/worker_versioning.
func (v Version) Check() error {
	switch {
	case v == Version{}:
		return nil
	case v.BuildID == "":
		return fmt.Errorf("deployment name %q is given without a build ID: want both, or none for workers without versions", v.DeploymentName)
	case v.DeploymentName == "":
		return fmt.Errorf("build ID %q is given without a deployment name: want both, or none for workers without versions", v.BuildID)
	case strings.ContainsAny(v.DeploymentName, ".:"):
		return fmt.Errorf("deployment name %q: want no dot and no colon in it", v.DeploymentName)
	case strings.HasPrefix(v.DeploymentName, reserved):
		return fmt.Errorf("deployment name %q: want another beginning than %s", v.DeploymentName, reserved)
	case strings.HasPrefix(v.BuildID, reserved):
		return fmt.Errorf("build ID %q: want another beginning than %s", v.BuildID, reserved)
	case len(v.DeploymentName)+len(":")+len(v.BuildID) > maxVersion:
		return fmt.Errorf("deployment name and build ID of %d and %d bytes: want at most %d together", len(v.DeploymentName), len(v.BuildID), maxVersion-len(":"))
	}
	return nil
}

// options are the version's, as a worker of the SDK takes them. Playbooks stay on
// their version unless they are registered otherwise.
func (v Version) options() worker.DeploymentOptions {
	if v == (Version{}) {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{
		UseVersioning:             true,
		Version:                   worker.WorkerDeploymentVersion(v),
		DefaultVersioningBehavior: workflow.VersioningBehaviorPinned,
	}
}
