package notify_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/notify"
	"firebreak/signals"
)

// told is the message that a webhook gets.
func told(t *testing.T, cfg notify.Config, n notify.Notification) (title, text string) {
	t.Helper()
	s, requests := server(t, http.StatusOK, "")
	cfg.URLs = config("generic+" + s.URL + "?template=json").URLs
	for _, r := range results(t, cfg, n) {
		require.Empty(t, r.Failure)
	}
	var body map[string]string
	decode(t, (<-requests).Body, &body)
	return body["title"], body["message"]
}

func TestFieldsAreAskedForWithTheCommandThatSuppliesThem(t *testing.T) {
	t.Parallel()
	n := asked()
	n.State, n.NeedsFields, n.Changes = signals.NeedsFields, true, nil
	n.Pending = &signals.Request{ID: "0a1b", Action: "KILL_CONTAINER", Need: 1}
	cfg := config()
	cfg.Namespace, cfg.WebURL = "soc", ""
	title, text := told(t, cfg, n)
	require.Equal(t, "[needs-fields] Detect crypto miners using the Stratum protocol on node-1/6949e5f10829 (high)", title)
	require.Equal(t, `Fields wanted: KILL_CONTAINER
Request 0a1b, needs 1
Supply: TEMPORAL_NAMESPACE=soc firebreak amend crypto-miner:node-1:6949e5f10829 --set FIELD=VALUE
Or: temporal workflow signal --namespace soc -w crypto-miner:node-1:6949e5f10829 --name amend --input '{"analyst":"YOU","fields":{"FIELD":"VALUE"}}'`, text)
}

func TestAnApprovalInAnotherNamespaceNamesIt(t *testing.T) {
	t.Parallel()
	n := asked()
	n.Changes, n.Groups = nil, []string{"leads"}
	cfg := config()
	cfg.Namespace = "soc"
	_, text := told(t, cfg, n)
	require.Equal(t, `Decision wanted: KILL_CONTAINER (container.id=6949e5f10829, host.id=eeee0000)
Request 5c1e0e1f9a77, needs 2, has ann, expires 2026-03-08T03:00:00Z
Escalated to leads
Approve: TEMPORAL_NAMESPACE=soc firebreak approve crypto-miner:node-1:6949e5f10829 --request 5c1e0e1f9a77 --reason WHY
Or: temporal workflow signal --namespace soc -w crypto-miner:node-1:6949e5f10829 --name approve --input '{"analyst":"YOU","reason":"WHY","request":"5c1e0e1f9a77"}'
To deny: reject instead of approve
Incident: https://temporal.example.com/namespaces/soc/workflows/crypto-miner:node-1:6949e5f10829/01982f2e-0000-7000-8000-000000000001/user-metadata`, text)
}

func TestNothingIsAskedOfAnIncidentThatIsClosed(t *testing.T) {
	t.Parallel()
	n := asked()
	n.Changes, n.Pending, n.State = n.Changes[:1], nil, signals.Contained
	n.Rule, n.Target, n.SeverityLabel = "", "", ""
	cfg := config()
	cfg.WebURL = ""
	title, text := told(t, cfg, n)
	require.Equal(t, "[contained] crypto-miner:node-1:6949e5f10829", title)
	require.Equal(t, "2026-03-07 03:00:00Z starter: xmrig connects to a pool", text)
}

func TestALongStoryKeepsItsEnd(t *testing.T) {
	t.Parallel()
	n := asked()
	n.WorkflowID = "crypto-miner:" + strings.Repeat("n", 80) + ":" + strings.Repeat("c", 80)
	n.Rule, n.Target = strings.Repeat("ü", 5000), strings.Repeat("矿", 5000)
	n.Pending.Parameters = map[string]any{"file": strings.Repeat("@", 5000)}
	n.Pending.Have = []string{strings.Repeat("<", 5000)}
	for i := range 500 {
		n.Changes = append(n.Changes, notify.Change{At: n.Changes[0].At, Text: fmt.Sprint("change ", i, strings.Repeat(" <x>", 1000))})
	}
	title, text := told(t, config(), n)
	require.LessOrEqual(t, len(title), 210)
	require.LessOrEqual(t, len(text), 3<<10)
	require.Contains(t, text, "firebreak: change 499 ")
	require.Regexp(t, `^\d+ earlier changes: see the war room\n`, text)
	require.Contains(t, text, "--request 5c1e0e1f9a77 --reason WHY\n")
	require.True(t, strings.HasSuffix(text, "/user-metadata"), text)
}

func TestAnIDThatAnEventWroteMentionsNobody(t *testing.T) {
	t.Parallel()
	n := asked()
	n.WorkflowID = "crypto-miner:@everyone:www.evil"
	_, text := told(t, config(), n)
	require.Contains(t, text, "firebreak approve crypto-miner:@''everyone:www''.evil --request")
	require.Contains(t, text, "/workflows/crypto-miner:%40everyone:www.evil/")
}

func TestEveryKindOfChangeIsValid(t *testing.T) {
	t.Parallel()
	for _, kind := range notify.Kinds() {
		require.True(t, kind.Valid())
	}
	require.False(t, notify.ChangeKind("").Valid())
	require.False(t, notify.ChangeKind("close").Valid())
}
