package httpauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"firebreak/internal/config"
)

// Signature wants an HMAC-SHA256 of the body, keyed with a secret, in a header.
// It covers the body as it was sent, before it is decompressed, and nothing
// else: a request that is sent again is as valid as the first, and its events
// count once by their IDs.
//
// That Sysdig's forwarder signs so is its documentation's "signature header";
// the name of the header and the algorithm are not told there, so the name,
// the prefix and the encoding are configured.
type Signature struct {
	Header string
	// Prefix stands before the signature, like "sha256=".
	Prefix   string
	Encoding config.Encoding
}

// Why a signature does not let anybody in.
var (
	errNoSignature    = errors.New("no signature was sent")
	errBadSignature   = errors.New("the signature cannot be decoded")
	errWrongSignature = errors.New("the signature is not one of this body by a secret of the source")
)

// Challenge names no scheme of HTTP's.
func (s Signature) Challenge() (scheme, wants string) {
	return "Signature", "a valid HMAC-SHA256 of the body in the header " + s.Header
}

// Admits refuses what has no signature before its body is read.
func (s Signature) Admits(r *http.Request, _ []string) error {
	_, err := s.sent(r)
	return err
}

// Signed admits whoever has signed the body.
func (s Signature) Signed(r *http.Request, body []byte, secrets []string) error {
	sent, err := s.sent(r)
	if err != nil {
		return err
	}
	match := false
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write(body) // a hash never fails
		match = hmac.Equal(sent, mac.Sum(nil)) || match
	}
	if !match {
		return errWrongSignature
	}
	return nil
}

// sent is the signature of a request.
func (s Signature) sent(r *http.Request) ([]byte, error) {
	text := r.Header.Get(s.Header)
	if text == "" {
		return nil, errNoSignature
	}
	text, ok := strings.CutPrefix(text, s.Prefix)
	if !ok {
		return nil, errBadSignature
	}
	var signature []byte
	var err error
	if s.Encoding == config.EncodingBase64 {
		// Both alphabets, with padding and without.
		text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		signature, err = base64.RawStdEncoding.DecodeString(text)
	} else {
		signature, err = hex.DecodeString(text)
	}
	if err != nil || len(signature) != sha256.Size {
		return nil, errBadSignature
	}
	return signature, nil
}
