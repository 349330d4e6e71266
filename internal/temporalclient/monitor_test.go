package temporalclient_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"firebreak/internal/certfile/certtest"
	"firebreak/internal/temporalclient"
)

// journal is a log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen func(text string)
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n, err := j.text.Write(p)
	if j.seen != nil {
		j.seen(j.text.String())
	}
	return n, err
}

func (f *frontend) setRefusal(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusal = err
}

func monitor(t *testing.T, address string, role temporalclient.Role, log *journal) *temporalclient.Monitor {
	t.Helper()
	m, err := temporalclient.NewMonitor(options(t, environment{"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "soc"}), role,
		slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(m.Client().Close)
	return m
}

var denied = status.Error(codes.PermissionDenied, "Request unauthorized.")

func TestAMonitorWaitsUntilTheServerIsHealthyAndLetsTheProcessWork(t *testing.T) {
	t.Parallel()
	for _, role := range []temporalclient.Role{temporalclient.Worker, temporalclient.Starter} {
		f := &frontend{refusal: denied}
		f.unhealthy.Store(2)
		log := &journal{seen: func(text string) {
			if strings.Contains(text, "is denied to whoever sends no credentials") {
				f.setRefusal(nil)
			}
		}}
		require.NoError(t, monitor(t, serve(t, f), role, log).Wait(t.Context()))
		require.Negative(t, f.unhealthy.Load(), "the third check succeeded")
		text := log.text.String()
		require.Equal(t, 1, strings.Count(text, "unhealthy"), "what does not change is told once: %s", text)
		require.Equal(t, 1, strings.Count(text, "is denied"), text)
		require.Contains(t, text, "Temporal can be used now.")
	}
}

func TestAMonitorThatIsStoppedSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	log := &journal{seen: func(string) { cancel() }}
	err := monitor(t, "127.0.0.1:1", temporalclient.Worker, log).Wait(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "wait for Temporal")
	require.ErrorContains(t, err, "connection refused: nothing listens at 127.0.0.1:1", "the reason is told")
}

func TestAProcessThatIsRefusedLaterIsNotReadyUntilItIsLetAgain(t *testing.T) {
	t.Parallel()
	f := &frontend{}
	m := monitor(t, serve(t, f), temporalclient.Worker, &journal{})
	// A probe has less time than a poll must have.
	ready := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 1900*time.Millisecond)
		defer cancel()
		return m.Ready(ctx)
	}
	for range 3 {
		require.NoError(t, ready())
	}
	require.EqualValues(t, 1, f.tried.Load(), "while nothing is refused nothing is tried")

	f.setRefusal(denied)
	require.NoError(t, ready(), "nobody has noticed yet")
	_, err := m.Client().WorkflowService().PollWorkflowTaskQueue(t.Context(), &workflowservice.PollWorkflowTaskQueueRequest{Namespace: "soc"})
	require.ErrorContains(t, err, "is denied")
	for range 2 {
		require.ErrorContains(t, ready(), "is denied")
	}
	f.setRefusal(status.Error(codes.Unavailable, "busy"))
	require.ErrorContains(t, ready(), "busy")
	tried := f.tried.Load()
	f.setRefusal(nil)
	require.NoError(t, ready())
	require.Equal(t, tried+1, f.tried.Load(), "what could not be asked is asked again")
	tried = f.tried.Load()
	require.NoError(t, ready())
	require.Equal(t, tried, f.tried.Load())
}

func TestNobodyIsReadyWhileItIsStillAskedWhetherHeMay(t *testing.T) {
	t.Parallel()
	f := &frontend{refusal: denied, polled: make(chan struct{}), goOn: make(chan struct{})}
	m := monitor(t, serve(t, f), temporalclient.Worker, &journal{})
	answers := make(chan error)
	for range 2 { // one that waits at the start, and a probe
		go func() { answers <- m.Ready(t.Context()) }()
		select {
		case <-f.polled:
		case err := <-answers:
			require.ErrorContains(t, err, "is denied", "it was not asked")
		}
	}
	close(f.goOn)
	for range 2 {
		require.ErrorContains(t, <-answers, "is denied")
	}
}

func TestAClientCertificateThatIsReplacedIsShownToTheNextConnection(t *testing.T) {
	t.Parallel()
	servers, old, fresh := certtest.NewAuthority(t), certtest.NewAuthority(t), certtest.NewAuthority(t)
	cert, key := old.Client(t, "worker").Write(t)
	env := environment{
		"TEMPORAL_ADDRESS":                 secured(t, &frontend{}, servers.Server(t), fresh),
		"TEMPORAL_TLS_SERVER_CA_CERT_PATH": certtest.WriteFile(t, "ca.pem", servers.PEM),
		"TEMPORAL_TLS_CLIENT_CERT_PATH":    cert, "TEMPORAL_TLS_CLIENT_KEY_PATH": key,
	}
	replaced := false
	log := &journal{seen: func(text string) {
		if !replaced && strings.Contains(text, "refuses this side's certificate") {
			replaced = true
			pair := fresh.Client(t, "worker")
			certtest.Replace(t, cert, pair.Cert)
			certtest.Replace(t, key, pair.Key)
		}
	}}
	m, err := temporalclient.NewMonitor(options(t, env), temporalclient.Worker, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(m.Client().Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, m.Wait(ctx), log.text.String())
	require.True(t, replaced)
}
