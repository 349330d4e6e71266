package temporalclient_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"firebreak/internal/temporalclient"
	"firebreak/signals"
)

// frontend is as much of a Temporal server as these tests talk to, over gRPC.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	operatorservice.UnimplementedOperatorServiceServer
	grpc_health_v1.UnimplementedHealthServer

	started   atomic.Bool
	tried     atomic.Int32 // how often somebody polled
	strange   bool         // whoever asks has credentials of another server
	unhealthy atomic.Int32 // how many health checks fail first

	// polled, if it is not nil, is told of each poll, which then waits for goOn.
	polled, goOn chan struct{}

	mu         sync.Mutex
	refusal    error
	attributes map[string]enums.IndexedValueType
	added      int
	// unlisted and closed are whether search attributes are not listed for
	// everybody, and not added.
	unlisted, closed bool
	// unread is how many queries find that the server has not read yet what was
	// registered, each of which is told to refused; read is what the next one asks.
	unread  int
	refused func()
	read    string
}

func (f *frontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	if f.strange {
		return nil, denied
	}
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (f *frontend) SignalWithStartWorkflowExecution(_ context.Context, r *workflowservice.SignalWithStartWorkflowExecutionRequest) (*workflowservice.SignalWithStartWorkflowExecutionResponse, error) {
	if err := f.refuse(); err != nil {
		return nil, err
	}
	if r.GetWorkflowId() == "" {
		return nil, status.Error(codes.InvalidArgument, "WorkflowId is not set on request.")
	}
	return &workflowservice.SignalWithStartWorkflowExecutionResponse{RunId: "run", Started: f.started.Load()}, nil
}

func (f *frontend) PollWorkflowTaskQueue(ctx context.Context, _ *workflowservice.PollWorkflowTaskQueueRequest) (*workflowservice.PollWorkflowTaskQueueResponse, error) {
	f.tried.Add(1)
	if f.polled != nil {
		f.polled <- struct{}{}
		<-f.goOn
	}
	if err := f.refuse(); err != nil {
		return nil, err
	}
	// As ValidateLongPollContextTimeout in the server's package common.
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < 2*time.Second {
		return nil, status.Error(codes.FailedPrecondition, "Context timeout is too short.")
	}
	return nil, status.Error(codes.InvalidArgument, "TaskQueue is not set on request.")
}

// refuse is what the frontend is to refuse calls with.
func (f *frontend) refuse() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refusal
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
	if f.unlisted {
		return nil, denied
	}
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: f.attributes}, nil
}

func (f *frontend) AddSearchAttributes(_ context.Context, r *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, denied
	}
	f.added++
	for name, kind := range r.GetSearchAttributes() {
		f.attributes[name] = kind
	}
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

// CountWorkflowExecutions searches as far as it knows the first attribute.
func (f *frontend) CountWorkflowExecutions(_ context.Context, r *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unread--; f.unread >= 0 {
		f.refused()
		return nil, serviceerror.NewInvalidArgument("invalid query: no mapping defined for search attribute")
	}
	f.read = r.GetQuery()
	name, _, _ := strings.Cut(r.GetQuery(), " ")
	if _, known := f.attributes[name]; !known {
		return nil, status.Error(codes.InvalidArgument, "invalid query")
	}
	return &workflowservice.CountWorkflowExecutionsResponse{}, nil
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
	c, err := temporalclient.New(options(t, environment{"TEMPORAL_ADDRESS": serve(t, f)}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// serve serves a frontend and returns where.
func serve(t *testing.T, f *frontend, o ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(o...)
	workflowservice.RegisterWorkflowServiceServer(server, f)
	operatorservice.RegisterOperatorServiceServer(server, f)
	grpc_health_v1.RegisterHealthServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
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
	c.Close()
}

// compressions are how the requests that a server gets are compressed.
type compressions struct {
	stats.Handler
	seen chan string
}

func (c compressions) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (c compressions) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c compressions) HandleConn(context.Context, stats.ConnStats)                       {}

func (c compressions) HandleRPC(_ context.Context, s stats.RPCStats) {
	if header, ok := s.(*stats.InHeader); ok {
		c.seen <- header.Compression
	}
}

func TestRequestsAreNotCompressed(t *testing.T) {
	t.Parallel()
	c := compressions{seen: make(chan string, 16)}
	opts := options(t, environment{"TEMPORAL_ADDRESS": serve(t, &frontend{}, grpc.StatsHandler(c))})
	temporal, err := temporalclient.New(opts)
	require.NoError(t, err)
	defer temporal.Close()
	_, err = temporal.CheckHealth(t.Context(), &client.CheckHealthRequest{})
	require.NoError(t, err)
	require.NotEmpty(t, c.seen)
	for range len(c.seen) {
		require.Empty(t, <-c.seen)
	}
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
	added, err := temporalclient.RegisterSearchAttributes(t.Context(), c, client.Options{Namespace: "default"})
	require.NoError(t, err)
	require.Equal(t, []string{"IncidentState", "IncidentHost", "IncidentContainer", "IncidentPending", "IncidentSeverity"}, added)
	require.Equal(t, enums.INDEXED_VALUE_TYPE_INT, f.attributes["IncidentSeverity"])
	require.Equal(t, enums.INDEXED_VALUE_TYPE_KEYWORD, f.attributes["IncidentState"])

	added, err = temporalclient.RegisterSearchAttributes(t.Context(), c, client.Options{Namespace: "default"})
	require.NoError(t, err)
	require.Empty(t, added)
	require.Equal(t, 1, f.added, "nothing missing, nothing asked")
}

func TestSearchAttributesCanBeUsedOnceTheyAreRegistered(t *testing.T) {
	t.Parallel()
	f := &frontend{attributes: map[string]enums.IndexedValueType{"IncidentRule": enums.INDEXED_VALUE_TYPE_KEYWORD}, unread: 2, refused: func() {}}
	_, err := temporalclient.RegisterSearchAttributes(t.Context(), connect(t, f), client.Options{Namespace: "soc"})
	require.NoError(t, err)
	require.Negative(t, f.unread, "it has asked until the server knew them")
	require.Equal(t, "IncidentState IS NULL AND IncidentHost IS NULL AND IncidentContainer IS NULL AND IncidentPending IS NULL AND IncidentSeverity IS NULL", f.read)

	ctx, cancel := context.WithCancel(t.Context())
	f = &frontend{attributes: map[string]enums.IndexedValueType{}, unread: 1 << 30, refused: cancel}
	_, err = temporalclient.RegisterSearchAttributes(ctx, connect(t, f), client.Options{Namespace: "soc"})
	require.ErrorContains(t, err, `registered in namespace "soc", and cannot be used yet`)
}

func TestASearchAttributeOfAnotherTypeIsRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	f := &frontend{attributes: map[string]enums.IndexedValueType{"IncidentSeverity": enums.INDEXED_VALUE_TYPE_TEXT}}
	_, err := temporalclient.RegisterSearchAttributes(t.Context(), connect(t, f), client.Options{Namespace: "soc"})
	require.EqualError(t, err, `search attribute IncidentSeverity exists in namespace "soc" with type Text: want Int`)
	require.Zero(t, f.added)
}

func TestSearchAttributesThatCannotBeRegisteredAreNamedWithTheCommandThatDoesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		unlisted bool
		address  string
		want     string
	}{
		"listed": {false, "", "; run: temporal operator search-attribute create --namespace soc --name IncidentState --type Keyword" +
			" && temporal operator search-attribute create --namespace soc --name IncidentHost --type Keyword" +
			" && temporal operator search-attribute create --namespace soc --name IncidentContainer --type Keyword" +
			" && temporal operator search-attribute create --namespace soc --name IncidentPending --type Keyword" +
			" && temporal operator search-attribute create --namespace soc --name IncidentSeverity --type Int"},
		"not listed": {true, "", "; run: temporal operator search-attribute create --namespace soc --name IncidentState "},
		"Temporal Cloud": {true, "soc.a2dd6.tmprl.cloud:7233", "; run: tcld namespace search-attributes add --namespace soc --search-attribute IncidentState=Keyword" +
			" --search-attribute IncidentHost=Keyword --search-attribute IncidentContainer=Keyword --search-attribute IncidentPending=Keyword --search-attribute IncidentSeverity=Int"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &frontend{attributes: map[string]enums.IndexedValueType{"IncidentRule": enums.INDEXED_VALUE_TYPE_KEYWORD}, unlisted: c.unlisted, closed: true}
			_, err := temporalclient.RegisterSearchAttributes(t.Context(), connect(t, f), client.Options{Namespace: "soc", HostPort: c.address})
			require.ErrorContains(t, err, `IncidentState, IncidentHost, IncidentContainer, IncidentPending, IncidentSeverity are missing in namespace "soc", and cannot be registered here: Request unauthorized.`)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestSearchAttributesThatAreThereNeedNoPermissionToRegister(t *testing.T) {
	t.Parallel()
	f := &frontend{attributes: map[string]enums.IndexedValueType{}, unlisted: true, closed: true}
	for _, key := range signals.SearchAttributeKeys() {
		f.attributes[key.GetName()] = key.GetValueType()
	}
	added, err := temporalclient.RegisterSearchAttributes(t.Context(), connect(t, f), client.Options{Namespace: "soc"})
	require.NoError(t, err)
	require.Empty(t, added)
}
