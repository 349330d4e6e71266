package incident

import "cmp"

// describeCloud fills the account, from the labels that Sysdig gives every
// event and from the fields of a cloud or SaaS detection: those of Falco's
// plugins cloudtrail (ct.), gcpaudit (gcp.), okta and github, and of Sysdig's
// older CloudTrail source (aws.). An organisation is the account of a service
// that has no accounts.
func (i *Incident) describeCloud(labels, fields map[string]string) {
	i.Cloud = Cloud{
		Provider: cmp.Or(labels["cloudProvider.name"], labelledProvider(labels), sourceProvider(i.Source)),
		Account: cmp.Or(labels["cloudProvider.account.id"], labels["aws.accountId"], labels["gcp.projectId"],
			labels["azure.subscriptionId"], fields["aws.accountId"], fields["ct.recipientaccountid"],
			fields["ct.user.accountid"], fields["gcp.projectId"], fields["github.org"], fields["github.owner"]),
		Region: cmp.Or(labels["cloudProvider.region"], labels["aws.region"], labels["gcp.region"],
			labels["gcp.location"], labels["azure.location"], fields["ct.region"], fields["aws.region"], fields["gcp.location"]),
		Instance: cmp.Or(labels["aws.instanceId"], labels["gcp.instanceId"], labels["azure.instanceId"]),
	}
}

// labelledProvider is the provider that the labels are about.
func labelledProvider(labels map[string]string) string {
	switch {
	case labels["aws.accountId"] != "" || labels["aws.instanceId"] != "":
		return "aws"
	case labels["gcp.projectId"] != "" || labels["gcp.instanceId"] != "":
		return "gcp"
	case labels["azure.subscriptionId"] != "" || labels["azure.instanceId"] != "":
		return "azure"
	default:
		return ""
	}
}

// sourceProvider is the provider whose log the event source is: the sources of
// Falco's plugins and of Sysdig's agentless detections.
func sourceProvider(source string) string {
	switch source {
	case "aws_cloudtrail", "awscloudtrail", "agentless-aws-ml":
		return "aws"
	case "gcp_auditlog":
		return "gcp"
	case "azure_platformlogs":
		return "azure"
	case "okta", "agentless-okta-ml":
		return "okta"
	case "github":
		return "github"
	default:
		return ""
	}
}

// cloudUser is who did what a cloud or SaaS detection tells of. Azure's rules
// read it from the log entry itself, with Falco's JSON fields.
func cloudUser(labels, fields map[string]string) string {
	return cmp.Or(fields["ct.user"], fields["aws.user"], fields["gcp.user"], fields["okta.actor.alternateid"],
		fields["github.user"], fields["jevt.value[/properties/initiatedBy/user/userPrincipalName]"],
		labels["cloudProvider.user"], labels["aws.user"])
}
