package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/evidence"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// incident is an incident that an installation opened.
type incident struct {
	*installation
	reference
}

// state is where the incident stands, and what it waits for. It needs no
// worker.
func (i *incident) state() (state signals.State, pending string) {
	i.t.Helper()
	description, err := i.temporal.DescribeWorkflow(i.ctx, i.WorkflowID, i.RunID)
	if err != nil {
		return "", ""
	}
	text, _ := description.TypedSearchAttributes.GetKeyword(signals.IncidentState)
	pending, _ = description.TypedSearchAttributes.GetKeyword(signals.IncidentPending)
	return signals.State(text), pending
}

// awaitState waits until the incident is in a state.
func (i *incident) awaitState(want signals.State) {
	i.t.Helper()
	i.await("the incident is "+string(want), func() bool {
		state, _ := i.state()
		return state == want
	})
}

// awaitRequest waits until the incident asks for a decision about an action.
func (i *incident) awaitRequest(action string) {
	i.t.Helper()
	i.await("the incident asks for "+action, func() bool {
		_, pending := i.state()
		return pending == action
	})
}

// signal sends a signal, as Temporal Web does.
func (i *incident) signal(name string, payload any) {
	i.t.Helper()
	require.NoError(i.t, i.temporal.SignalWorkflow(i.ctx, i.WorkflowID, i.RunID, name, payload))
}

// approve approves what is pending.
func (i *incident) approve() {
	i.t.Helper()
	i.signal(signals.Approve, signals.Decision{Analyst: "ann", Reason: "confirmed"})
}

// reject rejects what is pending.
func (i *incident) reject() {
	i.t.Helper()
	i.signal(signals.Reject, signals.Decision{Analyst: "bob", Reason: "a drill"})
}

// page waits until the incident is closed, and returns how.
func (i *incident) page() signals.Page {
	i.t.Helper()
	var page signals.Page
	err := i.temporal.GetWorkflow(i.ctx, i.WorkflowID, i.RunID).Get(i.ctx, &page)
	var failed *temporal.ApplicationError
	if err != nil {
		require.ErrorAs(i.t, err, &failed)
		require.NoError(i.t, failed.Details(&page))
		require.Equal(i.t, signals.Failed, page.Outcome, "only an incident that failed fails its workflow")
	}
	return page
}

// contained waits until the incident is closed, and checks that the container
// was killed once, by one execution, and that the evidence is complete.
func (i *incident) contained() signals.Page {
	i.t.Helper()
	// A second kill finds no container, and the incident asks what to do.
	i.await("the incident is contained", func() bool {
		state, _ := i.state()
		return state == signals.Contained || i.killed() > 1
	})
	require.Equal(i.t, 1, i.killed())
	page := i.page()
	require.Equal(i.t, signals.Contained, page.Outcome)
	require.Len(i.t, i.sysdig.Ledger(), 1, "nothing else happened")
	i.verify(page)
	return page
}

// captured waits until the incident is closed, and checks that one capture was
// taken and that the evidence holds it, byte by byte.
func (i *incident) captured(size int64) signals.Page {
	i.t.Helper()
	page := i.page()
	require.Equal(i.t, signals.Captured, page.Outcome)
	ledger := i.sysdig.Ledger()
	require.Equal(i.t, 1, ledger.Count(func(e sysdigtest.Effect) bool { return e.Kind == sysdigtest.Capture }))
	i.holds(page, size)
	return page
}

// holds checks that the evidence is complete and has a capture in it, byte by
// byte.
func (i *incident) holds(page signals.Page, size int64) {
	i.t.Helper()
	manifest := i.verify(page)
	n := slices.IndexFunc(manifest.Files, func(f evidence.Item) bool { return f.CaptureID != "" })
	require.GreaterOrEqual(i.t, n, 0, "the manifest lists no capture")
	file := manifest.Files[n]
	require.True(i.t, strings.HasSuffix(file.Name, ".scap"), file.Name)
	id, err := strconv.ParseInt(file.CaptureID, 10, 64)
	require.NoError(i.t, err)
	want := sha256.New()
	_, err = io.Copy(want, sysdigtest.CaptureReader(id, size))
	require.NoError(i.t, err)
	require.Equal(i.t, size, file.Size)
	require.Equal(i.t, hex.EncodeToString(want.Sum(nil)), file.SHA256)
}

// verify checks that the evidence store holds the files of the manifest and no
// others, and that every hash is right.
func (i *incident) verify(page signals.Page) evidence.Manifest {
	i.t.Helper()
	manifest, err := i.evidence.ReadManifest(i.ctx, i.WorkflowID, i.RunID)
	require.NoError(i.t, err)
	require.Equal(i.t, string(page.Outcome), manifest.Outcome)
	prefix := evidence.Prefix(i.WorkflowID, i.RunID)
	want := []string{prefix + evidence.ManifestName}
	for _, file := range manifest.Files {
		require.NoError(i.t, i.evidence.Verify(i.ctx, i.WorkflowID, i.RunID, file.File))
		want = append(want, prefix+file.Name)
	}
	for _, name := range []string{"incident.json", "war-room.json", "report.md"} {
		require.Contains(i.t, want, prefix+name)
	}
	stored, err := i.evidence.List(i.ctx, prefix)
	require.NoError(i.t, err)
	var keys []string
	for _, object := range stored {
		keys = append(keys, object.Key)
	}
	require.ElementsMatch(i.t, want, keys)
	return manifest
}

// told reports whether the war room has an entry of a kind with this text in it.
func told(page signals.Page, kind signals.Kind, text string) bool {
	return slices.ContainsFunc(page.WarRoom, func(e signals.Entry) bool {
		return e.Kind == kind && strings.Contains(e.Text, text)
	})
}
