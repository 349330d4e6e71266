package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"firebreak/internal/config"
	"firebreak/internal/guard"
	"firebreak/internal/temporalclient"
	"firebreak/signals"
)

// minRetention is how long Temporal should keep closed incidents at least.
const minRetention = 24 * time.Hour

// temporalChecks are the checks of one server.
type temporalChecks struct {
	client  client.Client
	options client.Options
	cfg     *config.Config // nil if it is bad
}

// checkTemporal checks the connection, and what depends on it only if there is
// one.
func (s *session) checkTemporal(ctx context.Context, cfg *config.Config) []check {
	c, options, err := s.client(cfg)
	if err != nil {
		return []check{result("temporal", "", err)}
	}
	defer c.Close()
	t := &temporalChecks{c, options, cfg}
	reach, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	version, retention, err := t.server(reach)
	if err != nil {
		return []check{result("temporal", "", temporalclient.Diagnose(reach, options, err))}
	}
	checks := []check{
		result("temporal", fmt.Sprintf("%s, namespace %s, server %s", options.HostPort, options.Namespace, version), nil),
		t.attributes(ctx),
	}
	ctx, cancel = context.WithTimeout(ctx, checkTimeout) // registering may have taken longer
	defer cancel()
	checks = append(checks, t.permissions(ctx), checkRetention(retention))
	if cfg == nil {
		return checks
	}
	if cfg.Approvals.Trust == signals.TrustVerified {
		checks = append(checks, t.principals(ctx, version))
	}
	return append(checks, t.workers(ctx), t.guard(ctx))
}

// server is the server's version and how long the namespace keeps what is closed.
func (t *temporalChecks) server(ctx context.Context) (version string, retention time.Duration, err error) {
	if _, err := t.client.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return "", 0, err
	}
	info, err := t.client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return "", 0, err
	}
	namespace, err := t.client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: t.options.Namespace})
	return info.GetServerVersion(), namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(), err
}

func (t *temporalChecks) attributes(ctx context.Context) check {
	ctx, cancel := context.WithTimeout(ctx, registrationTimeout)
	defer cancel()
	added, err := temporalclient.RegisterSearchAttributes(ctx, t.client, t.options)
	detail := "all were there"
	if len(added) > 0 {
		detail = "added " + strings.Join(added, ", ")
	}
	return result("search attributes", detail, err)
}

// permissions tells what these credentials may do. They need not be the
// processes': whoever sets up is often somebody else.
func (t *temporalChecks) permissions(ctx context.Context) check {
	const name = "temporal permissions"
	var denied []string
	var refused error
	for _, role := range []temporalclient.Role{temporalclient.Worker, temporalclient.Starter} {
		if err := temporalclient.Allowed(ctx, t.client, t.options.Namespace, role); err != nil {
			denied, refused = append(denied, string(role)), err
		}
	}
	var permission *serviceerror.PermissionDenied
	switch {
	case refused == nil:
		return result(name, "with these credentials a worker and a starter can work", nil)
	case errors.As(refused, &permission):
		return warning(name, fmt.Sprintf("with these credentials no %s can work: %s", strings.Join(denied, " and no "), refused))
	default:
		return result(name, "", refused)
	}
}

func checkRetention(retention time.Duration) check {
	const name = "temporal retention"
	detail := fmt.Sprintf("closed incidents are kept for %s", retention)
	if retention < minRetention {
		return warning(name, fmt.Sprintf("%s, and an event that comes again later opens another one; want %s or more", detail, minRetention))
	}
	return result(name, detail, nil)
}

// principals is about trust verified, under which nothing counts that the server
// does not vouch for. That it does, a server tells by what it has written only:
// the guard's first event is looked at.
func (t *temporalChecks) principals(ctx context.Context, version string) check {
	const name = "temporal principals"
	if !since132(version) {
		return result(name, "", fmt.Errorf("trust %s: server %s stamps nobody on signals, and every decision would be refused; want a server from 1.32 on", signals.TrustVerified, version))
	}
	events := t.client.GetWorkflowHistory(ctx, signals.GuardID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return result(name, "not verified: there is no guard yet that shows whom the server authenticates", nil)
	}
	first, err := events.Next()
	var none *serviceerror.NotFound
	switch {
	case errors.As(err, &none):
		return result(name, "not verified: there is no guard yet that shows whom the server authenticates", nil)
	case err != nil:
		return result(name, "", err)
	case first.GetPrincipal().GetName() == "":
		return warning(name, "the guard was started by nobody whom the server authenticated: want an authorizer and frontend.enablePrincipalPropagation, or every decision is refused")
	default:
		return result(name, fmt.Sprintf("the server authenticates: the guard was started by %q", first.GetPrincipal().GetName()), nil)
	}
}

// since132 reports whether a version is 1.32 or later. One that says nothing of
// itself, as Temporal Cloud's need not, is believed to be.
func since132(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return true
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return errMajor != nil || errMinor != nil || major > 1 || major == 1 && minor >= 32
}

// workers tells who polls. Setup runs before the worker as a rule.
func (t *temporalChecks) workers(ctx context.Context) check {
	const name = "workers"
	queue := t.cfg.Temporal.TaskQueue
	var polling []int
	for _, kind := range []enums.TaskQueueType{enums.TASK_QUEUE_TYPE_WORKFLOW, enums.TASK_QUEUE_TYPE_ACTIVITY} {
		description, err := t.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: t.options.Namespace, TaskQueue: &taskqueue.TaskQueue{Name: queue}, TaskQueueType: kind,
		})
		if err != nil {
			return result(name, "", fmt.Errorf("look at task queue %q: %w", queue, err))
		}
		polling = append(polling, len(description.GetPollers()))
	}
	switch {
	case polling[0] == 0:
		return result(name, fmt.Sprintf("none polls task queue %q yet", queue), nil)
	case polling[1] == 0:
		return warning(name, fmt.Sprintf("%d poll task queue %q, but none for activities", polling[0], queue))
	default:
		return result(name, fmt.Sprintf("%d polled task queue %q in the last minutes", polling[0], queue), nil)
	}
}

func (t *temporalChecks) guard(ctx context.Context) check {
	watch := guard.NewWatch(t.client, t.options.Namespace, t.cfg.Temporal.TaskQueue, slog.New(slog.DiscardHandler))
	frozen, err := watch.Frozen(ctx)
	if err == nil && frozen != nil {
		return warning("guard", frozen.String())
	}
	return result("guard", "containment is not frozen", err)
}
