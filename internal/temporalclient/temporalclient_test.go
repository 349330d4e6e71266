package temporalclient_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"firebreak/internal/temporalclient"
)

// frontend is as much of a Temporal server as these tests talk to, over gRPC.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	operatorservice.UnimplementedOperatorServiceServer
	grpc_health_v1.UnimplementedHealthServer

	started   atomic.Bool
	unhealthy atomic.Int32 // how many health checks fail first

	mu         sync.Mutex
	attributes map[string]enums.IndexedValueType
	added      int
}

func (f *frontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (f *frontend) SignalWithStartWorkflowExecution(context.Context, *workflowservice.SignalWithStartWorkflowExecutionRequest) (*workflowservice.SignalWithStartWorkflowExecutionResponse, error) {
	return &workflowservice.SignalWithStartWorkflowExecutionResponse{RunId: "run", Started: f.started.Load()}, nil
}

func (f *frontend) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if f.unhealthy.Add(-1) >= 0 {
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}, nil
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func (f *frontend) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: f.attributes}, nil
}

func (f *frontend) AddSearchAttributes(_ context.Context, r *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.added++
	for name, kind := range r.GetSearchAttributes() {
		f.attributes[name] = kind
	}
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

type environment map[string]string

func (e environment) LookupEnv(name string) (string, bool) { v, ok := e[name]; return v, ok }

func (e environment) Environ() []string {
	var all []string
	for name, value := range e {
		all = append(all, name+"="+value)
	}
	return all
}

func options(t *testing.T, env environment) client.Options {
	t.Helper()
	if env["TEMPORAL_CONFIG_FILE"] == "" { // never the developer's own
		env["TEMPORAL_CONFIG_FILE"] = filepath.Join(t.TempDir(), "absent.toml")
	}
	opts, err := temporalclient.Options(env, nil, slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	require.NoError(t, err)
	return opts
}

func connect(t *testing.T, f *frontend) client.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, f)
	operatorservice.RegisterOperatorServiceServer(server, f)
	grpc_health_v1.RegisterHealthServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	c, err := temporalclient.New(options(t, environment{"TEMPORAL_ADDRESS": listener.Addr().String()}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestSettingsAreThoseOfTheTemporalCommand(t *testing.T) {
	t.Parallel()
	opts := options(t, environment{})
	require.Equal(t, "127.0.0.1:7233", opts.HostPort)
	require.Equal(t, "default", opts.Namespace)
	require.Nil(t, opts.ConnectionOptions.TLS)
	require.NotNil(t, opts.Logger)

	opts = options(t, environment{"TEMPORAL_ADDRESS": "temporal:7233", "TEMPORAL_NAMESPACE": "soc", "TEMPORAL_API_KEY": "k"})
	require.Equal(t, "temporal:7233", opts.HostPort)
	require.Equal(t, "soc", opts.Namespace)
	require.NotNil(t, opts.ConnectionOptions.TLS, "an API key goes over TLS only")

	file := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(file, []byte("[profile.eu]\naddress = \"eu:7233\"\n"), 0o600))
	opts = options(t, environment{"TEMPORAL_CONFIG_FILE": file, "TEMPORAL_PROFILE": "eu"})
	require.Equal(t, "eu:7233", opts.HostPort)

	_, err := temporalclient.Options(environment{"TEMPORAL_CONFIG_FILE": file, "TEMPORAL_PROFILE": "us"}, nil, slog.Default(), nil)
	require.ErrorContains(t, err, "read Temporal connection settings")
}

func TestAClientToAnAbsentServerIsCreated(t *testing.T) {
	t.Parallel()
	c, err := temporalclient.New(options(t, environment{"TEMPORAL_ADDRESS": "127.0.0.1:1"}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = temporalclient.WaitReady(ctx, c)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "wait for Temporal")
	require.ErrorContains(t, err, "127.0.0.1:1", "the reason is told")
}

func TestWaitReadyWaitsUntilTheServerIsHealthy(t *testing.T) {
	t.Parallel()
	f := &frontend{}
	f.unhealthy.Store(2)
	require.NoError(t, temporalclient.WaitReady(t.Context(), connect(t, f)))
	require.Negative(t, f.unhealthy.Load(), "the third check succeeded")
}

func TestStartedTellsAnOpenedIncidentFromAJoinedOne(t *testing.T) {
	t.Parallel()
	f := &frontend{}
	c := connect(t, f)
	for _, want := range []bool{true, false} {
		f.started.Store(want)
		started := !want
		run, err := c.SignalWithStartWorkflow(temporalclient.WithStarted(t.Context(), &started), "id", "events", nil,
			client.StartWorkflowOptions{TaskQueue: "q"}, "Capture")
		require.NoError(t, err)
		require.Equal(t, "run", run.GetRunID())
		require.Equal(t, want, started)
	}
	_, err := c.SignalWithStartWorkflow(t.Context(), "id", "events", nil, client.StartWorkflowOptions{TaskQueue: "q"}, "Capture")
	require.NoError(t, err, "a caller that does not ask is not told")
}

func TestSearchAttributesAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	f := &frontend{attributes: map[string]enums.IndexedValueType{"IncidentRule": enums.INDEXED_VALUE_TYPE_KEYWORD}}
	c := connect(t, f)
	added, err := temporalclient.RegisterSearchAttributes(t.Context(), c, "default")
	require.NoError(t, err)
	require.Equal(t, []string{"IncidentState", "IncidentHost", "IncidentContainer", "IncidentPending", "IncidentSeverity"}, added)
	require.Equal(t, enums.INDEXED_VALUE_TYPE_INT, f.attributes["IncidentSeverity"])
	require.Equal(t, enums.INDEXED_VALUE_TYPE_KEYWORD, f.attributes["IncidentState"])

	added, err = temporalclient.RegisterSearchAttributes(t.Context(), c, "default")
	require.NoError(t, err)
	require.Empty(t, added)
	require.Equal(t, 1, f.added, "nothing missing, nothing asked")
}

func TestASearchAttributeOfAnotherTypeIsRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	f := &frontend{attributes: map[string]enums.IndexedValueType{"IncidentSeverity": enums.INDEXED_VALUE_TYPE_TEXT}}
	_, err := temporalclient.RegisterSearchAttributes(t.Context(), connect(t, f), "soc")
	require.EqualError(t, err, `search attribute IncidentSeverity exists in namespace "soc" with type Text: want Int`)
	require.Zero(t, f.added)
}
