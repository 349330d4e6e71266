package temporalclient

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"firebreak/signals"
)

// RegisterSearchAttributes registers the search attributes of playbooks in a
// namespace and returns the names of those that were missing. Doing it again
// changes nothing. When one exists with another type, nothing is registered:
// the error names every such attribute.
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
	return added, nil
}
