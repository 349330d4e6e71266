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

	"firebreak/signals"
)

// lookAgain is how long to wait before asking again whether search attributes can
// be used.
const lookAgain = 250 * time.Millisecond

// RegisterSearchAttributes registers the search attributes of playbooks in a
// namespace and returns the names of those that were missing, once they can be
// used. Servers read what was registered from time to time, and until then refuse
// to open incidents: those that keep visibility in SQL every two seconds, those
// that keep it in Elasticsearch every minute. Doing it again changes nothing. When
// one exists with another type, nothing is registered: the error names every such
// attribute.
func RegisterSearchAttributes(ctx context.Context, c client.Client, namespace string) ([]string, error) {
	operator := c.OperatorService()
	present, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("list search attributes of namespace %q: %w", namespace, err)
	}
	var added []string
	var conflicts error
	missing := map[string]enums.IndexedValueType{}
	for _, key := range signals.SearchAttributeKeys() {
		have, ok := present.GetCustomAttributes()[key.GetName()]
		switch {
		case !ok:
			missing[key.GetName()] = key.GetValueType()
			added = append(added, key.GetName())
		case have != key.GetValueType():
			conflicts = errors.Join(conflicts, fmt.Errorf("search attribute %s exists in namespace %q with type %s: want %s",
				key.GetName(), namespace, have, key.GetValueType()))
		}
	}
	if conflicts != nil || len(missing) == 0 {
		return nil, conflicts
	}
	if _, err := operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	}); err != nil {
		return nil, fmt.Errorf("register search attributes in namespace %q: %w", namespace, err)
	}
	if err := awaitSearchAttributes(ctx, c, namespace, added); err != nil {
		return nil, fmt.Errorf("search attributes are registered in namespace %q, and cannot be used yet: %w", namespace, err)
	}
	return added, nil
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
