package incident

import "slices"

// Some envelopes write an object as something else: a table of columns and rows, or
// a list of keys and typed values. Both are read as the objects they stand for, for
// the names of the columns and keys decide what is searched.

// anyValue is the value of an OTLP AnyValue in JSON: an object whose only key names
// its type. Bytes are not read.
func anyValue(v any) (any, bool) {
	o, is := v.(map[string]any)
	if !is || len(o) != 1 {
		return nil, false
	}
	for k, v := range o {
		inner, _ := v.(map[string]any)
		switch plainKey(k) {
		case "stringvalue", "intvalue", "doublevalue", "boolvalue":
			return v, !isNested(v)
		case "arrayvalue":
			return anyValues(inner), inner != nil
		case "kvlistvalue":
			return anyPairs(inner), inner != nil
		}
	}
	return nil, false
}

// anyValues are the values of an OTLP ArrayValue.
func anyValues(o object) []any {
	values := []any{}
	for _, item := range o.list("values") {
		if value, ok := anyValue(item); ok {
			values = append(values, value)
		}
	}
	return values
}

// anyPairs is the object of an OTLP KeyValueList.
func anyPairs(o object) map[string]any {
	values := map[string]any{}
	for _, item := range o.list("values") {
		pair, _ := item.(map[string]any)
		key, named := pair["key"].(string)
		if value, ok := anyValue(pair["value"]); named && ok {
			values[key] = value
		}
	}
	return values
}

// table returns the rows of a result of Azure Monitor or Log Analytics, which has
// columns with names and rows of values, as objects.
func table(o object) ([]any, bool) {
	columns, rows := o.list("columns"), o.list("rows")
	if len(columns) == 0 || len(rows) == 0 || len(columns) > maxRows {
		return nil, false
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		column, _ := c.(map[string]any)
		name, named := column["name"].(string)
		if !named {
			return nil, false
		}
		names[i] = name
	}
	if slices.ContainsFunc(rows, func(row any) bool { _, is := row.([]any); return !is }) {
		return nil, false
	}
	objects := make([]any, len(rows))
	for n, row := range rows {
		values := map[string]any{}
		for i, v := range row.([]any) {
			if i < len(names) {
				values[names[i]] = v
			}
		}
		objects[n] = values
	}
	return objects, true
}
