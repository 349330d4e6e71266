package e2e_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"firebreak/internal/encryption"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// newKeyset makes a keyset as its user does.
func (f *installation) newKeyset() string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "keyset.json")
	made := f.run(firebreak(), "keyset", "new", path)
	require.Zero(f.t, made.code, made.stderr)
	return path
}

// encrypt has everything that is started or run from now on use a keyset.
func (f *installation) encrypt(path string) { f.env = append(f.env, "FIREBREAK_KEYSET="+path) }

// reading returns the server with a client that has a keyset. Its own client
// sees what is there without one.
func (s *temporalServer) reading(t *testing.T, path string) *temporalServer {
	t.Helper()
	keys, err := encryption.Open(path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c, err := client.NewLazyClient(client.Options{
		HostPort: s.address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{
			DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(encryption.Intercept(keys, true))},
		},
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	with := *s
	with.Client = c
	return &with
}

// kept is all that is told of a workflow, as JSON: as it is kept if c has no
// keyset.
func kept(ctx context.Context, t *testing.T, c client.Client, workflowID, runID string) string {
	t.Helper()
	var text strings.Builder
	described, err := c.DescribeWorkflowExecution(ctx, workflowID, runID)
	require.NoError(t, err)
	text.WriteString(protojson.Format(described))
	events := c.GetWorkflowHistory(ctx, workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		text.WriteString(protojson.Format(event))
	}
	return text.String()
}

func TestAnIncidentFromBeforeTheEncryptionGoesOnWithIt(t *testing.T) {
	t.Parallel()
	server := ownTemporal(t) // a guard that others cannot read would stop them
	f := install(t, server, routes, sysdigtest.Options{})
	plain := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	plain.terminate()
	require.Zero(t, plain.code(f.ctx, t))

	path := f.newKeyset()
	f.encrypt(path)
	f.worker()
	// What it was told before is replayed, and what it is told now is encrypted.
	noted := f.run(firebreak(), "note", i.WorkflowID, "seen before", "--analyst", "bob")
	require.Zero(t, noted.code, noted.stdout+noted.stderr)
	// Whoever has no key signals as ever.
	i.approve()
	f.temporal = server.reading(t, path)
	page := i.contained()
	require.True(t, told(page, signals.KindNote, "seen before"))
	require.True(t, told(page, signals.KindDecision, "approved KILL_CONTAINER: confirmed"))
	raw := kept(f.ctx, t, server, i.WorkflowID, i.RunID)
	require.NotContains(t, raw, "c2VlbiBiZWZvcmU", "the note, in base64")
	require.NotContains(t, raw, "seen before")
	require.Contains(t, raw, "encryption-key-id")
}

func TestEveryIncidentIsReadAfterRotations(t *testing.T) {
	t.Parallel()
	server := ownTemporal(t) // a guard that others cannot read would stop them
	f := prepare(t, server, routes, sysdigtest.Options{}, newHost())
	path := f.newKeyset()
	f.encrypt(path)
	f.starter()
	worker := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	for range 2 {
		rotated := f.run(firebreak(), "keyset", "rotate", path)
		require.Zero(t, rotated.code, rotated.stderr)
		noted := f.run(firebreak(), "note", i.WorkflowID, "rotated", "--analyst", "bob")
		require.Zero(t, noted.code, "by the worker that runs: %s", noted.stdout+noted.stderr)
	}
	worker.kill()
	f.worker()
	f.temporal = server.reading(t, path)
	approved := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Zero(t, approved.code, approved.stdout+approved.stderr)
	i.contained()
	show := f.run(firebreak(), "show", i.WorkflowID)
	require.Zero(t, show.code, show.stderr)
	require.Equal(t, 2, strings.Count(show.stdout, "rotated"))
}

// The keyset is missed in three ways: by a worker, which must not conclude
// anything from what it cannot read, and by two analysts, who are told.
func TestAMissingKeyHoldsAnIncidentUpAndNoMore(t *testing.T) {
	t.Parallel()
	server := ownTemporal(t) // a guard that others cannot read would stop them
	f := prepare(t, server, routes, sysdigtest.Options{}, newHost())
	path := f.newKeyset()
	bare := f.env
	f.encrypt(path)
	f.starter()
	encrypted := f.env
	first := f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	first.kill()

	listed, err := encryption.Show(path)
	require.NoError(t, err)
	missing := "encrypted with key " + listed[0].ID
	f.env = bare
	for _, wrong := range []string{"", f.newKeyset()} {
		f.env = append(bare[:len(bare):len(bare)], "FIREBREAK_KEYSET="+wrong)
		worker := f.worker()
		i.approve() // which gives the worker a task
		f.await("the incident says which key is missing", func() bool {
			return strings.Contains(kept(f.ctx, t, server, i.WorkflowID, i.RunID), missing)
		})
		shown := f.run(firebreak(), "show", i.WorkflowID)
		require.Equal(t, 1, shown.code)
		require.Contains(t, shown.stderr, missing)
		approved := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "x")
		require.Equal(t, 1, approved.code)
		require.Contains(t, approved.stdout, missing, "and it is not sent")
		state, pending := i.state()
		require.Equal(t, "awaiting-approval KILL_CONTAINER", string(state)+" "+pending)
		worker.kill()
	}
	require.Zero(t, f.killed())
	f.env = encrypted
	f.worker()
	f.temporal = server.reading(t, path)
	i.contained()
}

func TestASignalThatNoKeyOpensDoesNotCount(t *testing.T) {
	t.Parallel()
	server := ownTemporal(t) // a guard that others cannot read would stop them
	f := prepare(t, server, routes, sysdigtest.Options{}, newHost())
	path := f.newKeyset()
	f.encrypt(path)
	f.starter()
	f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	f.temporal = server.reading(t, path)
	listed, err := encryption.Show(path)
	require.NoError(t, err)
	forged := &common.Payload{Data: []byte(`{"analyst":"ann"}`), Metadata: map[string][]byte{
		"encoding": []byte(encryption.Encoding), encryption.MetadataKeyID: []byte(listed[0].ID),
	}}
	require.NoError(t, server.SignalWorkflow(f.ctx, i.WorkflowID, i.RunID, signals.Approve, converter.NewRawValue(forged)))
	i.await("it is refused", func() bool {
		return told(i.show(), signals.KindRefused, "approve did not count: data is encrypted, and the key that it names does not open it")
	})
	i.approve()
	i.contained()
}

// Who sent a signal is read from the history, where its data is encrypted.
func TestAnAuthenticatedDecisionCountsAlsoWhenItIsEncrypted(t *testing.T) {
	t.Parallel()
	f := prepare(t, ownTemporal(t, "ann", "bob", "mallory"), routes, sysdigtest.Options{}, newHost())
	f.configure(verified)
	f.encrypt(f.newKeyset())
	f.starter()
	f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	spoofed := f.runAs("mallory", firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Equal(t, 1, spoofed.code, spoofed.stdout+spoofed.stderr)
	require.Contains(t, spoofed.stdout, `analyst "mallory" is not entitled`)
	counted := f.runAs("ann", firebreak(), "approve", i.WorkflowID, "--analyst", "ceo", "--reason", "confirmed")
	require.Zero(t, counted.code, counted.stdout+counted.stderr)
	require.Contains(t, counted.stdout, "counted as ann")
	i.awaitState(signals.Contained)
	require.Equal(t, 1, f.killed())
}
