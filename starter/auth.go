package starter

import (
	"fmt"
	"log/slog"
	"net/http"

	"firebreak/internal/config"
)

// Auth is how the sender of a request shows that it may send as a source.
type Auth interface {
	// challenge is what a sender is told that did not: the scheme of a
	// WWW-Authenticate header, which RFC 9110 wants with a 401, and what is
	// wanted. Ways that HTTP has no scheme for go by a name of our own.
	challenge() (scheme, wants string)
	// admits decides by all that comes before the body. Its error says why not,
	// never with what was sent; it is for our log.
	admits(r *http.Request, secrets []string) error
}

// bodyAuth is an Auth that has the last word when the body was read.
type bodyAuth interface {
	Auth
	// signed decides by the body as it was sent.
	signed(r *http.Request, body []byte, secrets []string) error
}

var (
	_ Auth     = open{}
	_ Auth     = Bearer{}
	_ Auth     = Basic{}
	_ Auth     = Header{}
	_ Auth     = Path{}
	_ bodyAuth = Signature{}
	_ Auth     = (*MTLS)(nil)
)

// open asks for nothing. Only a sender's address can be refused then.
type open struct{}

func (open) challenge() (scheme, wants string) {
	return "Address", "a sender that may send events here"
}
func (open) admits(*http.Request, []string) error { return nil }

// newSource is a source as it is configured.
func newSource(c *config.Starter, s *config.Source, log *slog.Logger) (Source, error) {
	source := Source{Name: s.Name, Tenant: s.Tenant, Open: s.Auth.Type == config.AuthNone, MaxBody: int64(c.MaxBody)}
	var err error
	if source.Secrets, err = s.ResolveSecrets(); err != nil {
		return source, err
	}
	if source.Allow, err = s.Networks(); err != nil {
		return source, err
	}
	switch a := s.Auth; a.Type {
	case config.AuthNone:
	case config.AuthBearer:
		source.Auth = Bearer{}
	case config.AuthBasic:
		source.Auth = Basic{}
	case config.AuthSignature:
		source.Auth = Signature{Header: a.Header, Prefix: a.Prefix, Encoding: a.Encoding}
	case config.AuthHeader:
		source.Auth = Header{Name: a.Header}
	case config.AuthPath:
		source.Auth = Path{}
	case config.AuthMTLS:
		certificates, err := NewMTLS(a.ClientCA, a.Names, log)
		if err != nil {
			return source, fmt.Errorf("source %s: %w", s.Name, err)
		}
		source.Auth = certificates
	default:
		return source, fmt.Errorf("source %s: auth type %q: want one that the configuration accepts", s.Name, a.Type)
	}
	return source, nil
}
