package starter_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"firebreak/internal/certfile/certtest"
	"firebreak/internal/config"
	"firebreak/internal/telemetry"
)

// loaded is a configuration from the text of a file.
func loaded(t *testing.T, text string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	cfg, err := config.Load(path, func(string) (string, bool) { return "s3cret", true })
	require.NoError(t, err)
	cfg.Evidence.URL = "file://" + t.TempDir()
	cfg.Starter.Listen = "127.0.0.1:0"
	return cfg
}

func TestEverySourceIsServedAsItIsConfigured(t *testing.T) {
	t.Parallel()
	authority := certtest.NewAuthority(t)
	cert, key := authority.Server(t).Write(t)
	ca := certtest.WriteFile(t, "ca.pem", authority.PEM)
	token := certtest.WriteFile(t, "token", []byte("from-a-file\n"))
	cfg := loaded(t, `
starter:
  tls: {cert: `+cert+`, key: `+key+`}
  max_body: 1024
  sources:
    - {name: open, auth: {type: none}}
    - {name: elsewhere, auth: {type: none}, allow: [203.0.113.0/24]}
    - {name: bearer, auth: {type: bearer, secrets: ["${file:`+token+`}"]}}
    - {name: basic, auth: {type: basic, secrets: ["ann:${S}"]}}
    - {name: signed, auth: {type: signature, secrets: ["${S}"]}}
    - {name: signed64, auth: {type: signature, secrets: ["${S}"], header: X-Sig, prefix: "v1=", encoding: base64}}
    - {name: header, auth: {type: header, secrets: ["${S}"], header: X-Token}}
    - {name: path, auth: {type: path, secrets: ["${S}"]}}
    - {name: mtls, auth: {type: mtls, client_ca: `+ca+`, names: [falco]}}
    - {name: stranger, auth: {type: mtls, client_ca: `+ca+`, names: [other]}}
`)
	var server *telemetry.Server
	app := fx.New(process(t, cfg, "127.0.0.1:1"), fx.Populate(&server))
	require.NoError(t, app.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, app.Stop(context.Background())) })
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(authority.PEM))
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: trusted, Certificates: []tls.Certificate{authority.Client(t, "falco").TLS(t)},
	}}
	defer transport.CloseIdleConnections()

	for path, tc := range map[string]struct {
		header, value string
		want          int
	}{
		"open":         {"", "", 202},
		"elsewhere":    {"", "", 401},
		"bearer":       {"Authorization", "Bearer from-a-file", 202},
		"basic":        {"Authorization", basic("ann:s3cret"), 202},
		"signed":       {"X-Signature", hex.EncodeToString(sign("s3cret", "[]")), 202},
		"signed64":     {"X-Sig", "v1=" + base64.StdEncoding.EncodeToString(sign("s3cret", "[]")), 202},
		"header":       {"X-Token", "s3cret", 202},
		"path/s3cret":  {"", "", 202},
		"path/guessed": {"", "", 401},
		"mtls":         {"", "", 202},
		"stranger":     {"", "", 401},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+server.Address()+"/v1/events/"+path, strings.NewReader("[]"))
		require.NoError(t, err)
		with(tc.header, tc.value)(r)
		answer, err := (&http.Client{Transport: transport}).Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, tc.want, answer.StatusCode, path)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+server.Address()+"/v1/events/open",
		strings.NewReader(strings.Repeat(" ", 1025)))
	require.NoError(t, err)
	answer, err := (&http.Client{Transport: transport}).Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
}

func TestTheProcessDoesNotStartWithoutItsFiles(t *testing.T) {
	t.Parallel()
	cert, key := certtest.NewAuthority(t).Server(t).Write(t)
	for want, text := range map[string]string{
		"starter.tls: read certificate nowhere.pem with key " + key: `starter: {tls: {cert: nowhere.pem, key: ` + key + `}}`,
		"source a: read authorities nowhere.pem": `
starter:
  tls: {cert: ` + cert + `, key: ` + key + `}
  sources: [{name: a, auth: {type: mtls, client_ca: nowhere.pem}}]`,
		"read secret: open nowhere":            `starter: {sources: [{name: a, auth: {type: path, secrets: ["${file:nowhere}"]}}]}`,
		"want user:password":                   `starter: {sources: [{name: a, auth: {type: basic, secrets: ["${S}"]}}]}`,
		"it is the mask that stands for":       `starter: {sources: [{name: a, auth: {type: bearer, secrets: ["********"]}}]}`,
		"starter.tls: read certificate " + key: `starter: {tls: {cert: ` + key + `, key: ` + key + `}}`,
	} {
		app := fx.New(process(t, loaded(t, text), ""))
		require.ErrorContains(t, app.Err(), want)
		require.NotContains(t, app.Err().Error(), "s3cret")
	}
}
