package report

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// Parameters lists an action's parameters for people, in a fixed order.
func Parameters(parameters map[string]any) string {
	names := sorted(parameters)
	for i, name := range names {
		names[i] = name + "=" + parameter(parameters[name])
	}
	return strings.Join(names, ", ")
}

// sorted are the parameters' names, in a fixed order.
func sorted(parameters map[string]any) []string {
	names := make([]string, 0, len(parameters))
	for name := range parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// parameter is a parameter's value as people write it. What was once JSON holds
// its numbers as floats.
func parameter(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return fmt.Sprint(value)
}
