package temporalclient_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"firebreak/internal/certfile/certtest"
	"firebreak/internal/temporalclient"
)

// secured serves a frontend over TLS, with a certificate and, if there are
// authorities of clients, the demand for another.
func secured(t *testing.T, f *frontend, cert certtest.Certificate, clients *certtest.Authority) string {
	t.Helper()
	c := &tls.Config{Certificates: []tls.Certificate{cert.TLS(t)}}
	if clients != nil {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		require.True(t, c.ClientCAs.AppendCertsFromPEM(clients.PEM))
	}
	return serve(t, f, grpc.Creds(credentials.NewTLS(c)))
}

// something listens and treats connections as do says.
func something(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go do(conn)
		}
	}()
	return listener.Addr().String()
}

// web serves HTTP/2 in plain text, and has no page.
func web(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func diagnose(t *testing.T, env environment) error {
	t.Helper()
	opts := options(t, env)
	c, err := temporalclient.New(opts)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = c.CheckHealth(ctx, &client.CheckHealthRequest{})
	return temporalclient.Diagnose(ctx, opts, err)
}

func TestAConnectionThatFailsSaysWhichSettingIsWrong(t *testing.T) {
	t.Parallel()
	authority, another := certtest.NewAuthority(t), certtest.NewAuthority(t)
	const name = "temporal.example.com"
	good := authority.Server(t)
	named := authority.Issue(t, &x509.Certificate{DNSNames: []string{name}})
	old := authority.Issue(t, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2020, 2, 1, 0, 0, 0, 0, time.UTC),
	})
	ca := certtest.WriteFile(t, "ca.pem", authority.PEM)
	client := func(a *certtest.Authority, changes ...func(*x509.Certificate)) environment {
		cert, key := a.Client(t, "worker", changes...).Write(t)
		return environment{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ca, "TEMPORAL_TLS_CLIENT_CERT_PATH": cert, "TEMPORAL_TLS_CLIENT_KEY_PATH": key}
	}
	expired := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(1, 0) }
	trusting := environment{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ca}
	f := &frontend{}
	for title, test := range map[string]struct {
		address string
		env     environment
		want    []string // none: it works
	}{
		"plain text":        {serve(t, f), environment{}, nil},
		"TLS":               {secured(t, f, good, nil), trusting, nil},
		"TLS by name":       {secured(t, f, named, nil), environment{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ca, "TEMPORAL_TLS_SERVER_NAME": name}, nil},
		"mutual TLS":        {secured(t, f, good, another), client(another), nil},
		"nobody there":      {"127.0.0.1:1", environment{}, []string{"address: connection refused: nothing listens at 127.0.0.1:1", "TEMPORAL_ADDRESS"}},
		"nobody there, TLS": {"127.0.0.1:1", trusting, []string{"address: connection refused"}},
		"unknown host":      {"nowhere.invalid:7233", environment{}, []string{`address: the host name "nowhere.invalid" is not known`, "TEMPORAL_ADDRESS"}},
		"a mute server":     {something(t, func(net.Conn) {}), environment{}, []string{"is no gRPC server"}},
		"a server that hangs up": {
			something(t, func(c net.Conn) { _ = c.Close() }), environment{}, []string{"address: what listens at 127.0.0.1:", "is no gRPC server"},
		},
		"a server that hangs up, TLS": {
			something(t, func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 10)); _ = c.Close() }), trusting, []string{"is no gRPC server"},
		},
		"a web server": {something(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			_ = c.Close()
		}), environment{}, []string{"address: ", "is no gRPC server"}},
		"a web server that speaks HTTP/2": {web(t), environment{}, []string{"address: ", "is no gRPC server (it answers 404 (Not Found)"}},
		"TLS to plain text":               {serve(t, f), trusting, []string{"certificate: the server speaks plain text, and this side TLS", "TEMPORAL_TLS=false"}},
		"an API key alone to plain text": {
			serve(t, f), environment{"TEMPORAL_API_KEY": "k"}, []string{"certificate: the server speaks plain text, and this side TLS"},
		},
		"plain text to TLS": {
			secured(t, f, good, nil), environment{}, []string{"certificate: the server speaks TLS, and this side plain text", "TEMPORAL_TLS=true"},
		},
		"plain text to mutual TLS": {secured(t, f, good, another), environment{}, []string{"certificate: the server speaks TLS"}},
		"unknown authority": {
			secured(t, f, good, nil),
			environment{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": certtest.WriteFile(t, "ca.pem", another.PEM)},
			[]string{"certificate: the server's certificate is signed by an authority that is not trusted here (CN=authority)", "TEMPORAL_TLS_SERVER_CA_CERT_PATH"},
		},
		"unknown public authority": {secured(t, f, good, nil), environment{"TEMPORAL_TLS": "true"}, []string{"not trusted here"}},
		"another name": {
			secured(t, f, named, nil), trusting,
			[]string{`certificate: the server's certificate is for temporal.example.com, not for "127.0.0.1"`, "TEMPORAL_TLS_SERVER_NAME"},
		},
		"expired": {
			secured(t, f, old, nil), trusting, []string{"certificate: the server's certificate is valid from 2020-01-01 00:00:00Z to 2020-02-01 00:00:00Z", "clock"},
		},
		"no client certificate": {
			secured(t, f, good, another), trusting,
			[]string{"certificate: the server wants a client certificate, and there is none", "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"},
		},
		"client certificate of another authority": {
			secured(t, f, good, another), client(authority), []string{"certificate: the server refuses this side's certificate", "TEMPORAL_TLS_CLIENT_CERT_PATH"},
		},
		"expired client certificate": {
			secured(t, f, good, another), client(another, expired), []string{"certificate: this side's certificate has expired", "renew"},
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			env := environment{"TEMPORAL_ADDRESS": test.address}
			for name, value := range test.env {
				env[name] = value
			}
			err := diagnose(t, env)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			for _, want := range append(test.want, "connect to Temporal at "+test.address+": ") {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestCredentialsOfAnotherServerAreNoMatterOfPermissions(t *testing.T) {
	t.Parallel()
	err := diagnose(t, environment{"TEMPORAL_ADDRESS": serve(t, &frontend{strange: true}), "TEMPORAL_GRPC_META_AUTHORIZATION": "Bearer k"})
	require.ErrorContains(t, err, "(credentials: the API key or token is not accepted")
}

func TestAServerThatAnswersNothingIsNotWaitedForLongerThanTheContext(t *testing.T) {
	t.Parallel()
	opts := options(t, environment{"TEMPORAL_ADDRESS": something(t, func(net.Conn) {})})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, temporalclient.Diagnose(ctx, opts, context.DeadlineExceeded), "operation was canceled")
}

// A poll stands for every call: what is explained comes from the interceptor.
func TestARefusedCallSaysWhichSettingIsWrong(t *testing.T) {
	t.Parallel()
	denied := status.Error(codes.PermissionDenied, "Request unauthorized.")
	missing := serviceerror.ToStatus(serviceerror.NewNamespaceNotFound("soc")).Err()
	for title, test := range map[string]struct {
		refusal error
		env     environment
		want    string
	}{
		"without credentials": {denied, environment{}, `Request unauthorized. (credentials: PollWorkflowTaskQueue in namespace "soc" is denied to whoever sends no credentials; set TEMPORAL_API_KEY, or TEMPORAL_GRPC_META_AUTHORIZATION for a token in a header)`},
		"without permission": {
			denied,
			environment{"TEMPORAL_API_KEY": "k", "TEMPORAL_TLS": "false"},
			`Request unauthorized. (permission: PollWorkflowTaskQueue in namespace "soc" is denied to this API key or token; give its owner the permission "write" on the namespace)`,
		},
		"with a token in a header": {denied, environment{"TEMPORAL_GRPC_META_AUTHORIZATION": "Bearer k"}, "(permission: "},
		"unauthenticated":          {status.Error(codes.Unauthenticated, "no"), environment{"TEMPORAL_GRPC_META_AUTHORIZATION": "Bearer k"}, "no (credentials: the API key or token is not accepted"},
		"no namespace":             {missing, environment{}, `(namespace: there is no namespace "soc"; set TEMPORAL_NAMESPACE to one that is there, or make it: temporal operator namespace create --namespace soc --retention 72h)`},
		"something else":           {status.Error(codes.Internal, "broken"), environment{}, "broken"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			test.env["TEMPORAL_ADDRESS"], test.env["TEMPORAL_NAMESPACE"] = serve(t, &frontend{refusal: test.refusal}), "soc"
			opts := options(t, test.env)
			c, err := temporalclient.New(opts)
			require.NoError(t, err)
			t.Cleanup(c.Close)
			err = temporalclient.Diagnose(t.Context(), opts, temporalclient.Allowed(t.Context(), c, "soc", temporalclient.Worker))
			require.ErrorContains(t, err, "connect to Temporal at "+opts.HostPort+": ")
			require.ErrorContains(t, err, test.want)
			if title == "something else" {
				require.NotContains(t, err.Error(), "(")
			}
			var permission *serviceerror.PermissionDenied
			require.Equal(t, status.Code(test.refusal) == codes.PermissionDenied, errors.As(err, &permission), "the type stays")
			var namespace *serviceerror.NamespaceNotFound
			require.Equal(t, test.refusal == missing, errors.As(err, &namespace)) //nolint:errorlint // that one itself
		})
	}
}
