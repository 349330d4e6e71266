package notify

import (
	"regexp"
	"strings"
	"unicode"

	"firebreak/signals"
)

// Addresses that a chat or a mail program would make a link of.
var (
	scheme          = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://`)
	hostOfDefanged  = regexp.MustCompile(`\[:\]//[\p{L}\p{N}._-]+`)
	addressWithPath = regexp.MustCompile(`(^|[^\p{L}\p{N}/\\._-])((?:[\p{L}\p{N}-]+\.)+\p{L}{2,}/)`)
	addressOfWeb    = regexp.MustCompile(`(?i)(www)\.`)
	dotOfName       = regexp.MustCompile(`\.([\p{L}\p{N}])`)
	// schemeOfWeb is defanged as analysts are used to read it.
	schemeOfWeb = regexp.MustCompile(`(?i)^https?://$`)
)

// clean makes text from events and people safe to show anywhere: it is a single
// line, and neither Slack nor Markdown nor HTML finds a link, a mention or an
// entity in it. Characters with a meaning there are replaced by others that look
// like them, for an escape of one kind of channel would be rubbish in the next.
// Addresses are defanged: https://example.com becomes hxxps[:]//example[.]com.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		case unicode.Is(unicode.Cf, r):
			return -1 // invisible, and could hide an address from what follows
		}
		switch r {
		case '<':
			return '‹'
		case '>':
			return '›'
		case '&':
			return '＆'
		case '@':
			return '＠'
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	s = scheme.ReplaceAllStringFunc(s, func(scheme string) string {
		if schemeOfWeb.MatchString(scheme) {
			scheme = scheme[:1] + "xx" + scheme[3:]
		}
		return strings.TrimSuffix(scheme, "://") + "[:]//"
	})
	s = hostOfDefanged.ReplaceAllStringFunc(s, defangDots)
	s = addressWithPath.ReplaceAllStringFunc(s, defangDots)
	s = addressOfWeb.ReplaceAllString(s, "$1[.]")
	// Last, for the brackets above must not complete a link either.
	return strings.NewReplacer("](", "] (", "][", "] [").Replace(s)
}

func defangDots(name string) string { return dotOfName.ReplaceAllString(name, "[.]$1") }

// line is clean text of at most so many bytes.
func line(s string, most int) string {
	// Before as well: text of any length would be worked on for nothing.
	return strings.TrimSpace(signals.Clip(clean(signals.Clip(s, most)), most))
}
