package command_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"firebreak/internal/command"
	"firebreak/signals"
)

// execution is a workflow as Temporal lists it.
type execution struct {
	id string
	// run and chain are the run and the first of its chain, named after the ID
	// where they are not given.
	run, chain string
	status     enums.WorkflowExecutionStatus
	opened     time.Time
	attributes map[string]any
	memo       map[string]any
	// kind is the workflow type, CryptoMiner where it is not given.
	kind string
}

func (e execution) info() *workflow.WorkflowExecutionInfo {
	run := cmp.Or(e.run, "run-"+e.id)
	return &workflow.WorkflowExecutionInfo{
		Execution: &common.WorkflowExecution{WorkflowId: e.id, RunId: run}, FirstRunId: cmp.Or(e.chain, run),
		Type: &common.WorkflowType{Name: cmp.Or(e.kind, "CryptoMiner")}, Status: e.status, StartTime: timestamppb.New(e.opened),
		SearchAttributes: &common.SearchAttributes{IndexedFields: payloads(e.attributes)},
		Memo:             &common.Memo{Fields: payloads(e.memo)},
	}
}

func payloads(values map[string]any) map[string]*common.Payload {
	encoded := map[string]*common.Payload{}
	for name, value := range values {
		encoded[name], _ = converter.GetDefaultDataConverter().ToPayload(value)
	}
	return encoded
}

func listOf(executions ...execution) *workflowservice.ListWorkflowExecutionsResponse {
	response := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, e := range executions {
		response.Executions = append(response.Executions, e.info())
	}
	return response
}

func listing(executions ...execution) *fakeTemporal {
	return &fakeTemporal{ListFn: func(*workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		return listOf(executions...), nil
	}}
}

func waiting(id string, opened time.Time) execution {
	return execution{id: id, opened: opened, attributes: map[string]any{
		"IncidentState": "awaiting-approval", "IncidentRule": "miner\x1b[2J", "IncidentHost": "node-1",
		"IncidentContainer": "6949e5f10829", "IncidentPending": "KILL_CONTAINER", "IncidentSeverity": 2,
	}}
}

func TestIncidentsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	temporal := listing(waiting("a", noon), execution{id: "b", opened: noon.Add(time.Hour)})
	code, stdout, stderr := run(t, temporal, "incidents", "--output", "json")
	require.Equal(t, 0, code, stderr)
	require.JSONEq(t, `[
		{"workflow_id":"b","run_id":"run-b","playbook":"crypto-miner","state":"","rule":"","host":"","container":"","severity":0,"pending":"","opened_at":"2026-05-01T13:00:00Z"},
		{"workflow_id":"a","run_id":"run-a","playbook":"crypto-miner","state":"awaiting-approval","rule":"miner\u001b[2J","host":"node-1","container":"6949e5f10829","severity":2,"pending":"KILL_CONTAINER","opened_at":"2026-05-01T12:00:00Z"}
	]`, stdout)

	_, stdout, _ = run(t, temporal, "incidents")
	require.Equal(t, "INCIDENT  STATE              SEVERITY  RULE       HOST    CONTAINER     PENDING         OPENED\n"+
		"b                            0                    -       -             -               2026-05-01 13:00:00Z\n"+
		"a         awaiting-approval  2         miner\uFFFD[2J  node-1  6949e5f10829  KILL_CONTAINER  2026-05-01 12:00:00Z\n", stdout)
}

func TestEveryWorkflowTypeIsListedByItsPlaybook(t *testing.T) {
	t.Parallel()
	for kind, playbook := range map[string]string{
		signals.WorkflowCapture: "capture", signals.WorkflowCryptoMiner: "crypto-miner", signals.WorkflowRespond: "respond",
		signals.WorkflowResponseAction: "response-action",
	} {
		temporal := listing(execution{id: "a", kind: kind})
		inner := temporal.ListFn
		temporal.ListFn = func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
			require.Contains(t, r.Query, "'"+kind+"'")
			return inner(r)
		}
		_, stdout, _ := run(t, temporal, "incidents", "--output", "json")
		require.Contains(t, stdout, `"playbook": "`+playbook+`"`)
	}
}

func TestNoIncidentsAreAnEmptyArray(t *testing.T) {
	t.Parallel()
	code, stdout, _ := run(t, listing(), "incidents", "--output", "json")
	require.Equal(t, 0, code)
	require.Equal(t, "[]\n", stdout)
}

func TestAnIncidentThatWasEndedFromOutsideWaitsForNothing(t *testing.T) {
	t.Parallel()
	ended := waiting("a", time.Time{})
	ended.status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
	_, stdout, _ := run(t, listing(ended), "incidents", "--output", "json")
	require.Contains(t, stdout, `"state": "terminated"`)
	require.Contains(t, stdout, `"pending": ""`)
}

func TestAnIncidentThatMovedOnIsListedAsItWasOpened(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	moved := waiting("a", noon.Add(time.Hour))
	moved.run, moved.memo = "run-9", map[string]any{"opened_at": noon, "opened_run": "run-1"}
	_, stdout, _ := run(t, listing(moved, waiting("b", noon.Add(time.Minute))), "incidents", "--output", "json")
	var rows []command.Row
	require.NoError(t, json.Unmarshal([]byte(stdout), &rows))
	require.Len(t, rows, 2)
	require.Equal(t, "b", rows[0].WorkflowID, "newest first")
	require.Equal(t, "run-1", rows[1].RunID)
	require.Equal(t, noon, rows[1].OpenedAt)
}

func TestAStateIsAskedOfTemporal(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{
		"":                  "",
		"contained":         " AND IncidentState = 'contained'",
		"awaiting-approval": " AND IncidentState = 'awaiting-approval' AND CloseTime IS NULL",
	} {
		temporal := &fakeTemporal{ListFn: func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
			require.Equal(t, "WorkflowType IN ('Capture', 'CryptoMiner', 'Respond', 'ResponseAction') AND ExecutionStatus != 'ContinuedAsNew'"+want, r.Query)
			return listOf(), nil
		}}
		code, _, stderr := run(t, temporal, "incidents", "--state", state)
		require.Equal(t, 0, code, stderr)
	}
}

func TestPagesAreReadUntilTheLimit(t *testing.T) {
	t.Parallel()
	temporal := &fakeTemporal{ListFn: func(r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		page := listOf(execution{id: "x" + string(r.NextPageToken)}, execution{id: "y" + string(r.NextPageToken)})
		n, _ := strconv.Atoi(string(r.NextPageToken))
		page.NextPageToken = []byte(strconv.Itoa(n + 1))
		return page, nil
	}}
	_, stdout, _ := run(t, temporal, "incidents", "--limit", "3")
	require.Contains(t, stdout, "x1 ")
	require.NotContains(t, stdout, "y1 ")
}

func TestARefusedListSuggestsSetup(t *testing.T) {
	t.Parallel()
	temporal := &fakeTemporal{ListFn: func(*workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		return nil, serviceerror.NewInvalidArgument("column name 'IncidentState' is not defined")
	}}
	code, _, stderr := run(t, temporal, "incidents", "--state", "open")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "firebreak setup")
}

func TestWatchPrintsTheListWhenItChangesUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		temporal := &fakeTemporal{ListFn: func(*workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
			if looks++; looks < 3 {
				return listOf(execution{id: "a"}), nil
			}
			return listOf(execution{id: "b"}), nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		var out bytes.Buffer
		code := command.Run(ctx, []string{"incidents", "--watch"}, command.Env{
			Stdout: &out, Stderr: &out, Connect: func(context.Context) (command.Temporal, error) { return temporal, nil },
		})
		require.Equal(t, 0, code, out.String())
		require.Equal(t, 5, looks, "every two seconds")
		require.Equal(t, 2, bytes.Count(out.Bytes(), []byte("INCIDENT")), out.String())
	})
}
