package config

import (
	"cmp"
	"slices"
	"strings"
)

// AuthType is how a source proves who it is.
type AuthType string

// The authentication types.
const (
	AuthNone      AuthType = "none"      // anybody; must be written out
	AuthBearer    AuthType = "bearer"    // Authorization: Bearer SECRET
	AuthBasic     AuthType = "basic"     // Authorization: Basic, a secret is USER:PASSWORD
	AuthSignature AuthType = "signature" // HMAC-SHA256 of the body, keyed with a secret
	AuthHeader    AuthType = "header"    // HEADER: SECRET
	AuthPath      AuthType = "path"      // POST /v1/events/SOURCE/SECRET
	AuthMTLS      AuthType = "mtls"      // a client certificate
)

// Encoding is how a signature is written in its header.
type Encoding string

// The encodings of a signature.
const (
	EncodingHex    Encoding = "hex"
	EncodingBase64 Encoding = "base64"
)

// DefaultSignatureHeader is where a signature is looked for when no other
// header is named. It is a convention among webhooks and no more: Sysdig's
// documentation does not tell the name of its forwarder's header.
const DefaultSignatureHeader = "X-Signature"

// Auth is how a source authenticates. Which keys a type takes is the table of
// [authTypes].
type Auth struct {
	Type AuthType `yaml:"type" json:"type"`
	// Secrets may be two at once, so that they can be rotated.
	Secrets []Secret `yaml:"secrets,omitempty" json:"secrets,omitempty"`
	// Header carries the secret, or the signature; for the signature its default
	// is DefaultSignatureHeader.
	Header string `yaml:"header,omitempty" json:"header,omitempty"`
	// Prefix stands before the signature in the header, like "sha256=".
	Prefix string `yaml:"prefix,omitempty" json:"prefix,omitempty"`
	// Encoding is that of the signature. Default: hex.
	Encoding Encoding `yaml:"encoding,omitempty" json:"encoding,omitempty"`
	// ClientCA is a PEM file of the authorities that sign the source's client
	// certificates. It is read anew when it changes.
	ClientCA string `yaml:"client_ca,omitempty" json:"client_ca,omitempty"`
	// Names are those of which a certificate must have one, as a subject
	// alternative name or as its common name. Empty accepts whatever the
	// authorities signed.
	Names []string `yaml:"names,omitempty" json:"names,omitempty"`
}

// authType is a row of the table of authentication types.
type authType struct {
	name AuthType
	// needs are the keys that must be written, takes those that may be.
	needs, takes []string
}

// authTypes is the one place that says which keys an authentication type has
// beside type itself.
func authTypes() []authType {
	return []authType{
		{name: AuthNone},
		{name: AuthBearer, needs: []string{"secrets"}},
		{name: AuthBasic, needs: []string{"secrets"}},
		{name: AuthSignature, needs: []string{"secrets"}, takes: []string{"header", "prefix", "encoding"}},
		{name: AuthHeader, needs: []string{"secrets", "header"}},
		{name: AuthPath, needs: []string{"secrets"}},
		{name: AuthMTLS, needs: []string{"client_ca"}, takes: []string{"names"}},
	}
}

// keys are all keys that the type has.
func (t authType) keys() []string { return slices.Concat([]string{"type"}, t.needs, t.takes) }

// written are the keys that hold something, in their order.
func (a Auth) written() []string {
	var keys []string
	for _, key := range []struct {
		name string
		is   bool
	}{
		{"secrets", len(a.Secrets) > 0},
		{"header", a.Header != ""},
		{"prefix", a.Prefix != ""},
		{"encoding", a.Encoding != ""},
		{"client_ca", a.ClientCA != ""},
		{"names", len(a.Names) > 0},
	} {
		if key.is {
			keys = append(keys, key.name)
		}
	}
	return keys
}

// ResolveSecrets are the secrets that count.
func (a Auth) ResolveSecrets() ([]string, error) {
	var resolved []string
	for _, secret := range a.Secrets {
		value, err := secret.Resolve()
		if err == nil {
			if bad := a.Type.checkSecret(value); bad != nil {
				err = secret.place.wrong("%s: %w", secret, bad)
			}
		}
		if err != nil {
			return nil, err
		}
		resolved = append(resolved, value)
	}
	return resolved, nil
}

// withDefaults fills what a signature leaves out.
func (a Auth) withDefaults() Auth {
	if a.Type == AuthSignature {
		a.Header = cmp.Or(a.Header, DefaultSignatureHeader)
		a.Encoding = cmp.Or(a.Encoding, EncodingHex)
	}
	return a
}

// typeNames lists the authentication types, for errors.
func typeNames() string {
	var names []AuthType
	for _, t := range authTypes() {
		names = append(names, t.name)
	}
	return listed(names)
}

// listed lists authentication types, for errors.
func listed(types []AuthType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
