package signals

import (
	"strings"
	"unicode/utf8"
)

// EscapeMarkdown makes s safe to place anywhere in a Markdown line: it renders
// as the text it is. Events and people write the strings that summaries, pages
// and reports quote, and Temporal Web renders those as Markdown with links and
// headings; a container's name must not be able to draw a forged "Approved by"
// line. The result is a single line: line breaks and control characters become
// spaces, marks that reverse the direction of writing and invalid UTF-8 become
// U+FFFD. Braces are escaped because Temporal Web replaces {workflowId} and the
// like, the second of two hyphens because it makes a dash of them.
//
// Pages are rendered anew in every workflow task, so a text that has nothing to
// escape, as most have not, is returned as it is.
func EscapeMarkdown(s string) string {
	var b strings.Builder
	done := 0 // s up to here is in b
	replace := func(from, to int, with string) {
		if b.Cap() == 0 {
			b.Grow(len(s) + len(s)/4 + 8)
		}
		b.WriteString(s[done:from])
		b.WriteString(with)
		done = to
	}
	start, digits := true, false // where a block marker would count
	address := false             // behind an @
	for i := 0; i < len(s); {
		c := s[i]
		switch kinds[c] {
		case wide:
			r, size := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1, reverses(r):
				replace(i, i+size, "\uFFFD")
			case r <= '\u009f', r == '\u2028', r == '\u2029':
				replace(i, i+size, " ")
				i += size
				continue
			}
			start, digits = false, false
			i += size
			continue
		case control:
			replace(i, i+1, " ")
			i++
			address = false
			continue
		case always:
			replace(i, i, `\`)
		case sometimes:
			switch {
			case start && strings.IndexByte("-+=", c) >= 0,
				digits && (c == '.' || c == ')'),
				// An address is text, not a link to click on.
				c == ':' && (strings.HasPrefix(s[i:], "://") || scheme(s[:i])),
				c == '.' && (address || foldedSuffix(s[:i], "www")),
				c == '-' && i > 0 && s[i-1] == '-':
				replace(i, i, `\`)
			}
			address = c != ' ' && (address || c == '@')
		case plain:
			if !start && !digits {
				for i++; i < len(s) && kinds[s[i]] == plain; i++ {
				}
				continue
			}
		}
		digits = (start || digits) && '0' <= c && c <= '9'
		start = start && c == ' '
		i++
	}
	if done == 0 && b.Len() == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// kind is what EscapeMarkdown does with a byte.
type kind uint8

const (
	plain     kind = iota
	always         // escape it
	sometimes      // it depends on what is beside it
	control        // becomes a space
	wide           // begins a character that is not ASCII
)

var kinds = func() (table [256]kind) {
	for c := range table {
		switch {
		case c >= utf8.RuneSelf:
			table[c] = wide
		case c < ' ' || c == 0x7f:
			table[c] = control
		case strings.IndexByte("\\`*_[]{}<>|#~!&$", byte(c)) >= 0:
			table[c] = always
		case strings.IndexByte("-+=.):@ ", byte(c)) >= 0:
			table[c] = sometimes
		}
	}
	return table
}()

// reverses reports whether a mark changes the direction of writing: Unicode's
// property Bidi_Control.
func reverses(r rune) bool {
	return r == '\u061c' || r == '\u200e' || r == '\u200f' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// scheme reports whether s ends with the scheme of an address that needs no
// slashes to be a link.
func scheme(s string) bool { return foldedSuffix(s, "mailto") || foldedSuffix(s, "xmpp") }

func foldedSuffix(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// Cut shortens a text to a number of runes, and marks that it did.
func Cut(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// Clip shortens text that came from outside to at most so many bytes, at the end
// of a character, and marks that it did.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
