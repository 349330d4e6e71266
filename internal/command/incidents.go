package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"firebreak/signals"
)

// Row is a line of the list of incidents.
type Row struct {
	WorkflowID string `json:"workflow_id"`
	// RunID is the run that opened the incident, as its page and its evidence
	// name it.
	RunID    string `json:"run_id"`
	Playbook string `json:"playbook"`
	// State is a signals.State, or, of an incident that was ended from outside
	// its playbook, "terminated", "timed-out" or "canceled".
	State     string    `json:"state"`
	Rule      string    `json:"rule"`
	Host      string    `json:"host"`
	Container string    `json:"container"`
	Severity  int64     `json:"severity"`
	Pending   string    `json:"pending"`
	OpenedAt  time.Time `json:"opened_at"`
	// Paused says that the workflow is paused in Temporal. The incident is open.
	Paused bool `json:"paused,omitzero"`
}

// maxListed is the most that --limit takes.
const maxListed = 1000

func (s *session) incidentsCommand() *cobra.Command {
	var state string
	var watch bool
	var limit int
	cmd := &cobra.Command{
		Use:   "incidents",
		Short: "List incidents, newest first",
		Long: "Lists open and closed incidents and manual actions, newest first. Where there are more than --limit, those that are\n" +
			"open come before those that are closed.",
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if state != "" && !slices.Contains(signals.States(), signals.State(state)) {
				return usagef("--state %q: want one of %s", state, states())
			}
			if limit < 1 || limit > maxListed {
				return usagef("--limit %d: want 1 to %d", limit, maxListed)
			}
			t, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer t.Close()
			look := func() error {
				rows, err := list(cmd.Context(), t, inState(state), limit)
				if err != nil {
					return err
				}
				return s.print(rows, func(w io.Writer) error { return writeRows(w, rows) })
			}
			if watch {
				return s.watch(cmd.Context(), func() (bool, error) { return false, look() })
			}
			return look()
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only incidents in `STATE`: "+states())
	cmd.Flags().BoolVar(&watch, "watch", false, "look every two seconds and print the list when it has changed, until Ctrl-C")
	cmd.Flags().IntVar(&limit, "limit", 100, "list at most `N`")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(strings.Split(states(), ", "), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func states() string {
	var names []string
	for _, state := range signals.States() {
		names = append(names, string(state))
	}
	return strings.Join(names, ", ")
}

// Conditions of lists; they are ANDed to the incidents'.
const onlyOpen = " AND " + signals.OpenOnly

// waitingFor selects the incidents that a decision can be sent to.
func waitingFor(signal string) string {
	condition := onlyOpen + fmt.Sprintf(" AND %s IS NOT NULL", signals.IncidentPending.GetName())
	if signal == signals.Approve {
		// There is nothing to approve yet; it can be rejected.
		condition += fmt.Sprintf(" AND %s != '%s'", signals.IncidentState.GetName(), signals.NeedsFields)
	}
	return condition
}

// inState selects the incidents in a state; "" selects all.
func inState(state string) string {
	switch {
	case state == "":
		return ""
	case isOutcome(state):
		return fmt.Sprintf(" AND %s = '%s'", signals.IncidentState.GetName(), state)
	default:
		// One that was terminated keeps the state it had, but is not in it.
		return fmt.Sprintf(" AND %s = '%s'%s", signals.IncidentState.GetName(), state, onlyOpen)
	}
}

// isOutcome reports whether a state is final.
func isOutcome(state string) bool {
	all := signals.States()
	return slices.Contains(all[slices.Index(all, signals.Contained):], signals.State(state))
}

// list asks Temporal's visibility for incidents.
func list(ctx context.Context, t Temporal, condition string, limit int) ([]Row, error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: int32(min(limit, maxListed)), //nolint:gosec // it is small
		// Of an incident that moved from run to run, the last one stands for it.
		Query: fmt.Sprintf("WorkflowType IN ('%s', '%s', '%s', '%s') AND ExecutionStatus != 'ContinuedAsNew'", signals.WorkflowCapture,
			signals.WorkflowCryptoMiner, signals.WorkflowRespond, signals.WorkflowResponseAction) + condition,
	}
	rows := []Row{}
	for {
		answer, err := t.ListWorkflow(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list incidents: %w", explainList(err))
		}
		for _, info := range answer.GetExecutions() {
			rows = append(rows, newRow(info))
		}
		request.NextPageToken = answer.GetNextPageToken()
		if len(rows) >= limit || len(request.NextPageToken) == 0 {
			break
		}
	}
	rows = rows[:min(limit, len(rows))]
	// Temporal's databases sort open ones first, and differ in what they let one
	// ask for.
	slices.SortStableFunc(rows, func(a, b Row) int { return b.OpenedAt.Compare(a.OpenedAt) })
	return rows, nil
}

// explainList adds the usual cause of a refused condition.
func explainList(err error) error {
	var invalid *serviceerror.InvalidArgument
	if errors.As(err, &invalid) {
		return fmt.Errorf("%w (has `firebreak setup` registered the search attributes?)", err)
	}
	return err
}

func newRow(info *workflow.WorkflowExecutionInfo) Row {
	attributes := info.GetSearchAttributes().GetIndexedFields()
	row := Row{
		WorkflowID: info.GetExecution().GetWorkflowId(),
		RunID:      info.GetExecution().GetRunId(),
		Playbook:   playbook(info.GetType().GetName()),
		State:      decoded[string](attributes, signals.IncidentState.GetName()),
		Rule:       decoded[string](attributes, signals.IncidentRule.GetName()),
		Host:       decoded[string](attributes, signals.IncidentHost.GetName()),
		Container:  decoded[string](attributes, signals.IncidentContainer.GetName()),
		Severity:   decoded[int64](attributes, signals.IncidentSeverity.GetName()),
		Pending:    decoded[string](attributes, signals.IncidentPending.GetName()),
		OpenedAt:   info.GetStartTime().AsTime(),
		Paused:     info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_PAUSED,
	}
	memo := info.GetMemo().GetFields()
	row.RunID = cmp.Or(decoded[string](memo, signals.MemoOpenedRun), row.RunID)
	if opened := decoded[time.Time](memo, signals.MemoOpenedAt); !opened.IsZero() {
		row.OpenedAt = opened
	}
	if ended := endedOutside(info.GetStatus()); ended != "" {
		row.State, row.Pending = ended, ""
	}
	return row
}

// playbook is the playbook that a workflow type runs.
func playbook(workflowType string) string {
	for _, name := range []string{signals.PlaybookCapture, signals.PlaybookCryptoMiner, signals.PlaybookRespond} {
		if t, _ := signals.WorkflowType(name); t == workflowType {
			return name
		}
	}
	if workflowType == signals.WorkflowResponseAction {
		return signals.PlaybookManual
	}
	return workflowType
}

// endedOutside names how a workflow ended that its playbook did not end itself.
func endedOutside(status enums.WorkflowExecutionStatus) string {
	switch status {
	case enums.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "terminated"
	case enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "timed-out"
	case enums.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return "canceled"
	default:
		return ""
	}
}

// decoded reads a search attribute or a field of the memo; one that is absent or
// of another type is zero.
func decoded[T any](fields map[string]*common.Payload, name string) T {
	var value T
	if payload := fields[name]; payload != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(payload, &value)
	}
	return value
}

func writeRows(w io.Writer, rows []Row) error {
	t := newTable(w, "")
	t.row("INCIDENT", "STATE", "SEVERITY", "RULE", "HOST", "CONTAINER", "PENDING", "OPENED")
	for i := range rows {
		r := &rows[i]
		state := r.State
		if r.Paused {
			state += " (paused)"
		}
		t.row(r.WorkflowID, state, strconv.FormatInt(r.Severity, 10), r.Rule, cmp.Or(r.Host, "-"),
			cmp.Or(r.Container, "-"), cmp.Or(r.Pending, "-"), timestamp(r.OpenedAt))
	}
	return t.flush()
}
