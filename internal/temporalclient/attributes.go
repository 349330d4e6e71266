package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"firebreak/signals"
)

// lookAgain is how long to wait before asking again whether search attributes can
// be used.
const lookAgain = 250 * time.Millisecond

// RegisterSearchAttributes registers the search attributes of playbooks in the
// options' namespace and returns the names of those that were missing, once they
// can be used. Servers read what was registered from time to time, and until then
// refuse to open incidents: those that keep visibility in SQL every two seconds,
// those that keep it in Elasticsearch every minute. Doing it again changes nothing.
// When one exists with another type, nothing is registered: the error names every
// such attribute. Where some are missing that cannot be registered, the error says
// how somebody else does it: credentials may not suffice, and Temporal Cloud has
// that call in an API of its own.
func RegisterSearchAttributes(ctx context.Context, c client.Client, opts client.Options) ([]string, error) {
	missing, err := missingAttributes(ctx, c, opts.Namespace)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	request := &operatorservice.AddSearchAttributesRequest{Namespace: opts.Namespace, SearchAttributes: map[string]enums.IndexedValueType{}}
	var names []string
	for _, key := range missing {
		names = append(names, key.GetName())
		request.SearchAttributes[key.GetName()] = key.GetValueType()
	}
	if _, err := c.OperatorService().AddSearchAttributes(ctx, request); err != nil {
		return nil, fmt.Errorf("%s are missing in namespace %q, and cannot be registered here: %w; run: %s",
			strings.Join(names, ", "), opts.Namespace, err, registration(opts, missing))
	}
	if err := awaitSearchAttributes(ctx, c, opts.Namespace, names); err != nil {
		return nil, fmt.Errorf("search attributes are registered in namespace %q, and cannot be used yet: %w", opts.Namespace, err)
	}
	return names, nil
}

// awaitSearchAttributes returns when a query may name the attributes.
func awaitSearchAttributes(ctx context.Context, c client.Client, namespace string, names []string) error {
	request := &workflowservice.CountWorkflowExecutionsRequest{Namespace: namespace, Query: strings.Join(names, " IS NULL AND ") + " IS NULL"}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	var refusal error
	for {
		_, err := c.CountWorkflow(ctx, request)
		var unknown *serviceerror.InvalidArgument
		switch {
		case errors.As(err, &unknown):
			refusal = err
		case err != nil && ctx.Err() != nil && refusal != nil:
			return fmt.Errorf("%w: %w", context.Cause(ctx), refusal)
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), refusal)
		case <-tick.C:
		}
	}
}

// missingAttributes are those that a namespace lacks.
func missingAttributes(ctx context.Context, c client.Client, namespace string) ([]temporal.SearchAttributeKey, error) {
	present, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if denied(err) {
		return unsearchable(ctx, c, namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("list search attributes of namespace %q: %w", namespace, err)
	}
	var missing []temporal.SearchAttributeKey
	var conflicts error
	for _, key := range signals.SearchAttributeKeys() {
		have, ok := present.GetCustomAttributes()[key.GetName()]
		switch {
		case !ok:
			missing = append(missing, key)
		case have != key.GetValueType():
			conflicts = errors.Join(conflicts, fmt.Errorf("search attribute %s exists in namespace %q with type %s: want %s",
				key.GetName(), namespace, have, key.GetValueType()))
		}
	}
	return missing, conflicts
}

// denied reports whether a server has no such call, or not for these credentials.
func denied(err error) bool {
	var permission *serviceerror.PermissionDenied
	var unknown *serviceerror.Unimplemented
	return errors.As(err, &permission) || errors.As(err, &unknown)
}

// unsearchable are the attributes that a search does not know, which is all that
// whoever may only read can learn.
func unsearchable(ctx context.Context, c client.Client, namespace string) ([]temporal.SearchAttributeKey, error) {
	var missing []temporal.SearchAttributeKey
	for _, key := range signals.SearchAttributeKeys() {
		_, err := c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: key.GetName() + " IS NOT NULL",
		})
		var invalid *serviceerror.InvalidArgument
		if errors.As(err, &invalid) {
			missing = append(missing, key)
		} else if err != nil {
			return nil, fmt.Errorf("look for search attribute %s in namespace %q: %w", key.GetName(), namespace, err)
		}
	}
	return missing, nil
}

// registration is the command line that registers attributes: that of Temporal
// Cloud's own tool where the server is one of its, and else that of the temporal
// command, which takes several names, but registers only the first (1.5.1).
func registration(opts client.Options, keys []temporal.SearchAttributeKey) string {
	if cloud(opts) {
		command := "tcld namespace search-attributes add --namespace " + opts.Namespace
		for _, key := range keys {
			command += fmt.Sprintf(" --search-attribute %s=%s", key.GetName(), key.GetValueType())
		}
		return command
	}
	commands := make([]string, len(keys))
	for i, key := range keys {
		commands[i] = fmt.Sprintf("temporal operator search-attribute create --namespace %s --name %s --type %s", opts.Namespace, key.GetName(), key.GetValueType())
	}
	return strings.Join(commands, " && ")
}

// cloud reports whether the server is Temporal Cloud, by the endpoints of its
// documentation: NAMESPACE.ACCOUNT.tmprl.cloud:7233 and
// REGION.CLOUD.api.temporal.io:7233.
func cloud(opts client.Options) bool {
	host, _, _ := strings.Cut(strings.TrimPrefix(opts.HostPort, "dns:///"), ":")
	return strings.HasSuffix(host, ".tmprl.cloud") || strings.HasSuffix(host, ".api.temporal.io")
}
