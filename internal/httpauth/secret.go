package httpauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
)

// Why a secret does not let anybody in.
var (
	errNoSecret    = errors.New("no secret was sent")
	errWrongSecret = errors.New("the secret that was sent is none of the source's")
)

// recognise compares what was sent with the secrets of a source. Digests are
// compared, all of them, also when nothing was sent: the time says neither how
// long a secret is, nor which one it was, nor how much of it was right.
func recognise(sent string, secrets []string) error {
	got := sha256.Sum256([]byte(sent))
	match := 0
	for _, secret := range secrets {
		want := sha256.Sum256([]byte(secret))
		match |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	switch {
	case sent == "":
		return errNoSecret
	case match != 1:
		return errWrongSecret
	}
	return nil
}

// Bearer wants a secret as the token of RFC 6750's Authorization header.
type Bearer struct{}

// Challenge is the scheme of RFC 6750.
func (Bearer) Challenge() (scheme, wants string) {
	return "Bearer", "a valid bearer token in the Authorization header"
}

// Admits whoever sends a secret as its bearer token.
func (Bearer) Admits(r *http.Request, secrets []string) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	return recognise(strings.TrimSpace(token), secrets)
}

// Basic wants a secret as user and password of RFC 7617. A secret is
// "user:password", as Sysdig's forwarder takes it too.
type Basic struct{}

// Challenge is the scheme of RFC 7617.
func (Basic) Challenge() (scheme, wants string) {
	return "Basic", "a valid user and password in the Authorization header"
}

// Admits whoever sends a secret as its user and password.
func (Basic) Admits(r *http.Request, secrets []string) error {
	sent := ""
	if user, password, ok := r.BasicAuth(); ok {
		sent = user + ":" + password
	}
	return recognise(sent, secrets)
}

// Header wants a secret as the value of a header.
type Header struct{ Name string }

// Challenge names no scheme of HTTP's.
func (h Header) Challenge() (scheme, wants string) {
	return "Header", "a valid secret in the header " + h.Name
}

// Admits whoever sends a secret in the header.
func (h Header) Admits(r *http.Request, secrets []string) error {
	return recognise(r.Header.Get(h.Name), secrets)
}

// Path wants a secret as the last segment of the URL's path, for senders that
// can set no header. Senders and proxies write URLs to their logs: whoever has
// the choice takes another way.
type Path struct{}

// Challenge names no scheme of HTTP's.
func (Path) Challenge() (scheme, wants string) {
	return "Path", "a valid secret in the path of the URL"
}

// Admits whoever sends a secret as the path's wildcard {secret}.
func (Path) Admits(r *http.Request, secrets []string) error {
	return recognise(r.PathValue("secret"), secrets)
}
