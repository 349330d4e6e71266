package incident

import (
	"regexp"
	"strings"
)

// A log header is what a log daemon or a container runtime writes before the
// message. The expressions are anchored and have no blank inside a name, so that a
// sentence which only mentions a time or a command does not pass for a header.
const (
	priority = `<[0-9]{1,3}>`
	// rfc3339 also has the forms without a fraction and without a zone.
	rfc3339 = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?`
	// bsdTime is the time of RFC 3164, also with a year or a fraction.
	bsdTime = `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-9]?[0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?`
	host    = `[A-Za-z0-9][A-Za-z0-9._:%-]{0,254}`
	tag     = `[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}(?:\[[A-Za-z0-9_.-]{1,32}\])?:`
	// element is one element of RFC 5424's structured data; \, " and ] are escaped
	// in its values.
	element = `\[[!#-<>-Z^-~]{1,128}(?: [!#-<>-Z^-~]{1,128}="(?:[^"\\\]]|\\[\s\S])*")*\]`
	// bom may precede a text, and precedes the message of RFC 5424 if that is UTF-8.
	bom = `(?:\x{feff})?`
	// message is the begin of JSON.
	message = ` *` + bom + ` *[{\[]`
)

// headers are the log headers that are known. A header of RFC 3164 without its
// priority must have host and tag; with it, either may be missing.
var headers = []*regexp.Regexp{
	regexp.MustCompile(`^` + bom + priority + `(?:` + bsdTime + `|` + rfc3339 + `)(?: ` + host + `)??(?: ` + tag + `)?` + message),
	regexp.MustCompile(`^` + bom + `(?:` + bsdTime + `|` + rfc3339 + `) ` + host + ` ` + tag + message),
	// RFC 5424; "-" is a value that is not there.
	regexp.MustCompile(`^` + bom + `(?:` + priority + `)?[1-9][0-9]{0,2} (?:-|` + rfc3339 + `) [!-~]{1,255} [!-~]{1,48} [!-~]{1,128} [!-~]{1,32} ` +
		`(?:-|(?:` + element + `)+)` + message),
	// CRI: time, stream, and tags of which the first says whether the line is whole.
	regexp.MustCompile(`^` + bom + rfc3339 + ` (?:stdout|stderr) [FP](?::[!-~]*)? ` + message),
}

// afterHeader returns what follows the log header at the very beginning of s, if
// that begins like JSON.
func afterHeader(s string) (string, bool) {
	if start := strings.TrimPrefix(s, utf8BOM); start == "" || !strings.ContainsRune("<0123456789JFMASOND", rune(start[0])) {
		return "", false
	}
	for _, h := range headers {
		if at := h.FindStringIndex(s); at != nil {
			return s[at[1]-1:], true
		}
	}
	return "", false
}
