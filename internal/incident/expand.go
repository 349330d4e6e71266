package incident

import (
	"maps"
	"slices"
	"strings"
)

// maxSegments bounds into how many levels one dotted key is expanded.
const maxSegments = 8

// verbatim are the objects whose own keys have dots: below them a dotted key
// is one key.
var verbatim = []string{"labels", "fields", "eventLabels", "output_fields"}

// flattened reports whether a key of o has a dot, as in a row of a SIEM's
// table. No sender writes one at the top level of its messages.
func (o object) flattened() bool {
	for k := range o {
		if strings.Contains(k, ".") {
			return true
		}
	}
	return false
}

// expanded is a flattened o as the document it was: "content.ruleName" becomes
// a ruleName in content, and "labels.host.mac" a host.mac in labels. It follows
// what Splunk's field extraction does: "content.ruleTags{}" is an array, and
// "actions{}.type" the types of the actions. What one field has several values
// of is left to one.
func (o object) expanded(one func(any) any) object {
	e := expansion{root: object{}, own: map[string]object{}}
	columns := map[string]object{}
	for _, k := range slices.Sorted(maps.Keys(o)) {
		name, attribute, isColumn := strings.Cut(k, "{}.")
		switch {
		case isColumn:
			if columns[name] == nil {
				columns[name] = object{}
			}
			columns[name][attribute] = values(o[k])
		case strings.HasSuffix(k, "{}"):
			e.put(strings.TrimSuffix(k, "{}"), distinct(values(o[k])))
		case strings.HasSuffix(strings.ToLower(k), "tags"):
			e.put(k, o[k])
		default:
			e.put(k, one(o[k]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		e.put(name, rows(columns[name]))
	}
	return e.root
}

// every leaves the values of a field as they are.
func every(v any) any { return v }

// last is the last of the values of a field that can have only one, and any
// other v as it is. Elasticsearch's fields option makes an array of everything,
// and Splunk has every value twice when it extracts fields both at index and at
// search time, its own source and host before those of the event.
func last(v any) any {
	list, is := v.([]any)
	if !is || len(list) == 0 || slices.ContainsFunc(list, isNested) {
		return v
	}
	return list[len(list)-1]
}

// expansion is a document in the making.
type expansion struct {
	root object
	// own holds, by their dotted paths, the objects that the expansion made: all
	// others belong to the document that is expanded, and are copied first.
	own map[string]object
}

// put stores v under a dotted key. Where a value is in the way of an object,
// the key stays as it is.
func (e *expansion) put(key string, v any) {
	at, start := e.root, 0
	for range maxSegments - 1 {
		dot := strings.IndexByte(key[start:], '.')
		if dot < 0 {
			break
		}
		segment, path := key[start:start+dot], key[:start+dot]
		if e.own[path] == nil {
			inner, there := at[segment].(map[string]any)
			if at.has(segment) && !there {
				e.root[key] = v
				return
			}
			e.own[path] = object{}
			maps.Copy(e.own[path], inner)
			at[segment] = map[string]any(e.own[path])
		}
		at, start = e.own[path], start+dot+1
		if slices.Contains(verbatim, segment) {
			break
		}
	}
	at[key[start:]] = v
}

// values is v as a list.
func values(v any) []any {
	if list, is := v.([]any); is {
		return list
	}
	return []any{v}
}

// isNested reports whether v is an object or an array.
func isNested(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	default:
		return false
	}
}

// distinct is the list without repeated texts.
func distinct(list []any) []any {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(list), func(v any) bool {
		s := text(v)
		repeated := seen[s]
		seen[s] = true
		return repeated
	})
}

// maxRows bounds the objects made of columns; no message has as many actions,
// fields or labels.
const maxRows = 1024

// rows turns columns into objects. A column that is shorter than the longest
// is left out: nothing says whose its values are.
func rows(columns object) []any {
	longest := 0
	for name := range columns {
		longest = max(longest, len(columns.list(name)))
	}
	all := make([]any, min(longest, maxRows))
	for n := range all {
		all[n] = map[string]any{}
	}
	for name := range columns {
		if column := columns.list(name); len(column) == longest {
			for n := range all {
				all[n].(map[string]any)[name] = column[n]
			}
		}
	}
	return all
}
