package temporalserver_test

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"firebreak/dev/internal/temporalserver"
	"firebreak/internal/certfile/certtest"
)

// serverTLS is that of a server with a certificate of an authority.
func serverTLS(t *testing.T, of *certtest.Authority) *temporalserver.TLS {
	t.Helper()
	cert, key := of.Server(t).Write(t)
	return &temporalserver.TLS{Cert: cert, Key: key}
}

// list lists the namespaces over TLS, trusting an authority.
func list(t *testing.T, s *temporalserver.Server, trusted *certtest.Authority, own ...tls.Certificate) error {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(trusted.PEM))
	return listWith(t, s, &tls.Config{RootCAs: pool, Certificates: own})
}

func listWith(t *testing.T, s *temporalserver.Server, c *tls.Config) error {
	t.Helper()
	options := client.Options{HostPort: s.Address(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))}
	options.ConnectionOptions.TLS = c
	connection, err := client.NewLazyClient(options)
	require.NoError(t, err)
	t.Cleanup(connection.Close)
	_, err = connection.WorkflowService().ListNamespaces(t.Context(), &workflowservice.ListNamespacesRequest{})
	return err
}

func TestAServerWithTLSShowsItsCertificate(t *testing.T) {
	t.Parallel()
	authority := certtest.NewAuthority(t)
	s := start(t, temporalserver.Options{TLS: serverTLS(t, authority)})
	require.NoError(t, list(t, s, authority))
	require.ErrorContains(t, list(t, s, certtest.NewAuthority(t)), "unknown authority")
	require.Error(t, listWith(t, s, nil), "plain text")
	require.Contains(t, get(t, s.UIURL()+"/api/v1/namespaces"), `"default"`)
}

func TestAServerWithClientAuthoritiesWantsACertificate(t *testing.T) {
	t.Parallel()
	authority, clients := certtest.NewAuthority(t), certtest.NewAuthority(t)
	o := temporalserver.Options{TLS: serverTLS(t, authority)}
	o.TLS.ClientCA = certtest.WriteFile(t, "ca.pem", clients.PEM)
	s := start(t, o)
	require.NoError(t, list(t, s, authority, clients.Client(t, "worker").TLS(t)))
	require.Error(t, list(t, s, authority))
	require.Error(t, list(t, s, authority, authority.Client(t, "worker").TLS(t)), "of another authority")
	require.Contains(t, get(t, s.UIURL()+"/api/v1/namespaces"), `"default"`, "Temporal Web has a certificate of its own")
}

func TestTLSAndAuthGoTogetherAndLogNoWarning(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	authority := certtest.NewAuthority(t)
	a := auth(t, "ann")
	server, err := temporalserver.Start(t.Context(), temporalserver.Options{
		Auth: a, TLS: serverTLS(t, authority), Logger: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority.PEM))
	options := client.Options{
		HostPort: server.Address(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		Credentials: client.NewAPIKeyStaticCredentials((&authServer{server, *a}).token(t, "ann")),
	}
	options.ConnectionOptions.TLS = &tls.Config{RootCAs: pool}
	c, err := client.DialContext(t.Context(), options)
	require.NoError(t, err)
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "incident", TaskQueue: "nobody"}, "Capture")
	require.NoError(t, err)
	c.Close()
	requireDenied(t, func() error {
		options.Credentials = nil
		nobody, err := client.DialContext(t.Context(), options)
		require.NoError(t, err)
		defer nobody.Close()
		return nobody.TerminateWorkflow(t.Context(), "incident", "", "over")
	}())
	server.Stop()
	require.Empty(t, text.String())
}

func TestBadTLSIsRefused(t *testing.T) {
	t.Parallel()
	good := serverTLS(t, certtest.NewAuthority(t))
	none := certtest.WriteFile(t, "none.pem", []byte("none"))
	for name, test := range map[string]struct {
		tls  temporalserver.TLS
		want string
	}{
		"no key":         {temporalserver.TLS{Cert: good.Cert}, "want both a certificate and its key"},
		"no certificate": {temporalserver.TLS{ClientCA: none}, "want both a certificate and its key"},
		"not a key":      {temporalserver.TLS{Cert: good.Cert, Key: none}, "tls certificate: "},
		"no authority":   {temporalserver.TLS{Cert: good.Cert, Key: good.Key, ClientCA: none}, "no certificate is in it; want PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := temporalserver.Start(t.Context(), temporalserver.Options{TLS: &test.tls, Headless: true})
			require.ErrorContains(t, err, test.want)
		})
	}
}
