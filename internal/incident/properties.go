package incident

import (
	"slices"
	"strings"
)

// properties are an event's labels or fields, read by the names that Sysdig and
// Falco give them. Senders on the way rewrite names: other separators than the
// dot, other case, nested objects (see textMap). A name that is spelt exactly
// wins; otherwise the names count that differ in separators and case only, if they
// all have one value.
type properties struct {
	exact map[string]string
	plain map[string]string
	// families are the first words of the names that have a value, such as "proc".
	families map[string]bool
}

func newProperties(m map[string]string) properties {
	p := properties{exact: m, plain: make(map[string]string, len(m)), families: map[string]bool{}}
	for k, v := range m {
		if end := strings.IndexAny(k, separators); end > 0 && !isNoValue(v) {
			p.families[strings.ToLower(k[:end])] = true
		}
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
	var room [64]byte
	if v := p.plain[string(appendPlain(room[:0], name))]; v != ambiguous {
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

// has reports whether a property of one of the families has a value: one whose name
// begins with that word.
func (p properties) has(families ...string) bool {
	return slices.ContainsFunc(families, func(family string) bool { return p.families[family] })
}

// ambiguous stands for several values of one property. No value holds a NUL.
const ambiguous = "\x00"

// separators are what stands between the words of a name.
const separators = "._-:/ "

// plainName returns a name without what senders vary: its case and separators.
func plainName(k string) string { return string(appendPlain(nil, k)) }

// appendPlain appends a plain name to b.
func appendPlain(b []byte, k string) []byte {
	for i := range len(k) {
		switch c := k[i]; c {
		case '.', '_', '-', ':', '/', ' ':
		default:
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
		}
	}
	return b
}
