package signals

import (
	"strings"
	"unicode"
)

// EscapeMarkdown makes s safe to place anywhere in a Markdown line: it renders
// as the text it is. Events and people write the strings that summaries, pages
// and reports quote, and Temporal Web renders those as Markdown with links and
// headings; a container's name must not be able to draw a forged "Approved by"
// line. The result is a single line: line breaks and control characters become
// spaces, marks that reverse the direction of writing and invalid UTF-8 become
// U+FFFD. Braces are escaped because Temporal Web replaces {workflowId} and the
// like.
func EscapeMarkdown(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	start := true // nothing but spaces so far: block markers would count
	digits := false
	for i, r := range s {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			b.WriteByte(' ')
			continue
		case unicode.Is(unicode.Bidi_Control, r):
			b.WriteRune(unicode.ReplacementChar)
		case strings.ContainsRune("\\`*_[]{}<>|#~!&$", r),
			start && strings.ContainsRune("-+=", r),
			digits && (r == '.' || r == ')'),
			// An address is text, not a link to click on.
			r == ':' && strings.HasPrefix(s[i:], "://"):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		digits = (start || digits) && r >= '0' && r <= '9'
		start = start && r == ' '
	}
	return b.String()
}

// Clip shortens text that came from outside to at most so many bytes, at the end
// of a character, and marks that it did.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
