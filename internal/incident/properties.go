package incident

import "strings"

// properties are an event's labels or fields, read by the names that Sysdig and
// Falco give them. Senders on the way rewrite names: other separators than the
// dot, other case, nested objects (see textMap). A name that is spelt exactly
// wins; otherwise the names count that differ in separators and case only, if they
// all have one value.
type properties struct {
	exact map[string]string
	plain map[string]string
}

func newProperties(m map[string]string) properties {
	p := properties{exact: m, plain: make(map[string]string, len(m))}
	for k, v := range m {
		if strings.Contains(k, "[") {
			continue // one of several values, such as proc.aname[2]
		}
		plain := plainName(k)
		other, there := p.plain[plain]
		switch {
		case !there || isNoValue(other):
			p.plain[plain] = v
		case other != v && !isNoValue(v):
			p.plain[plain] = ambiguous
		}
	}
	return p
}

// text returns the value of the property as free text, "" when it is absent.
func (p properties) text(name string) string {
	if v := p.exact[name]; v != "" {
		return v
	}
	if v := p.plain[plainName(name)]; v != ambiguous {
		return v
	}
	return ""
}

// id returns the first of the properties that has a value, as an identifier.
func (p properties) id(names ...string) string {
	for _, n := range names {
		if v := identifier(p.text(n)); v != "" {
			return v
		}
	}
	return ""
}

// begins reports whether the name of a property begins with one of the prefixes,
// and the property has a value.
func (p properties) begins(prefixes ...string) bool {
	for k, v := range p.exact {
		k = strings.ToLower(k)
		for _, prefix := range prefixes {
			family := strings.TrimSuffix(prefix, ".")
			if len(k) > len(family) && strings.HasPrefix(k, family) && strings.IndexByte(separators, k[len(family)]) >= 0 && identifier(v) != "" {
				return true
			}
		}
	}
	return false
}

// ambiguous stands for several values of one property. No value holds a NUL.
const ambiguous = "\x00"

// separators are what stands between the words of a name.
const separators = "._-:/ "

// plainName returns a name without what senders vary: its case and separators.
func plainName(k string) string { return strings.ToLower(without(k, separators)) }
