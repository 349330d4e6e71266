package incident

import (
	"regexp"
	"strings"
)

// A log header is what a log daemon or a container runtime writes before the
// message. The expressions are anchored and have no blank inside a name, so that a
// sentence which only mentions a time or a command does not pass for a header.
const (
	logPriority = `<[0-9]{1,3}>`
	// logTime also has the forms without a fraction and without a zone.
	logTime = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?`
	// logBSDTime is the time of RFC 3164, also with a year or a fraction.
	logBSDTime = `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-9]?[0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?`
	// logHost is a name or an address, which does not end like a tag.
	logHost = `[A-Za-z0-9](?:[A-Za-z0-9_.:%-]{0,253}[A-Za-z0-9_])?`
	logTag  = `[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}(?:\[[A-Za-z0-9_.-]{1,32}\])?:`
	// logElement is one element of RFC 5424's structured data; \, " and ] are escaped
	// in its values.
	logElement = `\[[!#-<>-Z^-~]{1,128}(?: [!#-<>-Z^-~]{1,128}="(?:[^"\\\]]|\\[\s\S])*")*\]`
	// logBOM may precede a text, and precedes the message of RFC 5424 if that is UTF-8.
	logBOM = `(?:\x{feff})?`
	// logMessage is the begin of a message in JSON.
	logMessage = ` *` + logBOM + ` *[{\[]`
)

// headers are the log headers that are known. A header of RFC 3164 without its
// priority must have host and tag; with it, either may be missing.
var headers = []*regexp.Regexp{
	regexp.MustCompile(`^` + logBOM + logPriority + `(?:` + logBSDTime + `|` + logTime + `)(?: ` + logHost + `)??(?: ` + logTag + `)?` + logMessage),
	regexp.MustCompile(`^` + logBOM + `(?:` + logBSDTime + `|` + logTime + `) ` + logHost + ` ` + logTag + logMessage),
	// RFC 5424; "-" is a value that is not there.
	regexp.MustCompile(`^` + logBOM + `(?:` + logPriority + `)?[1-9][0-9]{0,2} (?:-|` + logTime + `) [!-~]{1,255} [!-~]{1,48} [!-~]{1,128} [!-~]{1,32} ` +
		`(?:-|(?:` + logElement + `)+)` + logMessage),
	// CRI: time, stream, and tags of which the first says whether the line is whole.
	regexp.MustCompile(`^` + logBOM + logTime + ` (?:stdout|stderr) [FP](?::[!-~]*)? ` + logMessage),
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
