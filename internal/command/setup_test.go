package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"firebreak/internal/command"
	"firebreak/internal/journal"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// checked is a check of setup.
type checked struct {
	Check, Level, Detail string
	OK                   bool
}

// setUp runs setup with a configuration, and returns its checks by name.
func setUp(t *testing.T, yaml string, environ ...string) (code int, checks map[string]checked) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "firebreak.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	var out, errs bytes.Buffer
	code = command.Run(t.Context(), []string{"setup", "--output", "json", "--config", file}, command.Env{
		// The last value of a variable counts.
		Environ: slices.Concat([]string{"TEMPORAL_ADDRESS=" + nowhere(t), "FIREBREAK_EVIDENCE_URL=file://" + t.TempDir()}, environ),
		Stdout:  &out, Stderr: &errs,
	})
	var all []checked
	require.NoError(t, json.Unmarshal(out.Bytes(), &all), out.String()+errs.String())
	checks = map[string]checked{}
	for _, c := range all {
		require.NotContains(t, checks, c.Check)
		require.Contains(t, []string{"ok", "warn", "fail"}, c.Level)
		require.Equal(t, c.Level != "fail", c.OK, "a warning is no failure")
		checks[c.Check] = c
	}
	return code, checks
}

func TestSetupTellsWhatASysdigTokenMayDo(t *testing.T) {
	t.Parallel()
	const (
		containmentExec, gatheringExec = sysdigtest.ContainmentExec, sysdigtest.GatheringExec
		containmentRead, gatheringRead = sysdigtest.ContainmentRead, sysdigtest.GatheringRead
		unlisted                       = "GET /api/users/me/permissions"
	)
	deny := func(p ...sysdigtest.Permission) sysdigtest.Options { return sysdigtest.Options{Deny: p} }
	const miner = `{name: miner, when: "true", playbook: crypto-miner}`
	const logs = `{name: logs, when: "true", playbook: respond, action: GET_LOGS}`
	const snapshot = `{name: snapshot, when: "true", playbook: respond, action: KUBERNETES_VOLUME_SNAPSHOT}`
	const first = `{name: first, when: "true", playbook: crypto-miner, capture_first: true, capture: {backend: response-action, storage_configuration_id: s3}}`
	const file = `{name: file, when: "true", playbook: capture, capture: {backend: response-action, storage_configuration_id: s3}}`
	for name, test := range map[string]struct {
		options              sysdigtest.Options
		routes               string
		mode                 string
		check, level, detail string
	}{
		"all":                        {check: "sysdig permissions", level: "ok", detail: "may execute and read all classes of response actions"},
		"no execution":               {options: deny(containmentExec), routes: miner, check: "sysdig permissions", level: "fail", detail: "containment-response-actions.exec is missing, which routes need for KILL_CONTAINER, KILL_PROCESS"},
		"no reading":                 {options: deny(containmentRead), routes: miner, check: "sysdig permissions", level: "fail", detail: "containment-response-actions.read is missing, which routes need for KILL_CONTAINER"},
		"no execution, dry":          {options: deny(containmentExec), routes: miner, mode: "observe", check: "sysdig permissions", level: "warn", detail: "mode observe executes nothing"},
		"no gathering":               {options: deny(gatheringRead), routes: logs, check: "sysdig permissions", level: "fail", detail: "data-gathering-response-actions.read is missing, which routes need for GET_LOGS"},
		"no capture by an action":    {options: deny(gatheringExec), routes: file, check: "sysdig permissions", level: "fail", detail: "data-gathering-response-actions.exec is missing, which routes need for CAPTURE"},
		"no capture before":          {options: deny(gatheringRead), routes: first, check: "sysdig permissions", level: "fail", detail: "data-gathering-response-actions.read is missing, which routes need for CAPTURE"},
		"what no route needs":        {options: deny(gatheringExec, gatheringRead), routes: miner, check: "sysdig permissions", level: "ok", detail: "without data-gathering-response-actions.exec, data-gathering-response-actions.read"},
		"an unsure class":            {options: deny(containmentRead), routes: snapshot, check: "sysdig permissions", level: "warn", detail: "containment-response-actions.read is missing: without it an analyst is asked"},
		"not listed":                 {options: sysdigtest.Options{Without: []string{unlisted}}, routes: miner, check: "sysdig permissions", level: "warn", detail: "not verified"},
		"not listed, no execution":   {options: sysdigtest.Options{Without: []string{unlisted}, Deny: []sysdigtest.Permission{containmentExec, gatheringExec}}, routes: miner, check: "sysdig permissions", level: "fail", detail: "give the token's role containment-response-actions.exec"},
		"not listed, none, observed": {options: sysdigtest.Options{Without: []string{unlisted}, Deny: []sysdigtest.Permission{containmentExec, gatheringExec}}, mode: "observe", check: "sysdig permissions", level: "warn", detail: "mode observe executes nothing"},
		"actions unknown":            {options: deny(containmentExec, gatheringExec), check: "sysdig actions", level: "warn", detail: "not verified: "},
		"no events":                  {options: deny(sysdigtest.EventsRead), check: "sysdig events", level: "warn", detail: "give the token's role policy-events.read"},
		"captures":                   {check: "sysdig captures", level: "ok", detail: "not verified"},
		"no captures":                {options: sysdigtest.Options{Without: []string{"GET /api/sysdig", "GET /api/v1/captures"}}, check: "sysdig captures", level: "warn", detail: "404"},
		"routes":                     {routes: miner, check: "sysdig actions", level: "ok", detail: "among them all 2 that the routes may ask for"},
		"an unknown action":          {routes: `{name: odd, when: "true", playbook: respond, action: MELT_DOWN}`, check: "sysdig actions", level: "fail", detail: "route odd: Sysdig has no MELT_DOWN here"},
		"a known action":             {routes: `{name: quarantine, when: "true", playbook: respond, action: FILE_QUARANTINE}`, check: "sysdig actions", level: "ok", detail: "all 1"},
		"what an incident does not have": {
			routes: `{name: make-private, when: "true", playbook: respond, action: MAKE_PRIVATE_CLOUD_RESOURCE, parameters: {cloudResourceType: "'s3'", cloudResourceName: "incident.labels['bucket']"}}`,
			check:  "sysdig actions", level: "ok", detail: "all 1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sysdig := sysdigtest.Start(t, test.options)
			code, checks := setUp(t, "routes: ["+test.routes+"]\n", "SYSDIG_SECURE_API_TOKEN=test-token", "FIREBREAK_MODE="+test.mode,
				"FIREBREAK_SYSDIG_APP_URL="+sysdig.URL, "FIREBREAK_SYSDIG_API_URL="+sysdig.URL)
			require.Equal(t, 1, code, "Temporal is not there")
			require.Equal(t, test.level, checks[test.check].Level, "%+v", checks)
			require.Contains(t, checks[test.check].Detail, test.detail)
			require.Empty(t, sysdig.Invalid())
			require.Zero(t, sysdig.Requests("POST", "/secure/response-actions/v1alpha1/action-executions"), "a check carries out nothing")
		})
	}
}

// Sysdig adds actions, and parameters to those it has: what it requires is known
// only from its own catalogue.
func TestSetupTellsWhatSysdigRequiresAndNobodyGives(t *testing.T) {
	t.Parallel()
	sysdig := sysdigtest.New(sysdigtest.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/secure/response-actions/v1alpha1/actions" {
			sysdig.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"data":[
			{"type":"KILL_CONTAINER","parameters":[{"name":"host.id","required":true},{"name":"ticket","required":true},{"name":"hint","required":false}]},
			{"type":"KILL_PROCESS","parameters":[{"name":"process.id","required":true},{"name":"startTime","required":true}]},
			{"type":"MELT_DOWN","parameters":[{"name":"host.id","required":true},{"name":"degrees","required":true}]}]}`)
	}))
	t.Cleanup(server.Close)
	const routes = "routes: [{name: miner, when: 'true', playbook: crypto-miner}, {name: odd, when: 'true', playbook: respond, action: MELT_DOWN}," +
		" {name: given, when: 'true', playbook: respond, action: MELT_DOWN, parameters: {degrees: '90'}}]\n"
	const detail = "route miner: Sysdig wants ticket of KILL_CONTAINER, and neither the route nor an incident has it; " +
		"route odd: Sysdig wants degrees of MELT_DOWN, and neither the route nor an incident has it"
	environ := []string{"SYSDIG_SECURE_API_TOKEN=test-token", "FIREBREAK_SYSDIG_APP_URL=" + server.URL, "FIREBREAK_SYSDIG_API_URL=" + server.URL}
	_, checks := setUp(t, routes, environ...)
	require.Equal(t, checked{"sysdig actions", "fail", detail, false}, checks["sysdig actions"])
	// A route need not be for every account.
	_, checks = setUp(t, routes+"sysdig: {tenants: [{name: acme, app_url: '"+server.URL+"', token: test-token}]}\n", environ...)
	require.Equal(t, checked{"sysdig tenant acme actions", "warn", detail, true}, checks["sysdig tenant acme actions"])
}

// Response actions are off in Sysdig Shield by default.
func TestSetupNamesTheSettingBehindAnEmptyCatalogue(t *testing.T) {
	t.Parallel()
	sysdig := sysdigtest.New(sysdigtest.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/secure/response-actions/v1alpha1/actions" {
			sysdig.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"data":[]}`)
	}))
	t.Cleanup(server.Close)
	environ := []string{"SYSDIG_SECURE_API_TOKEN=test-token", "FIREBREAK_SYSDIG_APP_URL=" + server.URL, "FIREBREAK_SYSDIG_API_URL=" + server.URL}
	const miner, odd = `{name: miner, when: "true", playbook: crypto-miner}`, `{name: odd, when: "true", playbook: respond, action: MELT_DOWN}`
	for routes, level := range map[string]string{
		miner + ", " + odd: "fail",
		"":                 "warn",
	} {
		_, checks := setUp(t, "routes: ["+routes+"]\n", environ...)
		require.Equal(t, level, checks["sysdig actions"].Level)
		require.Equal(t, 1, strings.Count(checks["sysdig actions"].Detail, "features.respond.response_actions"))
		require.NotContains(t, checks["sysdig actions"].Detail, "route ", "not one sentence per route")
	}
}

func TestSetupTellsHowTheJournalIs(t *testing.T) {
	t.Parallel()
	held := t.TempDir()
	j, err := journal.Open(held, 1<<20)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	full := t.TempDir()
	waiting, err := journal.Open(full, 1<<20)
	require.NoError(t, err)
	require.NoError(t, waiting.Append("a", []byte(`{}`)))
	require.NoError(t, waiting.Close())
	for name, test := range map[string]struct{ dir, level, detail string }{
		"none":         {"", "ok", "none: while Temporal does not answer, events are refused with 503"},
		"fresh":        {filepath.Join(t.TempDir(), "journal"), "ok", "is writable, and no starter uses it now"},
		"held":         {held, "ok", "in use by another process: a starter that runs"},
		"waiting":      {full, "warn", "1 messages wait"},
		"no directory": {"/dev/null", "fail", "is no directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, checks := setUp(t, "", "FIREBREAK_JOURNAL="+test.dir)
			require.Equal(t, test.level, checks["journal"].Level, "%+v", checks["journal"])
			require.Contains(t, checks["journal"].Detail, test.detail)
		})
	}
}

func TestSetupTellsThatAStarterWouldNotStart(t *testing.T) {
	t.Parallel()
	const yaml = "starter: {tls: {cert: /nowhere.pem, key: /nowhere.key}, sources: [{name: falco, auth: {type: bearer, secrets: ['${FALCO}']}}]}\n"
	_, checks := setUp(t, yaml)
	require.Equal(t, "warn", checks["sources"].Level, "whoever sets up need not have the starter's secrets")
	require.Contains(t, checks["sources"].Detail, "environment variable FALCO is not set")
	require.Contains(t, checks["sources"].Detail, "; starter.tls: read certificate /nowhere.pem")
	_, checks = setUp(t, "starter: {sources: [{name: falco, auth: {type: bearer, secrets: ['${FALCO}']}}]}\n", "FALCO=planted-secret")
	require.Equal(t, checked{"sources", "ok", "1, with what senders have to show", true}, checks["sources"])
}

func TestSetupChecksHooksAndCallsNone(t *testing.T) {
	t.Parallel()
	const hooks = "hooks: {ticket: {url: '${TICKETS}'}}\n"
	const calls = "routes: [{name: a, when: 'true', playbook: respond, on_opened: [ticket]}]\n"
	_, checks := setUp(t, hooks+calls, "TICKETS=http://127.0.0.1:1/planted-secret")
	require.Equal(t, checked{"hooks", "ok", "1 hooks; none was called", true}, checks["hooks"])
	_, checks = setUp(t, hooks, "TICKETS=http://127.0.0.1:1/planted-secret")
	require.Equal(t, checked{"hooks", "warn", "no route calls ticket", true}, checks["hooks"])
	_, checks = setUp(t, hooks+calls)
	require.Equal(t, "fail", checks["hooks"].Level)
	require.Contains(t, checks["hooks"].Detail, "environment variable TICKETS is not set")
}

// temporalFrontend is as much of a Temporal server as setup asks.
type temporalFrontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	operatorservice.UnimplementedOperatorServiceServer
	grpc_health_v1.UnimplementedHealthServer

	version   string
	retention time.Duration
	// started is whom the guard was started by; nil means that there is none.
	started *common.Principal
	frozen  *signals.Frozen
	// pollers are those of workflows and of activities.
	pollers map[enums.TaskQueueType]int
	denied  bool
}

func (*temporalFrontend) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func (f *temporalFrontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{ServerVersion: f.version}, nil
}

func (f *temporalFrontend) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{Config: &namespace.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(f.retention)}}, nil
}

func (*temporalFrontend) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	return &operatorservice.ListSearchAttributesResponse{}, nil
}

func (*temporalFrontend) AddSearchAttributes(context.Context, *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

func (f *temporalFrontend) refuse() error {
	if f.denied {
		return status.Error(codes.PermissionDenied, "Request unauthorized.")
	}
	return status.Error(codes.InvalidArgument, "not set on request")
}

func (f *temporalFrontend) PollWorkflowTaskQueue(context.Context, *workflowservice.PollWorkflowTaskQueueRequest) (*workflowservice.PollWorkflowTaskQueueResponse, error) {
	return nil, f.refuse()
}

func (f *temporalFrontend) SignalWithStartWorkflowExecution(context.Context, *workflowservice.SignalWithStartWorkflowExecutionRequest) (*workflowservice.SignalWithStartWorkflowExecutionResponse, error) {
	return nil, f.refuse()
}

func (f *temporalFrontend) DescribeTaskQueue(_ context.Context, r *workflowservice.DescribeTaskQueueRequest) (*workflowservice.DescribeTaskQueueResponse, error) {
	return &workflowservice.DescribeTaskQueueResponse{Pollers: make([]*taskqueue.PollerInfo, f.pollers[r.GetTaskQueueType()])}, nil
}

func (f *temporalFrontend) GetWorkflowExecutionHistory(context.Context, *workflowservice.GetWorkflowExecutionHistoryRequest) (*workflowservice.GetWorkflowExecutionHistoryResponse, error) {
	if f.started == nil {
		return nil, serviceerror.ToStatus(serviceerror.NewNotFound("no such workflow")).Err()
	}
	return &workflowservice.GetWorkflowExecutionHistoryResponse{History: &history.History{Events: []*history.HistoryEvent{{Principal: f.started}}}}, nil
}

func (f *temporalFrontend) DescribeWorkflowExecution(context.Context, *workflowservice.DescribeWorkflowExecutionRequest) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	info := &workflow.WorkflowExecutionInfo{Memo: &common.Memo{}}
	if f.frozen != nil {
		payload, err := converter.GetDefaultDataConverter().ToPayload(f.frozen)
		if err != nil {
			return nil, err
		}
		info.Memo.Fields = map[string]*common.Payload{signals.MemoFrozen: payload}
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info}, nil
}

func TestSetupTellsHowTemporalIs(t *testing.T) {
	t.Parallel()
	const verified = "approvals: {trust: verified, groups: {soc: [ann]}}\n"
	both := map[enums.TaskQueueType]int{enums.TASK_QUEUE_TYPE_WORKFLOW: 2, enums.TASK_QUEUE_TYPE_ACTIVITY: 2}
	for name, test := range map[string]struct {
		frontend             temporalFrontend
		yaml                 string
		check, level, detail string
	}{
		"reached":       {temporalFrontend{}, "", "temporal", "ok", "namespace default, server 1.32.1"},
		"retention":     {temporalFrontend{retention: 72 * time.Hour}, "", "temporal retention", "ok", "closed incidents are kept for 72h0m0s"},
		"short":         {temporalFrontend{retention: time.Hour}, "", "temporal retention", "warn", "kept for 1h0m0s, and an event that comes again later opens another one; want 24h0m0s or more"},
		"allowed":       {temporalFrontend{}, "", "temporal permissions", "ok", "with these credentials a worker and a starter can work"},
		"denied":        {temporalFrontend{denied: true}, "", "temporal permissions", "warn", "with these credentials no worker and no starter can work: Request unauthorized. (credentials: SignalWithStartWorkflowExecution in namespace"},
		"no worker":     {temporalFrontend{}, "", "workers", "ok", `none polls task queue "firebreak" yet`},
		"workers":       {temporalFrontend{pollers: both}, "", "workers", "ok", `2 polled task queue "firebreak"`},
		"half a worker": {temporalFrontend{pollers: map[enums.TaskQueueType]int{enums.TASK_QUEUE_TYPE_WORKFLOW: 1}}, "", "workers", "warn", "none for activities"},
		"not frozen":    {temporalFrontend{}, "", "guard", "ok", "containment is not frozen"},
		"frozen":        {temporalFrontend{frozen: &signals.Frozen{By: "bob", Reason: "maintenance"}}, "", "guard", "warn", "containment is frozen by bob since "},
		"an old server": {temporalFrontend{version: "1.29.1"}, verified, "temporal principals", "fail", "server 1.29.1 stamps nobody on signals"},
		"no guard":      {temporalFrontend{}, verified, "temporal principals", "ok", "not verified"},
		"anonymous":     {temporalFrontend{started: &common.Principal{}}, verified, "temporal principals", "warn", "frontend.enablePrincipalPropagation"},
		"authenticated": {temporalFrontend{started: &common.Principal{Type: "jwt", Name: "worker"}}, verified, "temporal principals", "ok", `the guard was started by "worker"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.frontend.version == "" {
				test.frontend.version = "1.32.1"
			}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			server := grpc.NewServer()
			workflowservice.RegisterWorkflowServiceServer(server, &test.frontend)
			operatorservice.RegisterOperatorServiceServer(server, &test.frontend)
			grpc_health_v1.RegisterHealthServer(server, &test.frontend)
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(server.Stop)
			_, checks := setUp(t, test.yaml, "TEMPORAL_ADDRESS="+listener.Addr().String())
			require.Equal(t, test.level, checks[test.check].Level, "%+v", checks)
			require.Contains(t, checks[test.check].Detail, test.detail)
		})
	}
}
