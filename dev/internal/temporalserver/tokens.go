package temporalserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.temporal.io/server/common/primitives"
)

// The files in Auth.Dir beside the tokens.
const (
	keyFile  = "signing-key.json" // a JSON Web Key
	keysFile = "jwks.json"        // its public half, for the server
)

// tokenLife outlasts what this server is for, and is short enough that a token
// left lying about dies.
const tokenLife = 30 * 24 * time.Hour

// authority is what a server with Auth works with.
type authority struct {
	// keys is the URI of the keys that sign tokens.
	keys string
	// admin is the administrator's token.
	admin string
}

// openAuthority makes the folder and the key if they are not there, and every
// token. It is nil if the server does not authenticate.
func openAuthority(o Options) (*authority, error) {
	if o.Auth == nil {
		return nil, nil
	}
	dir, err := filepath.Abs(o.Auth.Dir)
	if err != nil {
		return nil, fmt.Errorf("auth folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make auth folder: %w", err)
	}
	key, err := openKey(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, keysFile), public); err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	a := &authority{keys: (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, keysFile))}).String()}
	if a.admin, err = writeTokens(o.Auth, key, o.Namespaces); err != nil {
		return nil, err
	}
	return a, nil
}

// openKey reads the key that signs tokens, or makes it.
func openKey(path string) (jose.JSONWebKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("read signing key: %w", err)
	}
	var key jose.JSONWebKey
	err = json.Unmarshal(text, &key)
	private, ok := key.Key.(*ecdsa.PrivateKey)
	if err != nil || !ok || private.Curve != elliptic.P256() || key.KeyID == "" {
		return jose.JSONWebKey{}, fmt.Errorf("signing key %s: want a private P-256 JSON Web Key with a kid, or no such file", path)
	}
	return key, nil
}

func makeKey(path string) (jose.JSONWebKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("make signing key: %w", err)
	}
	key := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return key, fmt.Errorf("make signing key: %w", err)
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	text, err := json.Marshal(key)
	if err != nil {
		return key, fmt.Errorf("encode signing key: %w", err)
	}
	if err := replaceFile(path, text); err != nil {
		return key, fmt.Errorf("write signing key: %w", err)
	}
	return key, nil
}

// claims are what a token says.
type claims struct {
	jwt.Claims
	// Permissions are NAMESPACE:ROLE each, as Temporal's claim mapper wants them.
	Permissions []string `json:"permissions"`
}

// writeTokens writes a token for each principal and returns the administrator's.
func writeTokens(a *Auth, key jose.JSONWebKey, namespaces []string) (admin string, err error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("sign tokens: %w", err)
	}
	write := func(name string, permissions ...string) (string, error) {
		now := time.Now()
		token, err := jwt.Signed(signer).Claims(claims{
			Claims:      jwt.Claims{Subject: name, IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(tokenLife))},
			Permissions: permissions,
		}).Serialize()
		if err == nil {
			err = replaceFile(a.TokenFile(name), []byte(token))
		}
		if err != nil {
			return "", fmt.Errorf("make token of %q: %w", name, err)
		}
		return token, nil
	}

	own := []Principal{{StarterPrincipal, RoleWrite}, {WorkerPrincipal, RoleWrite}}
	for _, p := range append(own, a.Principals...) {
		var permissions []string
		for _, namespace := range namespaces {
			permissions = append(permissions, namespace+":"+string(p.Role))
		}
		if _, err := write(p.Name, permissions...); err != nil {
			return "", err
		}
	}
	return write(AdminPrincipal, primitives.SystemLocalNamespace+":"+string(RoleAdmin))
}

// replaceFile writes a file that only its owner may read. A process killed
// meanwhile leaves the one before.
func replaceFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // no effect after Rename
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
