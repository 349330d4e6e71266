package starter_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/fx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	grpcstatus "google.golang.org/grpc/status"

	"firebreak/internal/config"
	"firebreak/internal/telemetry"
	"firebreak/signals"
	"firebreak/starter"
)

// process is the starter as a process, with what its command gives it.
func process(t *testing.T, cfg *config.Config, temporal string) fx.Option {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	metrics, err := telemetry.NewMetrics(log)
	require.NoError(t, err)
	return fx.Options(fx.NopLogger, starter.Module,
		fx.Supply(cfg, log, metrics, client.Options{HostPort: temporal, MetricsHandler: metrics.Temporal}))
}

func configuration(t *testing.T, environment map[string]string) *config.Config {
	t.Helper()
	cfg, err := config.Load("", func(name string) (string, bool) { v, ok := environment[name]; return v, ok })
	require.NoError(t, err)
	cfg.Evidence.URL = "file://" + t.TempDir()
	cfg.Starter.Listen = "127.0.0.1:0"
	return cfg
}

func run(t *testing.T, temporal string, change ...func(*config.Config)) (url string) {
	t.Helper()
	var server *telemetry.Server
	cfg := configuration(t, map[string]string{"FIREBREAK_WEBHOOK_TOKEN": secret})
	for _, c := range change {
		c(cfg)
	}
	app := fx.New(process(t, cfg, temporal), fx.Populate(&server))
	require.NoError(t, app.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, app.Stop(context.Background())) })
	return "http://" + server.Address()
}

func status(t *testing.T, method, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("[]"))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, answer.Body)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

// report reports a crypto-miner to a process, which takes it.
func report(t *testing.T, url string) (answer starter.Answer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/events/sysdig",
		strings.NewReader(event("1", "Detect crypto miners using the Stratum protocol", "6949e5f10829", 2)))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+secret)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusAccepted, response.StatusCode)
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	return answer
}

// frontend is a Temporal server that records one signal.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	grpc_health_v1.UnimplementedHealthServer
	got chan *workflowservice.SignalWithStartWorkflowExecutionRequest
}

func (frontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (frontend) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func (f frontend) SignalWithStartWorkflowExecution(_ context.Context, r *workflowservice.SignalWithStartWorkflowExecutionRequest) (*workflowservice.SignalWithStartWorkflowExecutionResponse, error) {
	if r.GetWorkflowId() == "" {
		return nil, grpcstatus.Error(codes.InvalidArgument, "WorkflowId is not set on request.")
	}
	f.got <- r
	return &workflowservice.SignalWithStartWorkflowExecutionResponse{RunId: "run", Started: true}, nil
}

func TestTheModuleIsComplete(t *testing.T) {
	t.Parallel()
	require.NoError(t, fx.ValidateApp(process(t, &config.Config{}, "")))
}

func TestTheProcessTakesAnEventToTemporal(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := frontend{got: make(chan *workflowservice.SignalWithStartWorkflowExecutionRequest, 1)}
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, f)
	grpc_health_v1.RegisterHealthServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	url := run(t, listener.Addr().String())
	require.Equal(t, http.StatusOK, status(t, http.MethodGet, url+"/readyz"))
	answer := report(t, url)
	require.Equal(t, []starter.Reference{{WorkflowID: "crypto-miner:node-1:6949e5f10829", RunID: "run", Route: "crypto-miner"}}, answer.Opened)

	got := <-f.got
	require.Equal(t, "crypto-miner:node-1:6949e5f10829", got.GetWorkflowId())
	require.Equal(t, signals.WorkflowCryptoMiner, got.GetWorkflowType().GetName())
	require.Equal(t, signals.TaskQueue, got.GetTaskQueue().GetName())
	require.Equal(t, signals.Events, got.GetSignalName())
	var batch signals.EventBatch
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(got.GetSignalInput(), &batch))
	require.Len(t, batch.Events, 1)
	var input signals.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(got.GetInput(), &input))
	require.Equal(t, "crypto-miner", input.Route.Name)
}

func TestTheProcessListensBeforeTemporalAnswers(t *testing.T) {
	t.Parallel()
	url := run(t, "127.0.0.1:1")
	require.Equal(t, http.StatusOK, status(t, http.MethodGet, url+"/livez"))
	require.Equal(t, http.StatusServiceUnavailable, status(t, http.MethodGet, url+"/readyz"))
	require.Equal(t, http.StatusOK, status(t, http.MethodGet, url+"/metrics"))
	require.Equal(t, http.StatusUnauthorized, status(t, http.MethodPost, url+"/v1/events/sysdig"))
	require.Equal(t, http.StatusNotFound, status(t, http.MethodGet, url+"/"))
}

func TestTheProcessWithAJournalIsReadyWithoutTemporal(t *testing.T) {
	t.Parallel()
	url := run(t, "127.0.0.1:1", func(cfg *config.Config) { cfg.Starter.Journal = t.TempDir() })
	require.Equal(t, http.StatusOK, status(t, http.MethodGet, url+"/readyz"))
	require.Equal(t, []starter.Reference{{WorkflowID: "crypto-miner:node-1:6949e5f10829", Route: "crypto-miner"}}, report(t, url).Journaled)
}

func TestTheProcessDoesNotStartWithoutItsSecret(t *testing.T) {
	t.Parallel()
	app := fx.New(process(t, configuration(t, nil), ""))
	require.ErrorContains(t, app.Err(), "FIREBREAK_WEBHOOK_TOKEN")
}
