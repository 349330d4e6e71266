package temporalserver_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	batchpb "go.temporal.io/api/batch/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"firebreak/dev/internal/temporalserver"
	"firebreak/internal/temporalclient"
)

func TestASignalCarriesWhoeverSentItWhateverTheSenderClaims(t *testing.T) {
	t.Parallel()
	s := startWithAuth(t, auth(t, "ann"))
	startWorkflowAs(t, s, temporalserver.StarterPrincipal, "incident")

	ann := s.dial(t, "ann", client.Options{Identity: "ceo@example.com"})
	require.NoError(t, ann.SignalWorkflow(t.Context(), "incident", "", "approve", map[string]string{"analyst": "mallory"}))

	signaled := events(t, ann, "incident", enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	require.Len(t, signaled, 1)
	require.Equal(t, "ceo@example.com", signaled[0].GetWorkflowExecutionSignaledEventAttributes().GetIdentity())
	require.Equal(t, "ann", signaled[0].GetPrincipal().GetName())
	require.Equal(t, "jwt", signaled[0].GetPrincipal().GetType())
	started := events(t, ann, "incident", enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
	require.Equal(t, temporalserver.StarterPrincipal, started[0].GetPrincipal().GetName())
}

func TestABatchOfSignalsCarriesTheServerInsteadOfWhoeverAskedForIt(t *testing.T) {
	t.Parallel()
	s := startWithAuth(t, auth(t, "ann"))
	startWorkflowAs(t, s, temporalserver.StarterPrincipal, "incident")

	ann := s.dial(t, "ann", client.Options{})
	const query = `WorkflowId = "incident"`
	require.Eventually(t, func() bool {
		count, err := ann.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		return err == nil && count.GetCount() == 1
	}, 10*time.Second, 10*time.Millisecond)
	_, err := ann.WorkflowService().StartBatchOperation(t.Context(), &workflowservice.StartBatchOperationRequest{
		Namespace:       temporalserver.DefaultNamespace,
		JobId:           uuid.NewString(),
		Reason:          "all of them",
		VisibilityQuery: query,
		Operation: &workflowservice.StartBatchOperationRequest_SignalOperation{
			SignalOperation: &batchpb.BatchOperationSignal{Signal: "approve", Identity: "ann"},
		},
	})
	require.NoError(t, err)
	signaled := awaitEvent(t, ann, "incident", enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	require.Equal(t, "internal", signaled.GetPrincipal().GetName())
	require.Equal(t, "temporal", signaled.GetPrincipal().GetType())
}

func TestASignalFromAWorkflowCarriesNobody(t *testing.T) {
	t.Parallel()
	s := startWithAuth(t, auth(t, "ann"))
	startWorkflowAs(t, s, "ann", "incident")
	work(t, s, func(ctx workflow.Context) error {
		return workflow.SignalExternalWorkflow(ctx, "incident", "", "approve", nil).Get(ctx, nil)
	})

	ann := s.dial(t, "ann", client.Options{})
	sender, err := ann.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "somebody"}, "workflow")
	require.NoError(t, err)
	require.NoError(t, sender.Get(t.Context(), nil))
	signaled := events(t, ann, "incident", enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	require.Len(t, signaled, 1)
	require.Nil(t, signaled[0].GetPrincipal())
}

// Whoever reads decisions from a history must know this one: what a reset takes
// over from the run before is not what its principal sent.
func TestAResetPutsWhoResetInPlaceOfWhoSignaled(t *testing.T) {
	t.Parallel()
	s := startWithAuth(t, auth(t, "ann", "mallory"))
	work(t, s, func(ctx workflow.Context) error {
		workflow.GetSignalChannel(ctx, "end").Receive(ctx, nil)
		return nil
	})
	ann := s.dial(t, "ann", client.Options{})
	run, err := ann.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "incident", TaskQueue: "somebody"}, "workflow")
	require.NoError(t, err)
	task := awaitEvent(t, ann, "incident", enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
	require.NoError(t, s.dial(t, "mallory", client.Options{}).SignalWorkflow(t.Context(), "incident", "", "approve", nil))
	before := events(t, ann, "incident", enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	require.Equal(t, "mallory", before[0].GetPrincipal().GetName())

	_, err = ann.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:         temporalserver.DefaultNamespace,
		WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: "incident", RunId: run.GetRunID()},
		Reason:            "once more", RequestId: uuid.NewString(), WorkflowTaskFinishEventId: task.GetEventId(),
	})
	require.NoError(t, err)
	after := events(t, ann, "incident", enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	require.Len(t, after, 1)
	require.Equal(t, "ann", after[0].GetPrincipal().GetName())
	// This is how to tell, and to find the signal as it was sent.
	failed := events(t, ann, "incident", enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED)[0].GetWorkflowTaskFailedEventAttributes()
	require.Equal(t, enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW, failed.GetCause())
	require.Equal(t, run.GetRunID(), failed.GetBaseRunId())
	require.Equal(t, before[0].GetWorkflowExecutionSignaledEventAttributes().GetRequestId(),
		after[0].GetWorkflowExecutionSignaledEventAttributes().GetRequestId())
}

func TestWithoutATokenACallerReadsAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := startWithAuth(t, auth(t, "ann"))
	startWorkflowAs(t, s, "ann", "incident")

	nobody := dial(t, s.Server)
	_, err := nobody.DescribeWorkflowExecution(t.Context(), "incident", "")
	require.NoError(t, err)
	require.NotEmpty(t, events(t, nobody, "incident", enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED))
	_, err = nobody.WorkflowService().ListNamespaces(t.Context(), &workflowservice.ListNamespacesRequest{})
	require.NoError(t, err)
	require.Contains(t, get(t, s.UIURL()+"/api/v1/namespaces/default/workflows/incident"), `"incident"`, "Temporal Web has no token")

	requireDenied(t, nobody.SignalWorkflow(t.Context(), "incident", "", "approve", nil))
	requireDenied(t, nobody.TerminateWorkflow(t.Context(), "incident", "", "over"))
	_, err = nobody.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "nobody"}, "Capture")
	requireDenied(t, err)
}

func TestARoleAllowsWhatItSays(t *testing.T) {
	t.Parallel()
	a := auth(t, "bob", "eve=read", "root=admin")
	s := startWithAuth(t, a, "soc")
	startWorkflowAs(t, s, "bob", "incident")

	addAttribute := func(by string) error {
		_, err := s.dial(t, by, client.Options{}).OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
			Namespace: "soc", SearchAttributes: map[string]enumspb.IndexedValueType{"By_" + by: enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		})
		return err
	}
	eve := s.dial(t, "eve", client.Options{})
	_, err := eve.DescribeWorkflowExecution(t.Context(), "incident", "")
	require.NoError(t, err)
	requireDenied(t, eve.SignalWorkflow(t.Context(), "incident", "", "approve", nil))
	require.NoError(t, s.dial(t, "bob", client.Options{}).SignalWorkflow(t.Context(), "incident", "", "approve", nil))
	requireDenied(t, addAttribute("bob"))
	require.NoError(t, addAttribute("root"))
	require.NoError(t, addAttribute(temporalserver.AdminPrincipal))
}

func TestATokenOfAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	mine, another := startWithAuth(t, auth(t, "ann")), startWithAuth(t, auth(t, "ann"))
	startWorkflowAs(t, mine, "ann", "incident")

	forger := dialWith(t, mine.Server, another.token(t, "ann"), client.Options{})
	requireDenied(t, forger.SignalWorkflow(t.Context(), "incident", "", "approve", nil))
	_, err := forger.DescribeWorkflowExecution(t.Context(), "incident", "")
	requireDenied(t, err)
}

func TestTokensSurviveARestart(t *testing.T) {
	t.Parallel()
	options := temporalserver.Options{
		Auth: auth(t, "ann"), DatabaseFile: filepath.Join(t.TempDir(), "temporal.db"), Headless: true,
	}
	first := &authServer{start(t, options), *options.Auth}
	startWorkflowAs(t, first, temporalserver.StarterPrincipal, "incident")
	token := first.token(t, "ann")
	first.Stop()

	second := start(t, options)
	ann := dialWith(t, second, token, client.Options{})
	require.NoError(t, ann.SignalWorkflow(t.Context(), "incident", "", "approve", nil))
}

func TestKeysAndTokensAreTheirOwnersAlone(t *testing.T) {
	t.Parallel()
	a := auth(t, "ann@example.com")
	a.Dir = filepath.Join(a.Dir, "new", "folder with a space")
	s := startWithAuth(t, a)
	startWorkflowAs(t, s, "ann@example.com", "incident")

	entries, err := os.ReadDir(a.Dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), entry.Name())
	}
	require.Equal(t, []string{"admin.jwt", "ann@example.com.jwt", "jwks.json", "signing-key.json", "starter.jwt", "worker.jwt"}, names)
	public, err := os.ReadFile(filepath.Join(a.Dir, "jwks.json"))
	require.NoError(t, err)
	require.NotContains(t, string(public), `"d":`, "the private part of a key")
}

func TestEverySettingOfTheTemporalCommandCarriesAToken(t *testing.T) {
	t.Parallel()
	s := startWithAuth(t, auth(t, "ann"))
	startWorkflowAs(t, s, "ann", "incident")
	for name, environment := range map[string]map[string]string{
		"grpc metadata": {"TEMPORAL_GRPC_META_AUTHORIZATION": "Bearer " + s.token(t, "ann")},
		"api key":       {"TEMPORAL_API_KEY": s.token(t, "ann"), "TEMPORAL_TLS": "false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environment["TEMPORAL_ADDRESS"] = s.Address()
			options, err := temporalclient.Options(environ(environment), nil, slog.New(slog.DiscardHandler), nil)
			require.NoError(t, err)
			c, err := temporalclient.New(options)
			require.NoError(t, err)
			t.Cleanup(c.Close)
			require.NoError(t, c.SignalWorkflow(t.Context(), "incident", "", "approve", nil))
		})
	}
}

func TestAQuietServerWithAuthLogsNoWarning(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	a := auth(t, "ann")
	server, err := temporalserver.Start(t.Context(), temporalserver.Options{
		Auth: a, Logger: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	require.NoError(t, err)
	startWorkflowAs(t, &authServer{server, *a}, "ann", "incident")
	server.Stop()
	require.Empty(t, text.String())
}

func TestBadAuthIsRefused(t *testing.T) {
	t.Parallel()
	broken := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(broken, "signing-key.json"), []byte(`{"kty":"oct","k":"a2V5"}`), 0o600))
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	principals := func(p ...temporalserver.Principal) *temporalserver.Auth {
		return &temporalserver.Auth{Dir: t.TempDir(), Principals: p}
	}

	for name, test := range map[string]struct {
		auth *temporalserver.Auth
		want string
	}{
		"no folder":      {&temporalserver.Auth{}, `auth folder "": want a path`},
		"not a folder":   {&temporalserver.Auth{Dir: file}, "make auth folder"},
		"not a key":      {&temporalserver.Auth{Dir: broken}, "want a private P-256 JSON Web Key with a kid, or no such file"},
		"no name":        {principals(temporalserver.Principal{Role: temporalserver.RoleRead}), `principal "": want 1 to 64 letters`},
		"a path":         {principals(temporalserver.Principal{Name: "../ann", Role: temporalserver.RoleRead}), `principal "../ann": want 1 to 64 letters`},
		"no role":        {principals(temporalserver.Principal{Name: "ann"}), `role "" of principal "ann": want read, write or admin`},
		"unknown role":   {principals(temporalserver.Principal{Name: "ann", Role: "boss"}), `role "boss" of principal "ann": want read, write or admin`},
		"a name of ours": {principals(temporalserver.Principal{Name: "Worker", Role: temporalserver.RoleAdmin}), `principal "Worker": want another name`},
		"twice": {principals(
			temporalserver.Principal{Name: "ann", Role: temporalserver.RoleRead}, temporalserver.Principal{Name: "Ann", Role: temporalserver.RoleAdmin},
		), `principal "Ann": want another name`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := temporalserver.Start(t.Context(), temporalserver.Options{Auth: test.auth, Headless: true})
			require.ErrorContains(t, err, test.want)
		})
	}
}

// authServer is a server that authenticates its callers.
type authServer struct {
	*temporalserver.Server
	auth temporalserver.Auth
}

// auth is a new folder with a token for each principal, written NAME or NAME=ROLE.
func auth(t *testing.T, principals ...string) *temporalserver.Auth {
	t.Helper()
	a := &temporalserver.Auth{Dir: t.TempDir()}
	for _, text := range principals {
		p, err := temporalserver.ParsePrincipal(text)
		require.NoError(t, err)
		a.Principals = append(a.Principals, p)
	}
	return a
}

func startWithAuth(t *testing.T, a *temporalserver.Auth, namespaces ...string) *authServer {
	t.Helper()
	return &authServer{start(t, temporalserver.Options{Auth: a, Namespaces: namespaces}), *a}
}

func (s *authServer) token(t *testing.T, principal string) string {
	t.Helper()
	token, err := os.ReadFile(s.auth.TokenFile(principal))
	require.NoError(t, err)
	return string(token)
}

// dial connects as a principal.
func (s *authServer) dial(t *testing.T, principal string, options client.Options) client.Client {
	t.Helper()
	return dialWith(t, s.Server, s.token(t, principal), options)
}

func dialWith(t *testing.T, s *temporalserver.Server, token string, options client.Options) client.Client {
	t.Helper()
	options.HostPort, options.Logger = s.Address(), log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	options.Credentials, options.ConnectionOptions.TLSDisabled = client.NewAPIKeyStaticCredentials(token), true
	c, err := client.NewLazyClient(options)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// startWorkflowAs starts a workflow that nobody carries out.
func startWorkflowAs(t *testing.T, s *authServer, principal, id string) {
	t.Helper()
	_, err := s.dial(t, principal, client.Options{}).ExecuteWorkflow(t.Context(),
		client.StartWorkflowOptions{ID: id, TaskQueue: "nobody"}, "Capture")
	require.NoError(t, err)
}

// work runs a worker, with its own token, that knows one workflow.
func work(t *testing.T, s *authServer, f func(workflow.Context) error) {
	t.Helper()
	w := worker.New(s.dial(t, temporalserver.WorkerPrincipal, client.Options{}), "somebody", worker.Options{})
	w.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: "workflow"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

// events are the events of a type in a workflow's history so far.
func events(t *testing.T, c client.Client, id string, kind enumspb.EventType) []*historypb.HistoryEvent {
	t.Helper()
	var found []*historypb.HistoryEvent
	history := c.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		if event.GetEventType() == kind {
			found = append(found, event)
		}
	}
	return found
}

// awaitEvent waits for the first event of a type in a workflow's history.
func awaitEvent(t *testing.T, c client.Client, id string, kind enumspb.EventType) *historypb.HistoryEvent {
	t.Helper()
	history := c.GetWorkflowHistory(t.Context(), id, "", true, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for {
		event, err := history.Next()
		require.NoError(t, err)
		if event.GetEventType() == kind {
			return event
		}
	}
}

func requireDenied(t *testing.T, err error) {
	t.Helper()
	var denied *serviceerror.PermissionDenied
	require.ErrorAs(t, err, &denied)
}

// environ is an environment of these variables only.
type environ map[string]string

func (e environ) Environ() []string {
	var list []string
	for name, value := range e {
		list = append(list, name+"="+value)
	}
	return list
}

func (e environ) LookupEnv(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}
