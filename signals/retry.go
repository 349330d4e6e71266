package signals

import (
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.temporal.io/sdk/converter"
)

// Retrying is the signal by which an activity reports to its own workflow that an
// attempt failed and that there will be another one. Its payload is a [Retry].
// A workflow cannot see the attempts of its activities in any other way, and a
// signal costs nothing while nothing fails.
const Retrying = "retrying"

// RetriesReported is how many failures of a step are each reported, which takes some
// minutes. After that a report comes whenever their number has doubled: a Sysdig
// that is away for an hour must not fill the histories of all open incidents.
const RetriesReported = 8

// ReportsRetry reports whether a worker reports the failure with this number.
func ReportsRetry(failures int) bool {
	return failures <= RetriesReported || failures&(failures-1) == 0
}

// Retry is a step that failed and is tried again.
type Retry struct {
	// ActivityID and Activity are the step's ID and activity type in Temporal.
	ActivityID string `json:"activity_id"`
	Activity   string `json:"activity"`
	// Step is the step's name for people. A report of an activity has none: the
	// workflow knows it.
	Step string `json:"step,omitzero"`
	// Failures counts the attempts that failed.
	Failures int `json:"failures"`
	// Failure is why the last one failed, in one line, without secrets.
	Failure  string    `json:"failure"`
	FailedAt time.Time `json:"failed_at"`
	// NextAttempt is when the next attempt begins; zero if it is under way.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// GivesUpAt is when no further attempt is made; zero if that is not known.
	GivesUpAt time.Time `json:"gives_up_at,omitzero"`
}

// Bounds of the text of a failure, in bytes: as it is shown, and before it is
// cleaned, because some failures quote a whole answer.
const (
	maxFailure    = 300
	maxRawFailure = 64 << 10
)

// secretParts are the parts of a URL that may hold secrets: the user and the
// password, and everything from the query on.
var secretParts = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/?#@"']*@)?([^\s?#"'<>]*)(?:[?#][^\s"'<>]*)?`)

// CleanFailure makes the text of a failure fit to be shown: it is one line of
// bounded length, and its URLs have neither credentials nor a query. A text that is
// too long loses its middle: it begins with what was done, and ends with the cause.
func CleanFailure(text string) string {
	text = secretParts.ReplaceAllString(Clip(strings.ToValidUTF8(text, string(unicode.ReplacementChar)), maxRawFailure), "$1$2")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxFailure {
		return text
	}
	const gap = " … "
	begin, end := maxFailure/3, len(text)-(maxFailure-maxFailure/3-len(gap))
	for !utf8.RuneStart(text[begin]) {
		begin--
	}
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	return text[:begin] + gap + text[end:]
}

// DecodeRetry reads the payload of Retrying.
func DecodeRetry(raw converter.RawValue) (Retry, error) {
	var r Retry
	if err := decode(raw, &r, `{"activity_id":"7","activity":"SaveCapture","failures":1,"failure":"no space left"}`); err != nil {
		return Retry{}, err
	}
	if r.ActivityID == "" || r.Failures < 1 {
		return Retry{}, errors.New(`field "activity_id" or "failures" is missing: expected the failed attempts of an activity`)
	}
	r.Step, r.Failure = "", CleanFailure(r.Failure)
	r.Activity = Clip(r.Activity, maxQuoted)
	return r, nil
}
