package starter

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"firebreak/internal/config"
	"firebreak/internal/httpauth"
)

// Source is a sender of events, known by its name in the URL.
type Source struct {
	Name string
	// Tenant is the Sysdig account that the events come from, by its name in the
	// configuration; "" is the one account without a name. Incidents are of one
	// tenant: their IDs begin with it.
	Tenant string
	// Open lets everybody in whom Allow does. Otherwise Auth decides as well.
	Open bool
	// Auth is how the sender shows that it may send; nil wants a bearer token.
	Auth httpauth.Auth
	// Secrets are those that the sender may know; two are live while a secret is
	// being rotated.
	Secrets []string
	// Allow are the networks that may send; none means all.
	Allow []netip.Prefix
	// MaxBody bounds the body of a request as it is sent, in bytes; 0 means
	// defaultMaxBody.
	MaxBody int64
}

// newSource is a source as it is configured.
func newSource(c *config.Starter, s *config.Source, log *slog.Logger) (Source, error) {
	source := Source{Name: s.Name, Tenant: s.Tenant, Open: s.Auth.Type == config.AuthNone, MaxBody: int64(c.MaxBody)}
	var err error
	if source.Secrets, err = s.ResolveSecrets(); err != nil {
		return source, err
	}
	if source.Allow, err = s.Networks(); err != nil || source.Open {
		return source, err
	}
	if source.Auth, err = httpauth.New(s.Auth, log); err != nil {
		return source, fmt.Errorf("source %s: %w", s.Name, err)
	}
	return source, nil
}

// validate refuses a source that would let in whom it should not.
func (s *Source) validate() error {
	_, certificates := s.Auth.(*httpauth.MTLS)
	switch {
	case s.Name == "", url.PathEscape(s.Name) != s.Name:
		return fmt.Errorf("source %q: want a name that can stand in /v1/events/{source} as it is", s.Name)
	case s.Open && s.Auth != nil:
		return fmt.Errorf("source %q: authentication of everybody: want type none, or another", s.Name)
	case s.Open && len(s.Secrets) > 0:
		return fmt.Errorf("source %q: secrets without authentication: want type bearer, or no secrets", s.Name)
	case certificates && len(s.Secrets) > 0:
		return fmt.Errorf("source %q: secrets beside certificates: want one of both", s.Name)
	case !s.Open && !certificates && len(s.Secrets) == 0:
		return fmt.Errorf("source %q: no secret: want one or two, or type none written out", s.Name)
	}
	for i, secret := range s.Secrets {
		if secret == "" {
			return fmt.Errorf("source %q: secret %d is empty: everybody would know it", s.Name, i+1)
		}
	}
	return nil
}

// auth is how the source authenticates.
func (s *Source) auth() httpauth.Auth {
	switch {
	case s.Open:
		return httpauth.Open{}
	case s.Auth == nil:
		return httpauth.Bearer{}
	default:
		return s.Auth
	}
}

// unauthorized is the answer to a sender that may not send. It does not tell
// which check it failed; cause is for our own log.
func (s *Source) unauthorized(cause error) *problem {
	scheme, wants := s.auth().Challenge()
	p := newProblem(http.StatusUnauthorized, "want %s", wants).with("WWW-Authenticate", scheme+` realm="firebreak"`)
	p.cause = cause.Error()
	return p
}
