package catalogue

// OnHost is the responder of actions that an agent carries out on its host.
const OnHost = "HOST"

// Where a parameter comes from.
const (
	host, cluster, cloud = OnHost, "CLUSTER", "CLOUD"

	hostID      = "host.id"
	containerID = "container.id"
)

// The rows of parameters that several actions share.
var (
	ofHost      = text("host.id", hostID)
	ofContainer = []Parameter{ofHost, text("container.id", containerID)}
	ofFile      = []Parameter{ofHost, text("path.absolute", "file.path")}
	inContainer = optional("container.id", containerID)
	ofNamespace = []Parameter{
		text("kubernetes.cluster.name", "kubernetes.cluster"), text("kubernetes.namespace.name", "kubernetes.namespace"),
	}
	ofWorkload = []Parameter{
		text("kubernetes.workload.type", "kubernetes.workload_type"), text("kubernetes.workload.name", "kubernetes.workload_name"),
	}
	inWorkload = []Parameter{
		optional("kubernetes.workload.type", "kubernetes.workload_type"), optional("kubernetes.workload.name", "kubernetes.workload_name"),
	}
	ofAccount = []Parameter{text("cloudProvider.name", "cloud.provider"), text("cloudProvider.account.id", "cloud.account")}
	ofRegion  = text("cloudProvider.region", "cloud.region")
	ofUser    = []Parameter{
		optional("ct.user.arn", "fields.ct.user.arn"), optional("ct.user.identitytype", "fields.ct.user.identitytype"), optional("ct.user", "user"),
	}
	ofResource = []Parameter{text("cloudResourceType", ""), text("cloudResourceName", "")}
	inRegion   = optional("cloudProvider.region", "cloud.region")
)

// actions is the table. Names, parameters and which of them are required are
// those of Sysdig's Cortex XSOAR pack 2.0; what undoes what is from Sysdig's
// public OpenAPI and the pack. What Sysdig itself requires it tells at run time
// only.
var actions = []Action{
	{Name: "KILL_PROCESS", Responder: host, Class: Containment, Parameters: list(ofHost,
		Parameter{Name: "process.id", Type: Integer, Required: true, From: "process.pid"},
		// -1 lets Sysdig skip the check of the process's start time.
		Parameter{Name: "startTime", Type: Integer, Required: true, Default: -1})},
	{Name: "KILL_CONTAINER", Responder: host, Class: Containment, Parameters: ofContainer},
	{Name: "STOP_CONTAINER", Responder: host, Class: Containment, UndoneBy: "START_CONTAINER", Parameters: ofContainer},
	{Name: "START_CONTAINER", Responder: host, Class: Containment, Undoes: "STOP_CONTAINER", Parameters: ofContainer},
	{Name: "PAUSE_CONTAINER", Responder: host, Class: Containment, UndoneBy: "UNPAUSE_CONTAINER", Parameters: ofContainer},
	{Name: "UNPAUSE_CONTAINER", Responder: host, Class: Containment, Undoes: "PAUSE_CONTAINER", Parameters: ofContainer},
	{Name: "FILE_QUARANTINE", Responder: host, Class: Containment, UndoneBy: "FILE_UNQUARANTINE", Parameters: list(ofFile, inContainer)},
	{
		Name: "FILE_UNQUARANTINE", Responder: host, Class: Containment, Undoes: "FILE_QUARANTINE",
		Parameters: list(ofFile, text("quarantined_file_path", ""), inContainer),
	},
	{Name: "FILE_ACQUIRE", Responder: host, Class: DataGathering, Fetches: true, Parameters: list(ofFile, inContainer)},
	{Name: "CAPTURE", Responder: host, Class: DataGathering, Parameters: list(ofHost,
		text("capture.remote_storage_configuration_id", ""),
		Parameter{Name: "capture.duration_ns", Type: Integer, Required: true},
		Parameter{Name: "capture.past_duration_ns", Type: Integer, Required: true, Default: 0},
		optional("capture.filters", ""), Parameter{Name: "capture.max_size", Type: Integer}, inContainer, optional("capture.token", ""))},

	{Name: "DELETE_POD", Responder: cluster, Class: Containment, Parameters: list(ofNamespace, text("kubernetes.pod.name", "kubernetes.pod"))},
	{Name: "ROLLOUT_RESTART", Responder: cluster, Class: Containment, Parameters: list(ofNamespace, ofWorkload)},
	{Name: "ISOLATE_NETWORK", Responder: cluster, Class: Containment, UndoneBy: "DELETE_NETWORK_POLICY", Parameters: list(ofNamespace, ofWorkload,
		optional("network.protocol", ""), optional("network.port", ""), optional("network.cidr", ""), optional("network.direction", ""))},
	{
		Name: "DELETE_NETWORK_POLICY", Responder: cluster, Class: Containment, Undoes: "ISOLATE_NETWORK",
		Parameters: list(ofNamespace, text("network_policy_name", "")),
	},
	// The name of a container in its pod is another one than Sysdig's
	// container.name, so it is not filled.
	{Name: "GET_LOGS", Responder: cluster, Class: DataGathering, Fetches: true, Parameters: list(ofNamespace, inWorkload,
		optional("kubernetes.pod.name", "kubernetes.pod"), optional("kubernetes.container.name", ""),
		Parameter{Name: "previous", Type: Boolean}, Parameter{Name: "allContainers", Type: Boolean})},
	{
		Name: "KUBERNETES_VOLUME_SNAPSHOT", Responder: cluster, Class: DataGathering, UndoneBy: "KUBERNETES_DELETE_VOLUME_SNAPSHOT",
		Parameters: list(ofNamespace, inWorkload, optional("kubernetes.persistentvolume.claim.name", "")),
	},
	{
		Name: "KUBERNETES_DELETE_VOLUME_SNAPSHOT", Responder: cluster, Class: Containment, Undoes: "KUBERNETES_VOLUME_SNAPSHOT",
		Parameters: list(ofNamespace, text("kubernetes.persistentvolume.claim.name", ""), text("kubernetes.volume.snapshot.name", "")),
	},

	{Name: "IAM_QUARANTINE", Responder: cloud, Class: Containment, UndoneBy: "IAM_UNQUARANTINE", Parameters: list(ofAccount, ofUser)},
	{Name: "IAM_UNQUARANTINE", Responder: cloud, Class: Containment, Undoes: "IAM_QUARANTINE", Parameters: list(ofAccount,
		text("iam_policy_name", ""), text("ct.user.identitytype", "fields.ct.user.identitytype"), text("ct.user", "user"))},
	{
		Name: "MAKE_PRIVATE_CLOUD_RESOURCE", Responder: cloud, Class: Containment, UndoneBy: "UNDO_MAKE_PRIVATE_CLOUD_RESOURCE",
		Parameters: list(ofAccount, ofResource, inRegion),
	},
	{
		Name: "UNDO_MAKE_PRIVATE_CLOUD_RESOURCE", Responder: cloud, Class: Containment, Undoes: "MAKE_PRIVATE_CLOUD_RESOURCE",
		Parameters: list(ofAccount, ofResource, text("previousPublicAccessSettings", ""), inRegion),
	},
	{
		Name: "CLOUD_VOLUME_SNAPSHOT", Responder: cloud, Class: DataGathering, UndoneBy: "UNDO_CLOUD_VOLUME_SNAPSHOT",
		Parameters: list(ofAccount, ofRegion, text("aws.instanceId", "cloud.instance")),
	},
	{
		Name: "UNDO_CLOUD_VOLUME_SNAPSHOT", Responder: cloud, Class: Containment, Undoes: "CLOUD_VOLUME_SNAPSHOT",
		Parameters: list(ofAccount, ofRegion, text("aws.instanceId", "cloud.instance"), text("snapshotIds", "")),
	},
	{Name: "FETCH_CLOUD_LOGS", Responder: cloud, Class: DataGathering, Fetches: true, Parameters: list(ofAccount, ofRegion,
		text("fromTimestamp", ""), text("toTimestamp", ""),
		optional("ct.originaluser", "fields.ct.originaluser"), optional("ct.name", "fields.ct.name"), optional("ct.src", "fields.ct.src"))},
}

// text is a required text, and optional one that is not.
func text(name, from string) Parameter {
	return Parameter{Name: name, Type: Text, Required: true, From: from}
}

func optional(name, from string) Parameter { return Parameter{Name: name, Type: Text, From: from} }

// list puts parameters and rows of them into one list.
func list(parts ...any) []Parameter {
	var all []Parameter
	for _, part := range parts {
		switch part := part.(type) {
		case Parameter:
			all = append(all, part)
		case []Parameter:
			all = append(all, part...)
		}
	}
	return all
}
