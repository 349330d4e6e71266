package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

func TestADecisionCarriesWhoSentItWhateverTheAnalystClaims(t *testing.T) {
	t.Parallel()
	f := install(t, ownTemporal(t, "ann", "bob", "mallory"), routes, sysdigtest.Options{})
	f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	require.Equal(t, []string{"jwt starter"}, i.senders(signals.Events))

	nobody := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Equal(t, 1, nobody.code, nobody.stdout)
	require.Contains(t, nobody.stdout, "unauthorized")
	noted := f.runAs("mallory", firebreak(), "note", i.WorkflowID, "all is well", "--analyst", "ann")
	require.Zero(t, noted.code, noted.stderr)
	outdated := f.runAs("bob", firebreak(), "approve", i.WorkflowID, "--analyst", "ceo", "--reason", "confirmed", "--request", "000000000000")
	require.Equal(t, 1, outdated.code, outdated.stdout)
	require.Zero(t, f.killed())

	approved := f.runAs("ann", firebreak(), "approve", i.WorkflowID, "--analyst", "ceo", "--reason", "confirmed")
	require.Zero(t, approved.code, approved.stderr)
	require.Contains(t, approved.stdout, "counted")
	i.contained()
	require.Equal(t, []string{"jwt bob", "jwt ann"}, i.senders(signals.Approve), "nobody's is not in the history")
	require.Equal(t, []string{"jwt mallory"}, i.senders(signals.Note))
}

func TestADecisionOfTheTemporalCommandCarriesWhoSentIt(t *testing.T) {
	t.Parallel()
	cli := temporalCommand(t)
	f := install(t, ownTemporal(t, "ann"), routes, sysdigtest.Options{})
	f.worker()
	i := f.openMiner()
	i.awaitRequest("KILL_CONTAINER")
	sent := f.runAs("ann", cli, "workflow", "signal", "-w", i.WorkflowID, "--name", signals.Approve,
		"--input", `{"analyst":"ceo","reason":"confirmed miner"}`)
	require.Zero(t, sent.code, sent.stderr)
	i.contained()
	require.Equal(t, []string{"jwt ann"}, i.senders(signals.Approve))
}

// senders are the type and name of the principal of each signal of a name, as
// the Temporal server authenticated them.
func (i *incident) senders(signal string) []string {
	i.t.Helper()
	var senders []string
	history := i.temporal.GetWorkflowHistory(i.ctx, i.WorkflowID, i.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(i.t, err)
		if event.GetWorkflowExecutionSignaledEventAttributes().GetSignalName() == signal {
			senders = append(senders, event.GetPrincipal().GetType()+" "+event.GetPrincipal().GetName())
		}
	}
	return senders
}
