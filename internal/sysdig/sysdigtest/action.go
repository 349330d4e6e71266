package sysdigtest

// action is a response action of the catalogue. Required and optional name its
// parameters; undo names the action that reverts it.
type action struct {
	name      string
	responder string
	undo      string
	required  []string
	optional  []string
}

// catalogue lists Sysdig's response actions by name, with the parameters that
// the Cortex XSOAR pack requires and allows.
func catalogue() map[string]action {
	const host, cluster, cloud = "HOST", "CLUSTER", "CLOUD"
	type names = []string
	container := names{"host.id", "container.id"}
	file := names{"host.id", "path.absolute"}
	namespace := names{"kubernetes.cluster.name", "kubernetes.namespace.name"}
	workload := names{"kubernetes.workload.type", "kubernetes.workload.name"}
	account := names{"cloudProvider.name", "cloudProvider.account.id"}
	region := names{"cloudProvider.name", "cloudProvider.account.id", "cloudProvider.region"}
	and := func(a names, b ...string) names { return append(a[:len(a):len(a)], b...) }

	byName := map[string]action{}
	for _, a := range []action{
		{"KILL_PROCESS", host, "", names{"host.id", "process.id", "startTime"}, nil},
		{"KILL_CONTAINER", host, "", container, nil},
		{"STOP_CONTAINER", host, "START_CONTAINER", container, nil},
		{"START_CONTAINER", host, "", container, nil},
		{"PAUSE_CONTAINER", host, "UNPAUSE_CONTAINER", container, nil},
		{"UNPAUSE_CONTAINER", host, "", container, nil},
		{"FILE_QUARANTINE", host, "FILE_UNQUARANTINE", file, names{"container.id"}},
		{"FILE_UNQUARANTINE", host, "", and(file, "quarantined_file_path"), names{"container.id"}},
		{"FILE_ACQUIRE", host, "", file, names{"container.id"}},
		{
			"CAPTURE", host, "",
			names{"host.id", "capture.remote_storage_configuration_id", "capture.duration_ns", "capture.past_duration_ns"},
			names{"capture.filters", "capture.max_size", "container.id", "capture.token"},
		},

		{"DELETE_POD", cluster, "", and(namespace, "kubernetes.pod.name"), nil},
		{"ROLLOUT_RESTART", cluster, "", and(namespace, workload...), nil},
		{
			"ISOLATE_NETWORK", cluster, "DELETE_NETWORK_POLICY", and(namespace, workload...),
			names{"network.protocol", "network.port", "network.cidr", "network.direction"},
		},
		{"DELETE_NETWORK_POLICY", cluster, "", and(namespace, "network_policy_name"), nil},
		{
			"GET_LOGS", cluster, "", namespace,
			and(workload, "kubernetes.pod.name", "kubernetes.container.name", "previous", "allContainers"),
		},
		{
			"KUBERNETES_VOLUME_SNAPSHOT", cluster, "KUBERNETES_DELETE_VOLUME_SNAPSHOT", namespace,
			and(workload, "kubernetes.persistentvolume.claim.name"),
		},
		{
			"KUBERNETES_DELETE_VOLUME_SNAPSHOT", cluster, "",
			and(namespace, "kubernetes.persistentvolume.claim.name", "kubernetes.volume.snapshot.name"), nil,
		},

		{"IAM_QUARANTINE", cloud, "IAM_UNQUARANTINE", account, names{"ct.user.arn", "ct.user.identitytype", "ct.user"}},
		{"IAM_UNQUARANTINE", cloud, "", and(account, "iam_policy_name", "ct.user.identitytype", "ct.user"), nil},
		{
			"MAKE_PRIVATE_CLOUD_RESOURCE", cloud, "UNDO_MAKE_PRIVATE_CLOUD_RESOURCE",
			and(account, "cloudResourceType", "cloudResourceName"),
			names{"cloudProvider.region"},
		},
		{
			"UNDO_MAKE_PRIVATE_CLOUD_RESOURCE", cloud, "",
			and(account, "cloudResourceType", "cloudResourceName", "previousPublicAccessSettings"),
			names{"cloudProvider.region"},
		},
		{"CLOUD_VOLUME_SNAPSHOT", cloud, "UNDO_CLOUD_VOLUME_SNAPSHOT", and(region, "aws.instanceId"), nil},
		{"UNDO_CLOUD_VOLUME_SNAPSHOT", cloud, "", and(region, "aws.instanceId", "snapshotIds"), nil},
		{
			"FETCH_CLOUD_LOGS", cloud, "", and(region, "fromTimestamp", "toTimestamp"),
			names{"ct.originaluser", "ct.name", "ct.src"},
		},
	} {
		byName[a.name] = a
	}
	return byName
}

// class is the kind of permission that the action needs. Which action needs
// which is not published; these gather data by what they do.
func (a action) class() Permission {
	switch a.name {
	case "FILE_ACQUIRE", "CAPTURE", "GET_LOGS", "FETCH_CLOUD_LOGS",
		"KUBERNETES_VOLUME_SNAPSHOT", "KUBERNETES_DELETE_VOLUME_SNAPSHOT",
		"CLOUD_VOLUME_SNAPSHOT", "UNDO_CLOUD_VOLUME_SNAPSHOT":
		return gathering
	}
	return containment
}

// parameterType is the JSON type of a parameter, the same in every action.
func parameterType(name string) (string, check) {
	switch name {
	case "process.id", "startTime", "capture.duration_ns", "capture.past_duration_ns", "capture.max_size":
		return "integer", integer
	case "previous", "allContainers":
		return "boolean", boolean
	default:
		return "string", printable(512)
	}
}

// parameters are the fields of the action's "parameters" object.
func (a action) parameters() []field {
	fields := make([]field, 0, len(a.required)+len(a.optional))
	for _, name := range a.required {
		_, want := parameterType(name)
		fields = append(fields, required(name, want))
	}
	for _, name := range a.optional {
		_, want := parameterType(name)
		fields = append(fields, optional(name, want))
	}
	return fields
}
