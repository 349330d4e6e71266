package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"firebreak/internal/incident"
)

// completions are what the shell is offered, and the directive after it.
func completions(t *testing.T, temporal *fakeTemporal, args ...string) []string {
	t.Helper()
	_, stdout, _ := run(t, temporal, append([]string{"__complete"}, args...)...)
	return strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
}

const (
	noFiles        = ":4"
	noFilesOrSpace = ":6"
)

func TestIncidentIDsCompleteToThoseThatTheCommandIsFor(t *testing.T) {
	t.Parallel()
	const open = " AND CloseTime IS NULL"
	for command, condition := range map[string]string{
		"approve": open + " AND IncidentPending IS NOT NULL AND IncidentState != 'needs-fields'",
		"reject":  open + " AND IncidentPending IS NOT NULL",
		"show":    open, "note": open, "amend": open, "undo": open,
	} {
		temporal := listing(execution{id: minerID, attributes: map[string]any{"IncidentPending": "KILL_CONTAINER", "IncidentRule": "a\tminer\n"}},
			execution{id: "capture:node-1:host", attributes: map[string]any{"IncidentState": "watching", "IncidentRule": "a tool"}})
		inner := temporal.ListFn
		temporal.ListFn = func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
			require.True(t, strings.HasSuffix(r.Query, "ExecutionStatus != 'ContinuedAsNew'"+condition), r.Query)
			return inner(r)
		}
		require.Equal(t, []string{minerID + "\tKILL_CONTAINER, a miner", "capture:node-1:host\twatching, a tool", noFiles},
			completions(t, temporal, command, ""), command)
	}
}

func TestAnIDIsNotOfferedTwice(t *testing.T) {
	t.Parallel()
	temporal := listing(waiting("a", time.Time{}), waiting("b", time.Time{}))
	for _, command := range []string{"approve", "reject"} {
		require.Equal(t, []string{"b\tKILL_CONTAINER, miner\uFFFD[2J", noFiles}, completions(t, temporal, command, "a", ""), command)
	}
	for _, command := range []string{"show", "note", "amend", "undo"} {
		require.Equal(t, []string{noFiles}, completions(t, temporal, command, "a", ""), command)
	}
}

func TestWhatCannotBeAskedOffersNothing(t *testing.T) {
	t.Parallel()
	temporal := &fakeTemporal{ListFn: func(*workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		return nil, serviceerror.NewUnavailable("down")
	}}
	require.Equal(t, []string{noFiles}, completions(t, temporal, "approve", ""))
}

func TestValuesOfFlagsComplete(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"text", "json", noFiles}, completions(t, nil, "incidents", "--output", ""))
	require.Contains(t, completions(t, nil, "incidents", "--state", ""), "awaiting-approval")
	require.Contains(t, completions(t, nil, "act", ""), "KILL_CONTAINER\tcontainment")
	require.Equal(t, []string{noFiles}, completions(t, nil, "act", "KILL_CONTAINER", ""))
	require.Equal(t, []string{"host.id=", "process.id=", "startTime=", "host.name=", "process.pid=", noFilesOrSpace},
		completions(t, nil, "act", "KILL_PROCESS", "--param", ""))
	require.Equal(t, []string{noFiles}, completions(t, nil, "act", "KILL_PROCESS", "--param", "host.id="))
	require.Contains(t, completions(t, nil, "act", "--param", ""), "host.name=")
	require.Equal(t, []string{minerID + "\tKILL_PROCESS", noFiles}, completions(t, listing(execution{id: minerID, attributes: map[string]any{"IncidentPending": "KILL_PROCESS"}}), "act", "KILL_PROCESS", "--incident", ""))
	fields := completions(t, nil, "amend", "a", "--set", "")
	require.Len(t, fields, len(incident.AmendablePaths())+1)
	require.Contains(t, fields, "host.id=")
	require.Equal(t, noFilesOrSpace, fields[len(fields)-1])
	require.Equal(t, []string{noFiles}, completions(t, nil, "amend", "a", "--set", "host.id="))
}
