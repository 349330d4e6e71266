package report

import (
	"fmt"
	"sort"
	"strings"
)

// Parameters lists an action's parameters for people, in a fixed order.
func Parameters(parameters map[string]any) string {
	parts := make([]string, 0, len(parameters))
	for name, value := range parameters {
		parts = append(parts, fmt.Sprintf("%s=%v", name, value))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}
