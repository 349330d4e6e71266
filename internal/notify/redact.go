package notify

import (
	"cmp"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"firebreak/signals"
)

const (
	// hidden stands for what is not shown.
	hidden = "***"
	// maxReason bounds the reason of a failure, in bytes: some services quote
	// the whole answer.
	maxReason = 300
	// maxError bounds what is looked through for it.
	maxError = 64 << 10
	// minSecret is how long a part of a URL must be to be looked for in errors:
	// shorter ones would be found in every word.
	minSecret = 3
	// minPiece is the same for what a part is made of.
	minPiece = 8
)

var (
	anyURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]+`)
	// publicHost is a name of the internet, and none of the tokens that some
	// services have in its place.
	publicHost = regexp.MustCompile(`^([a-z0-9-]+\.)+[a-z]{2,12}$`)
)

// redactor removes what a URL holds from texts: errors of shoutrrr, of net/http
// and of servers quote it, as a whole and in parts.
type redactor struct{ secrets []string }

func newRedactor(rawURL string) redactor {
	parts := []string{rawURL}
	u, err := url.Parse(rawURL)
	if err == nil {
		password, _ := u.User.Password()
		parts = append(parts, u.User.String(), u.User.Username(), password, u.Path, u.RawPath, u.Fragment, u.RawQuery, u.Opaque)
		parts = append(parts, strings.Split(u.Path, "/")...)
		for _, values := range u.Query() {
			parts = append(parts, values...)
		}
		if shownHost(u) == "" {
			parts = append(parts, u.Host, u.Hostname())
		}
	} else {
		parts = append(parts, strings.FieldsFunc(rawURL, func(r rune) bool { return strings.ContainsRune(":/?&=@#", r) })...)
	}
	var r redactor
	for _, part := range parts {
		pieces := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(" -:,;/@=&", r) })
		for i, piece := range append(pieces, part) {
			least := minPiece
			if i == len(pieces) {
				least = minSecret
			}
			if len(piece) >= least {
				r.secrets = append(r.secrets, piece, url.QueryEscape(piece), url.PathEscape(piece))
			}
		}
	}
	// The longest first: it may contain others.
	slices.SortFunc(r.secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	r.secrets = slices.Compact(r.secrets)
	return r
}

// clean is an error's text as it may be shown: one line without URLs and
// secrets.
func (r redactor) clean(text string) string {
	text = anyURL.ReplaceAllString(signals.Clip(text, maxError), hidden)
	for _, secret := range r.secrets {
		text = replaceFold(text, secret)
	}
	return line(text, maxReason)
}

// replaceFold hides a secret in whatever case it is quoted: host names are
// quoted in lower case.
func replaceFold(text, secret string) string {
	return regexp.MustCompile(`(?i)`+regexp.QuoteMeta(secret)).ReplaceAllLiteralString(text, hidden)
}

// shownHost is the host of a URL, "" if it may be a token: some services have
// theirs in its place.
func shownHost(u *url.URL) string {
	host := u.Hostname()
	if u.Port() != "" || host == "localhost" || net.ParseIP(host) != nil || publicHost.MatchString(host) {
		return u.Host
	}
	return ""
}
