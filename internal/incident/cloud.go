package incident

import (
	"cmp"
	"slices"
	"strings"
)

// hostSources are the sources of events on the host that reports them: system
// calls, which have no source before Falco 0.30 and "syscalls" from falcosidekick
// then, and Falco itself.
var hostSources = []string{"", "syscall", "syscalls", "internal"}

// logSources are the sources of the plugins in Falco's registry, and of Sysdig's
// agentless detections: logs of things that happened elsewhere.
var logSources = []string{
	"k8s_audit", "aws_cloudtrail", "awscloudtrail", "agentless-aws-ml", "gcp_auditlog", "azure_platformlogs", "okta", "agentless-okta-ml",
	"github", "gitlab", "salesforce", "box", "keycloak", "nomad", "kafka", "awselb", "nginx", "dnscollector", "syslogsrv", "docker",
	"seccompagent", "hashicorp_vault", "collector", "journal", "edera_zone", "coding_agent",
}

// logFields are the families of the fields that those plugins extract. Families with
// the name of a product (aws, gcp, azure, github, gitlab) are not among them, because
// operators add fields like aws_region to every alert; their known fields count.
var logFields = []string{
	"ka", "jevt", "json", "ct", "s3", "ec2", "ecr", "iam", "okta", "salesforce", "box", "keycloak", "nomad", "kafka", "vault",
}

// fromLog reports whether the fields are those of a log that a plugin reads. An
// event with a process, a file descriptor or a container ID is one of system calls,
// whatever an operator added to it.
func fromLog(f properties) bool {
	return !f.has("proc", "thread", "fd") && shaped(containerID, f.text("container.id")) == "" &&
		(f.has(logFields...) || f.id(uniqueFields...) != "" || f.id(logIdentity...) != "")
}

// happenedElsewhere reports whether an event did not happen on the host that
// reports it. Falco's pod is where a plugin runs that reads a log, and must never
// become the target of an action. The fields decide along with the source, for
// senders fill in or rewrite sources: falcosidekick makes an empty one "syscalls".
func happenedElsewhere(source string, f properties) bool {
	return slices.Contains(logSources, strings.ToLower(source)) || fromLog(f)
}

// describeCloud fills the account, from the labels that Sysdig gives every event
// and from the fields of a cloud or SaaS detection: those of Falco's plugins and
// of Sysdig's older CloudTrail source (aws.). An organisation is the account of a
// service that has no accounts.
func (i *Incident) describeCloud(l, f properties) {
	i.Cloud = Cloud{
		Provider: cmp.Or(l.id("cloudProvider.name"), labelledProvider(l), sourceProvider(i.Source), fieldsProvider(f)),
		Account: cmp.Or(l.id("cloudProvider.account.id", "aws.accountId", "gcp.projectId", "azure.subscriptionId"),
			f.id("aws.accountId", "ct.recipientaccountid", "ct.user.accountid", "gcp.projectId", "jevt.value[/resource/labels/project_id]",
				"azure.subscriptionId", "okta.org", "github.org", "github.owner", "gitlab.entity_path", "keycloak.realmID")),
		Region: cmp.Or(l.id("cloudProvider.region", "aws.region", "gcp.region", "gcp.location", "azure.location"),
			f.id("ct.region", "aws.region", "gcp.location")),
		Instance: l.id("aws.instanceId", "gcp.instanceId", "azure.instanceId"),
		Resource: f.id(resourceFields...),
	}
	for _, at := range []*string{&i.Cloud.Provider, &i.Cloud.Account, &i.Cloud.Region, &i.Cloud.Instance} {
		*at = shaped(name, *at)
	}
	i.Cloud.Resource = shaped(line, i.Cloud.Resource)
}

// resourceFields name what a cloud or SaaS detection is about.
var resourceFields = []string{
	"s3.bucket", "ecr.repository", "iam.role", "ct.request.functionname", "ct.request.cluster", "ct.request.groupname", "ct.request.name",
	"ct.request.username", "gcp.storage.bucket", "gcp.cloudfunctions.function", "gcp.cloudsql.databaseId", "gcp.compute.instanceId",
	"gcp.iam.serviceAccount", "gcp.logging.sink", "gcp.dns.zone", "gcp.resourceName", "okta.target.user.alternateid",
	"okta.target.user.name", "okta.target.group.name", "okta.target.app.alternateid", "github.repo.url", "github.repo", "github.repo.name",
	"gitlab.target_details", "keycloak.admin.resourcePath", "box.sourceitemid", "nomad.alloc.jobID",
}

// labelledProvider is the provider that the labels are about.
func labelledProvider(l properties) string {
	switch {
	case l.id("aws.accountId", "aws.instanceId") != "":
		return "aws"
	case l.id("gcp.projectId", "gcp.instanceId") != "":
		return "gcp"
	case l.id("azure.subscriptionId", "azure.instanceId") != "":
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
	case "github", "gitlab", "salesforce", "box", "keycloak", "nomad":
		return source
	default:
		return ""
	}
}

// fieldsProvider is the provider whose log the fields are from, for a source that
// was rewritten.
func fieldsProvider(f properties) string {
	if !fromLog(f) {
		return ""
	}
	for _, p := range []struct {
		provider string
		families []string
	}{
		{"aws", []string{"ct", "s3", "ec2", "ecr", "iam", "aws"}},
		{"gcp", []string{"gcp"}},
		{"azure", []string{"azure"}},
		{"okta", []string{"okta"}},
		{"github", []string{"github"}},
		{"gitlab", []string{"gitlab"}},
		{"salesforce", []string{"salesforce"}},
		{"box", []string{"box"}},
		{"keycloak", []string{"keycloak"}},
		{"nomad", []string{"nomad"}},
	} {
		if f.has(p.families...) {
			return p.provider
		}
	}
	return ""
}

// userFields name the user whose action a log records, in the fields that the rules
// of Falco's plugins print. Azure's rules read it from the log entry itself, with
// Falco's JSON fields. Names come before IDs, and an account's own name before
// that of a role.
var userFields = []string{
	"ct.user", "ct.originaluser", "ct.user.arn", "ct.user.principalid", "aws.user", "gcp.user",
	"okta.actor.alternateid", "okta.actor.name", "okta.actor.id", "okta.principal.alternateid", "okta.principal.name",
	"github.user", "gitlab.author_email", "gitlab.author_name", "gitlab.author_id",
	"ka.user.name", "ka.auth.openshift.username", "ka.impuser.name",
	"jevt.value[/properties/initiatedBy/user/userPrincipalName]", "json.value[/properties/initiatedBy/user/userPrincipalName]",
	"jevt.value[/properties/initiatedBy/app/displayName]", "jevt.value[/identity/claims/name]", "jevt.value[/caller]", "azure.user",
	"box.userlogin", "box.created_by_login", "box.username", "box.userid",
	"keycloak.user.userID", "keycloak.admin.authDetails.userID", "salesforce.username", "salesforce.userid",
	"jevt.value[/userIdentity/arn]",
}

// serviceUser returns the user of a cloud or SaaS detection, or of a Kubernetes
// audit event.
func serviceUser(l, f properties) string {
	return cmp.Or(f.id(userFields...), l.id("cloudProvider.user", "aws.user"))
}
