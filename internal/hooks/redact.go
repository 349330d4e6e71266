package hooks

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

const (
	// hidden stands for what is not shown.
	hidden = "***"
	// minSecret is how long a value must be to be looked for: shorter ones would be
	// found in every word.
	minSecret = 4
	// minSegment is the same for a segment of a URL's path: some services have a
	// token there, and most a word.
	minSegment = 16
)

// redactor removes a hook's secrets from what others say of a call: errors quote
// URLs, and some services send back what they were sent.
type redactor struct{ secrets []string }

// add hides a value, in the ways it may be quoted.
func (r *redactor) add(value string) {
	if len(value) < minSecret {
		return
	}
	r.secrets = append(r.secrets, value, url.QueryEscape(value), url.PathEscape(value))
	if quoted, err := json.Marshal(value); err == nil {
		r.secrets = append(r.secrets, string(quoted[1:len(quoted)-1]))
	}
}

// addURL hides a URL, and of its parts whatever may be a secret.
func (r *redactor) addURL(text string) {
	r.add(text)
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	if password, set := u.User.Password(); set {
		r.add(password)
		r.add(u.User.String())
		r.add(base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password)))
	}
	r.add(u.User.Username())
	r.add(u.RawQuery)
	for _, values := range u.Query() {
		for _, value := range values {
			r.add(value)
		}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= minSegment {
			r.add(segment)
		}
	}
}

// addHeader hides a header's value, and the credentials behind a scheme.
func (r *redactor) addHeader(value string) {
	r.add(value)
	if _, credentials, found := strings.Cut(value, " "); found {
		r.add(credentials)
		if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil {
			_, password, _ := strings.Cut(string(plain), ":")
			r.add(string(plain))
			r.add(password)
		}
	}
}

// excerpt is the beginning of a text as it may be shown.
func (r *redactor) excerpt(text string) string {
	// The longest first: it may contain others.
	secrets := slices.SortedFunc(slices.Values(r.secrets), func(a, b string) int { return len(b) - len(a) })
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return line(text)
}
