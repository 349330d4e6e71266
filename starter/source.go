package starter

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Source is a sender of events, known by its name in the URL.
type Source struct {
	Name string
	// Open lets everybody in. Otherwise one of Secrets is wanted as bearer
	// token; two are live while a secret is being rotated.
	Open    bool
	Secrets []string
}

// validate refuses a source that would let in whom it should not.
func (s *Source) validate() error {
	switch {
	case s.Name == "", url.PathEscape(s.Name) != s.Name:
		return fmt.Errorf("source %q: want a name that can stand in /v1/events/{source} as it is", s.Name)
	case s.Open && len(s.Secrets) > 0:
		return fmt.Errorf("source %q: secrets without authentication: want type bearer, or no secrets", s.Name)
	case !s.Open && len(s.Secrets) == 0:
		return fmt.Errorf("source %q: no secret: want one or two, or type none written out", s.Name)
	}
	for i, secret := range s.Secrets {
		if secret == "" {
			return fmt.Errorf("source %q: secret %d is empty: everybody would know it", s.Name, i+1)
		}
	}
	return nil
}

// admits reports whether a request may send events as s.
func (s *Source) admits(r *http.Request) bool {
	if s.Open {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	// Digests are compared, all of them: the time says neither how long a
	// secret is, nor which one it was, nor how much of it was right.
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	match := 0
	for _, secret := range s.Secrets {
		want := sha256.Sum256([]byte(secret))
		match |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return match == 1
}
