package activities

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"

	"firebreak/internal/sysdig"
)

// sysdig is the account of a tenant, "" for the one without a name. One that this
// worker does not know is refused: no other account stands in for it, where the
// same host and container may be somebody else's.
func (a *Activities) sysdig(tenant string) (*sysdig.Client, error) {
	account := a.Sysdig
	if tenant != "" {
		account = a.Tenants[tenant]
	}
	if account != nil {
		return account, nil
	}
	var known []string
	if a.Sysdig != nil {
		known = append(known, "no tenant")
	}
	known = append(known, slices.Sorted(maps.Keys(a.Tenants))...)
	which := fmt.Sprintf("tenant %q", tenant)
	if tenant == "" {
		which = "no tenant"
	}
	return nil, temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("%s: this worker has no such Sysdig account; want one of %s, or configure it on this worker (sysdig.tenants, or sysdig.token for no tenant)",
			which, strings.Join(known, ", ")), ErrRefused, nil)
}
