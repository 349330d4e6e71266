package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"firebreak/internal/certfile/certtest"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// serverTLS is the TLS of a Temporal server and of who calls it.
type serverTLS struct {
	// args are the server's, env is the environment of the processes that call it.
	args, env []string
	// admin is how the test itself calls it.
	admin *tls.Config
}

// newTLS is a server's with a certificate of its own authority. With clients it
// wants a certificate of theirs, and env has one.
func newTLS(t *testing.T, clients *certtest.Authority) *serverTLS {
	t.Helper()
	authority := certtest.NewAuthority(t)
	cert, key := authority.Server(t).Write(t)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority.PEM))
	s := &serverTLS{
		args:  []string{"--tls-cert", cert, "--tls-key", key},
		env:   []string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + certtest.WriteFile(t, "ca.pem", authority.PEM)},
		admin: &tls.Config{RootCAs: pool},
	}
	if clients != nil {
		own := clients.Client(t, "firebreak")
		cert, key := own.Write(t)
		s.args = append(s.args, "--tls-client-ca", certtest.WriteFile(t, "clients.pem", clients.PEM))
		s.env = append(s.env, "TEMPORAL_TLS_CLIENT_CERT_PATH="+cert, "TEMPORAL_TLS_CLIENT_KEY_PATH="+key)
		s.admin.Certificates = []tls.Certificate{own.TLS(t)}
	}
	return s
}

func TestAnIncidentGoesThroughOverMutualTLS(t *testing.T) {
	t.Parallel()
	f := install(t, securedTemporal(t, newTLS(t, certtest.NewAuthority(t))), routes, sysdigtest.Options{})
	f.worker()
	checked := f.setUpAs(f.env)
	require.Zero(t, checked.code, checked.stdout+checked.stderr)
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	approved := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Zero(t, approved.code, approved.stdout+approved.stderr)
	i.contained()
	require.Equal(t, 1, f.killed())

	// The last value of a variable counts.
	without := f.runIn(append(f.env, "TEMPORAL_TLS_CLIENT_CERT_PATH=", "TEMPORAL_TLS_CLIENT_KEY_PATH="), firebreak(), "show", i.WorkflowID)
	require.Equal(t, 1, without.code)
	require.Contains(t, without.stderr, "certificate: the server wants a client certificate, and there is none")
	stranger := f.runIn(append(f.env, newTLS(t, certtest.NewAuthority(t)).env[1:]...), firebreak(), "show", i.WorkflowID)
	require.Equal(t, 1, stranger.code)
	require.Contains(t, stranger.stderr, "certificate: the server refuses this side's certificate")
}

func TestAnIncidentGoesThroughOverTLSWithAPIKeys(t *testing.T) {
	t.Parallel()
	f := prepare(t, securedTemporal(t, newTLS(t, nil), "ann", "bob", "mallory"), routes, sysdigtest.Options{}, newHost())
	f.configure(verified)
	f.starter()
	f.worker()
	checked := f.setUpAs(f.envOf("admin"))
	require.Zero(t, checked.code, checked.stdout+checked.stderr)
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	require.Equal(t, []string{"jwt starter"}, i.senders(signals.Events))

	nobody := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x")
	require.Equal(t, 1, nobody.code)
	require.Contains(t, nobody.stdout, `credentials: SignalWorkflowExecution in namespace "default" is denied to whoever sends no credentials; set TEMPORAL_API_KEY`)
	forged := f.runIn(append(f.env, "TEMPORAL_API_KEY=forged"), firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x")
	require.Equal(t, 1, forged.code)
	require.Contains(t, forged.stderr, "credentials: the API key or token is not accepted")
	mallory := f.runAs("mallory", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x")
	require.Equal(t, 1, mallory.code, mallory.stdout)
	require.Contains(t, mallory.stdout, `analyst "mallory" is not entitled`)
	approved := f.runAs("ann", firebreak(), "approve", i.WorkflowID, "--analyst", "somebody", "--reason", "confirmed")
	require.Zero(t, approved.code, approved.stdout+approved.stderr)
	i.contained()
	require.Equal(t, 1, f.killed())
	require.Equal(t, []string{"jwt mallory", "jwt ann"}, i.senders(signals.Approve))
}

func TestProcessesWithoutPermissionAreNotReadyAndSayWhichIsMissing(t *testing.T) {
	t.Parallel()
	f := prepare(t, securedTemporal(t, newTLS(t, nil), "eve=read"), routes, sysdigtest.Options{}, newHost())
	worker := start(t, "worker", f.envOf("eve"), firebreak(), f.workerArgs()...)
	address, err := worker.await(f.ctx, `"address":"([^"]+)"`)
	require.NoError(t, err)
	_, err = worker.await(f.ctx, `Temporal cannot be used yet: waiting.*(permission: PollWorkflowTaskQueue in namespace .*default.* is denied to this API key or token; give its owner the permission .*write.* on the namespace)`)
	require.NoError(t, err)
	f.starterURL = "http://" + address
	status, text := f.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, text, "permission: PollWorkflowTaskQueue")

	starter := start(t, "starter", f.envOf("eve"), firebreak(), f.starterCommand("127.0.0.1:0")...)
	address, err = starter.await(f.ctx, `"address":"([^"]+)"`)
	require.NoError(t, err)
	_, err = starter.await(f.ctx, `(permission: SignalWithStartWorkflowExecution)`)
	require.NoError(t, err)
	f.starterURL = "http://" + address
	require.Equal(t, http.StatusServiceUnavailable, f.probe("/readyz"))
}

// A namespace that is made after the processes were started is normal: so does
// who starts everything at once.
func TestProcessesWaitForANamespaceThatIsMadeLater(t *testing.T) {
	t.Parallel()
	f := prepare(t, securedTemporal(t, newTLS(t, nil)), routes, sysdigtest.Options{}, newHost())
	f.env = append(f.env, "TEMPORAL_NAMESPACE=soc")
	worker := f.worker()
	_, err := worker.await(f.ctx, `(namespace: there is no namespace .*soc.*; set TEMPORAL_NAMESPACE)`)
	require.NoError(t, err)
	checked := f.setUpAs(f.env)
	require.Equal(t, 1, checked.code)
	require.Contains(t, checked.stdout, `namespace: there is no namespace "soc"`)

	_, err = f.temporal.WorkflowService().RegisterNamespace(f.ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: "soc", WorkflowExecutionRetentionPeriod: durationpb.New(72 * time.Hour),
	})
	require.NoError(t, err)
	_, err = worker.await(f.ctx, `(Temporal can be used now)`)
	require.NoError(t, err)
	f.await("setup is content", func() bool { return f.setUpAs(f.env).code == 0 })
}
