package incident

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// object is a decoded JSON object with tolerant access: adapters read senders
// whose types vary from one release to the next, so a value of another type
// than the documented one is converted when it has a plain reading, and absent
// otherwise. Numbers are json.Number, for timestamps do not fit a float64.
type object map[string]any

func decodeObject(raw json.RawMessage) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var o object
	if err := dec.Decode(&o); err != nil {
		return nil, fmt.Errorf("decode element: %w", err)
	}
	return o, nil
}

// has reports whether the key is there, whatever its value.
func (o object) has(key string) bool {
	_, ok := o[key]
	return ok
}

// object is the object under key, or nil, which reads as an empty one.
func (o object) object(key string) object {
	m, _ := o[key].(map[string]any)
	return m
}

// list is the array under key, or nil.
func (o object) list(key string) []any {
	l, _ := o[key].([]any)
	return l
}

// text is the value under key as text, bounded, and "" when absent.
func (o object) text(key string) string { return text(o[key]) }

// id returns the value under key as an identifier, "" when it is absent. A number
// that was rounded to a float has the digits of a whole one again.
func (o object) id(key string) string {
	if _, is := o[key].(json.Number); is {
		if n, whole := o.integer(key); whole {
			return strconv.FormatInt(n, 10)
		}
	}
	return identifier(o.text(key))
}

// boolean is true for true and "true".
func (o object) boolean(key string) bool { return text(o[key]) == "true" }

// integer is the value under key as an integer: a number or its decimal text.
func (o object) integer(key string) (int64, bool) { return integer(text(o[key])) }

// properties returns the labels or fields under key: an object, or the array of
// {"key","value"} objects of Sysdig's older payloads.
func (o object) properties(key string) map[string]string {
	if o.list(key) != nil {
		return o.pairs(key)
	}
	return o.textMap(key)
}

// texts is the array under key as texts, absent ones left out; a single text
// is an array of one.
func (o object) texts(key string) []string {
	var all []string
	if s, is := o[key].(string); is && present(s) != "" {
		return []string{bounded(s)}
	}
	for _, v := range o.list(key) {
		if s := text(v); s != "" && len(all) < maxEntries {
			all = append(all, s)
		}
	}
	return all
}

// textMap is the object under key as texts, absent ones left out, with nested
// objects under dotted keys: Elasticsearch stores the label "host.mac" as an
// object "host" with a "mac". It is not bounded in number: see boundedMap.
func (o object) textMap(key string) map[string]string {
	m := map[string]string{}
	flatten(m, "", o.object(key))
	return m
}

// flatten adds the scalars of o to m. A key that is written out wins over the
// same one from nested objects. Keys longer than boundedMap keeps are dropped
// here, for the key of a nested value repeats those of all objects around it.
func flatten(m map[string]string, prefix string, o object) {
	var nested []string
	for k, v := range o {
		name := prefix + k
		if _, is := v.(map[string]any); is {
			nested = append(nested, k)
			continue
		}
		if s := text(v); s != "" && m[name] == "" && len(name) <= maxKey {
			m[name] = s
		}
	}
	slices.Sort(nested)
	for _, k := range nested {
		if name := prefix + k + "."; len(name) <= maxKey {
			flatten(m, name, o.object(k))
		}
	}
}

// pairs is the array of {"key","value"} objects under key as texts, absent ones
// left out. Of a key that is there twice the first counts.
func (o object) pairs(key string) map[string]string {
	m := map[string]string{}
	for _, v := range o.list(key) {
		pair, _ := v.(map[string]any)
		k, value := object(pair).text("key"), object(pair).text("value")
		if k != "" && value != "" && m[k] == "" {
			m[k] = value
		}
	}
	return m
}

// identity returns the message's own ID, or one from its content when it has none.
func (o object) identity() string {
	if id := o.id("id"); id != "" {
		return id
	}
	return o.digest()
}

// digest identifies the object by its content, in whatever order and with whatever
// blanks it was written.
func (o object) digest() string {
	canonical, err := json.Marshal(o)
	if err != nil {
		return "" // a decoded object always encodes
	}
	return digest(canonical)
}

// digest is an ID for an event whose sender gives it none.
func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// text is a JSON value as text, bounded; "" for what means absence.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return bounded(present(v))
	case json.Number:
		return bounded(v.String())
	case bool:
		return strconv.FormatBool(v)
	default:
		compact, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return bounded(string(compact))
	}
}

// integer reads decimal text; "3.0" and "2e3" are integers too.
func integer(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<62 {
		return 0, false
	}
	return int64(f), true
}
