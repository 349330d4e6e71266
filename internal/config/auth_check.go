package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// maxSecrets is how many secrets may be live at once: the old one and the new.
const maxSecrets = 2

var (
	// headerName is a token of RFC 9110.
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	// pathSecret is what stands in a URL's path as it is, and is not taken for
	// "." or "..": what would have to be escaped is spoilt by somebody on the way.
	pathSecret = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)
)

// check reports what is wrong with an authentication. TLS says whether the
// starter terminates it.
func (a Auth) check(path string, tls bool, wrong report) {
	if a.Type == "" {
		wrong(path, "it is missing; want {type: bearer, secrets: [\"${NAME}\"]}, or {type: none} for a source that anybody may use")
		return
	}
	types := authTypes()
	at := slices.IndexFunc(types, func(t authType) bool { return t.name == a.Type })
	if at < 0 {
		wrong(path+".type", "auth type %s: want %s", a.Type, typeNames())
		return
	}
	written := a.written()
	for _, key := range written {
		if keys := types[at].keys(); !slices.Contains(keys, key) {
			wrong(path+"."+key, "auth type %s does not take it; want only %s", a.Type, strings.Join(keys, ", "))
		}
	}
	for _, key := range types[at].needs {
		if !slices.Contains(written, key) {
			wrong(path+"."+key, "it is missing; auth type %s needs %s", a.Type, strings.Join(types[at].needs, ", "))
		}
	}
	a.checkSecrets(path, wrong)
	if a.Header != "" && !headerName.MatchString(a.Header) {
		wrong(path+".header", "%q: want the name of a header, like X-Webhook-Token", a.Header)
	}
	if a.Encoding != "" && a.Encoding != EncodingHex && a.Encoding != EncodingBase64 {
		wrong(path+".encoding", "%q: want %s or %s", a.Encoding, EncodingHex, EncodingBase64)
	}
	for i, name := range a.Names {
		if name == "" {
			wrong(fmt.Sprintf("%s.names[%d]", path, i), "it is empty; want a name of the certificate, like forwarder.example.com")
		}
	}
	if a.Type == AuthMTLS && !tls {
		wrong(path+".type", "auth type mtls: want starter.tls: {cert: FILE, key: FILE} with it: "+
			"a proxy that terminates TLS would keep the certificates to itself")
	}
}

func (a Auth) checkSecrets(path string, wrong report) {
	if len(a.Secrets) > maxSecrets {
		wrong(path+".secrets", "%d secrets; want one, or %d while they are rotated", len(a.Secrets), maxSecrets)
	}
	for i, s := range a.Secrets {
		at := fmt.Sprintf("%s.secrets[%d]", path, i)
		if s.text == "" {
			wrong(at, "it is empty; want a secret")
		} else if s.literal() {
			if err := a.Type.checkSecret(s.text); err != nil {
				wrong(at, "%w", err)
			}
		}
	}
}

// checkSecret refuses a secret that no request of the type could carry. Its
// errors do not quote the secret.
func (t AuthType) checkSecret(secret string) error {
	if strings.TrimSpace(secret) == "" {
		return errors.New("it is blank; want a secret")
	}
	switch t {
	case AuthBasic:
		if _, password, ok := strings.Cut(secret, ":"); !ok || password == "" {
			return errors.New("it is no user with a password; want user:password")
		}
	case AuthPath:
		if !pathSecret.MatchString(secret) {
			return errors.New("it does not stand in a URL as it is; want letters, digits, dashes, dots, underscores and tildes")
		}
	case AuthBearer, AuthHeader:
		if strings.TrimSpace(secret) != secret || strings.ContainsFunc(secret, unicode.IsControl) {
			return errors.New("it begins or ends with a blank, or holds a line break, which no header carries; want it without")
		}
	}
	return nil
}
