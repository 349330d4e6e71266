// Package httpauth is how whoever sends an HTTP request shows that it may: the
// ways that the configuration has for it, for every server of Firebreak's.
package httpauth

import (
	"fmt"
	"log/slog"
	"net/http"

	"firebreak/internal/config"
)

// Auth is how the sender of a request shows that it may send it.
type Auth interface {
	// Challenge is what a sender is told that did not: the scheme of a
	// WWW-Authenticate header, which RFC 9110 wants with a 401, and what is
	// wanted. Ways that HTTP has no scheme for go by a name of our own.
	Challenge() (scheme, wants string)
	// Admits decides by all that comes before the body. Its error says why not,
	// never with what was sent; it is for our log.
	Admits(r *http.Request, secrets []string) error
}

// BodyAuth is an Auth that has the last word when the body was read.
type BodyAuth interface {
	Auth
	// Signed decides by the body as it was sent.
	Signed(r *http.Request, body []byte, secrets []string) error
}

var (
	_ Auth     = Open{}
	_ Auth     = Bearer{}
	_ Auth     = Basic{}
	_ Auth     = Header{}
	_ Auth     = Path{}
	_ BodyAuth = Signature{}
	_ Auth     = (*MTLS)(nil)
)

// Open asks for nothing. Only a sender's address can be refused then.
type Open struct{}

// Challenge names no scheme of HTTP's.
func (Open) Challenge() (scheme, wants string) {
	return "Address", "a sender that may send events here"
}

// Admits everybody.
func (Open) Admits(*http.Request, []string) error { return nil }

// New is an authentication as it is configured.
func New(a config.Auth, log *slog.Logger) (Auth, error) {
	switch a.Type {
	case config.AuthNone:
		return Open{}, nil
	case config.AuthBearer:
		return Bearer{}, nil
	case config.AuthBasic:
		return Basic{}, nil
	case config.AuthSignature:
		return Signature{Header: a.Header, Prefix: a.Prefix, Encoding: a.Encoding}, nil
	case config.AuthHeader:
		return Header{Name: a.Header}, nil
	case config.AuthPath:
		return Path{}, nil
	case config.AuthMTLS:
		return NewMTLS(a.ClientCA, a.Names, log)
	default:
		return nil, fmt.Errorf("auth type %q: want one that the configuration accepts", a.Type)
	}
}
