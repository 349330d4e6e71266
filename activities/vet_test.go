package activities_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"google.golang.org/protobuf/types/known/timestamppb"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// histories is a Temporal that has one history.
type histories struct {
	client.Client

	events []*history.HistoryEvent
	// broken is why the history cannot be read.
	broken error
}

func (h histories) GetWorkflowHistory(context.Context, string, string, bool, enums.HistoryEventFilterType) client.HistoryEventIterator {
	return &iterator{h.events, h.broken}
}

type iterator struct {
	left   []*history.HistoryEvent
	broken error
}

func (i *iterator) HasNext() bool { return i.broken != nil || len(i.left) > 0 }

func (i *iterator) Next() (*history.HistoryEvent, error) {
	if i.broken != nil {
		return nil, i.broken
	}
	event := i.left[0]
	i.left = i.left[1:]
	return event, nil
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// data is that of every signal.
var data = &common.Payload{Data: []byte(`{"analyst":"ann"}`)}

// signaled is a signal's event, a minute after the one before.
func (h *histories) signaled(name, kind, principal string) {
	event := &history.HistoryEvent{
		EventType: enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, EventTime: timestamppb.New(noon.Add(time.Duration(len(h.events)) * time.Minute)),
		Attributes: &history.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &history.WorkflowExecutionSignaledEventAttributes{
				SignalName: name, Identity: "the ceo", Input: &common.Payloads{Payloads: []*common.Payload{data}},
			},
		},
	}
	if principal != "" {
		event.Principal = &common.Principal{Type: kind, Name: principal}
	}
	h.events = append(h.events, event)
}

// frozenBy is a guard that lets nothing happen.
type frozenBy string

func (f frozenBy) Frozen(context.Context) (*signals.Frozen, error) {
	return &signals.Frozen{By: string(f), Reason: "maintenance", Since: noon}, nil
}

func (frozenBy) Reserve(context.Context, signals.Reserve, bool) error { return nil }

func (frozenBy) Hold(context.Context, signals.Hold) error { return nil }

// unanswering is a guard that cannot be asked.
type unanswering struct{}

func (unanswering) Frozen(context.Context) (*signals.Frozen, error) {
	return nil, errors.New("ask whether containment is frozen: no answer")
}

func (unanswering) Hold(context.Context, signals.Hold) error { return nil }

func (unanswering) Reserve(context.Context, signals.Reserve, bool) error {
	return errors.New("ask the guard: no answer")
}

func vet(t *testing.T, h histories, yaml string, in activities.VetInput) activities.Vetting {
	t.Helper()
	in.Digest = cmp.Or(in.Digest, activities.Digest(data))
	value, err := tryVet(t, h, yaml, in)
	require.NoError(t, err)
	var found activities.Vetting
	require.NoError(t, value.Get(&found))
	return found
}

func tryVet(t *testing.T, h histories, yaml string, in activities.VetInput) (converter.EncodedValue, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	acts := &activities.Activities{Temporal: h, Guard: frozenBy("bob"), Approvals: rules(t, yaml)}
	env.RegisterActivity(acts)
	return env.ExecuteActivity(a.Vet, in)
}

func TestASignalThatIsNotTheOneReceivedIsNobodys(t *testing.T) {
	t.Parallel()
	var h histories
	h.signaled(signals.Approve, "jwt", "ann")
	in := activities.VetInput{Signal: signals.Approve, Ordinal: 1, Digest: activities.Digest(&common.Payload{Data: []byte(`{"analyst":"mallory"}`)}), Sender: true}
	_, err := tryVet(t, h, "", in)
	require.ErrorContains(t, err, "signal approve number 1 in the history is another one than was received")
	in.Ordinal = 2
	_, err = tryVet(t, h, "", in)
	require.ErrorContains(t, err, "signal approve number 2 is not in the history")
	require.NotEqual(t, activities.Digest(data), activities.Digest(&common.Payload{Data: []byte("more")}, data))
}

func TestASignalWhoseHistoryCannotBeReadIsNobodys(t *testing.T) {
	t.Parallel()
	h := histories{broken: errors.New("connection refused")}
	_, err := tryVet(t, h, "", activities.VetInput{Signal: signals.Approve, Ordinal: 1, Digest: activities.Digest(data), Sender: true})
	require.ErrorContains(t, err, "connection refused")
	h.broken = nil
	const verified = "approvals: {groups: {soc: [ann]}, trust: verified}"
	_, err = tryVet(t, h, verified, activities.VetInput{Signal: signals.Freeze, Ordinal: 1, Digest: activities.Digest(data), Member: "ann"})
	require.ErrorContains(t, err, "signal freeze number 1 is not in the history", "nor is it whose it claims to be")
}

func TestAGuardThatCannotBeAskedAllowsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.activities.Guard = unanswering{}
	_, err := run[activities.Vetting](b, a.Vet, activities.VetInput{Signal: signals.Approve, Ordinal: 1, Freeze: true})
	require.ErrorContains(t, err, "ask whether containment is frozen: no answer")
	_, err = run[activities.Execution](b, a.ExecuteAction, kill())
	require.ErrorContains(t, err, "ask whether containment is frozen: no answer")
	retried(t, err)
	require.Empty(t, b.sysdig.Ledger())
}

func TestTheSenderOfASignalIsWhomTheServerAuthenticated(t *testing.T) {
	t.Parallel()
	var h histories
	h.signaled(signals.Approve, "jwt", "ann")
	h.signaled(signals.Reject, "jwt", "bob")
	h.signaled(signals.Approve, "", "")
	h.signaled(signals.Approve, "temporal", "internal") // of a batch
	h.signaled(signals.Approve, "jwt", "carl")
	for ordinal, want := range []string{"ann", "", "", "carl"} {
		found := vet(t, h, "", activities.VetInput{Signal: signals.Approve, Ordinal: ordinal + 1, Sender: true})
		require.Equal(t, want, found.Principal, "approval %d", ordinal+1)
		require.Nil(t, found.Frozen, "nobody asked")
	}
	found := vet(t, h, "", activities.VetInput{Signal: signals.Reject, Ordinal: 1, Sender: true, Freeze: true})
	require.Equal(t, activities.Vetting{
		Principal: "bob", SentAt: noon.Add(time.Minute), Frozen: &signals.Frozen{By: "bob", Reason: "maintenance", Since: noon},
	}, found)
}

func TestASignalThatAResetTookOverIsNobodys(t *testing.T) {
	t.Parallel()
	var h histories
	h.signaled(signals.Approve, "jwt", "ann")
	h.events = append(h.events, &history.HistoryEvent{
		EventType: enums.EVENT_TYPE_WORKFLOW_TASK_FAILED,
		Attributes: &history.HistoryEvent_WorkflowTaskFailedEventAttributes{
			WorkflowTaskFailedEventAttributes: &history.WorkflowTaskFailedEventAttributes{Cause: enums.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW},
		},
	})
	h.signaled(signals.Approve, "jwt", "ann") // mallory's, as ann reset
	h.events = append(h.events, &history.HistoryEvent{EventType: enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED})
	h.signaled(signals.Approve, "jwt", "bob")
	h.events = append(h.events, &history.HistoryEvent{ // as when a worker dies
		EventType: enums.EVENT_TYPE_WORKFLOW_TASK_FAILED,
		Attributes: &history.HistoryEvent_WorkflowTaskFailedEventAttributes{
			WorkflowTaskFailedEventAttributes: &history.WorkflowTaskFailedEventAttributes{Cause: enums.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE},
		},
	})
	h.signaled(signals.Approve, "jwt", "carl")
	for ordinal, want := range []string{"ann", "", "bob", "carl"} {
		found := vet(t, h, "", activities.VetInput{Signal: signals.Approve, Ordinal: ordinal + 1, Sender: true})
		require.Equal(t, want, found.Principal, "approval %d", ordinal+1)
	}
}

func TestWhoMayFreezeIsUpToTheWorkersTrust(t *testing.T) {
	t.Parallel()
	var h histories
	h.signaled(signals.Freeze, "jwt", "mallory")
	h.signaled(signals.Freeze, "jwt", "ann")
	h.signaled(signals.Freeze, "", "")
	for name, test := range map[string]struct {
		trust   string
		ordinal int
		claimed string
		want    activities.Vetting
	}{
		"open":                 {"", 1, "ann", activities.Vetting{Principal: "ann"}},
		"listed":               {"listed", 1, "ann", activities.Vetting{Principal: "ann"}},
		"not listed":           {"listed", 1, "eve", activities.Vetting{Principal: "eve", Refused: `analyst "eve" is not entitled: not in the list of approvers`}},
		"verified":             {"verified", 2, "ceo", activities.Vetting{Principal: "ann", SentAt: noon.Add(time.Minute)}},
		"verified, not listed": {"verified", 1, "ann", activities.Vetting{Principal: "mallory", SentAt: noon, Refused: `analyst "mallory" is not entitled: not in the list of approvers`}},
		"not verified":         {"verified", 3, "ann", activities.Vetting{SentAt: noon.Add(2 * time.Minute), Refused: `unverified: the Temporal server has not authenticated its sender, who claims to be "ann"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			yaml := ""
			if test.trust != "" {
				yaml = "approvals: {groups: {soc: [ann]}, trust: " + test.trust + "}"
			}
			require.Equal(t, test.want, vet(t, h, yaml, activities.VetInput{Signal: signals.Freeze, Ordinal: test.ordinal, Member: test.claimed}))
		})
	}
}

func TestNothingIsContainedWhileItIsFrozen(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.activities.Guard = frozenBy("bob")
	_, err := run[activities.Execution](b, a.ExecuteAction, kill())
	require.Equal(t, activities.ErrFrozen, final(t, err))
	require.ErrorContains(t, err, "containment is frozen by bob since 2026-05-01T12:00:00Z: maintenance")
	require.Empty(t, b.sysdig.Ledger())
	_, err = run[activities.Capture](b, a.CreateCapture, captureOfNode())
	require.NoError(t, err, "a capture contains nothing")
}

func TestNothingIsDoneThatTheWorkersConfigurationDoesNotPermit(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	b.activities.Approvals = rules(t, "approvals: {trust: listed, groups: {soc: [ann, bob]}}")
	in := kill()
	in.Claim.ApprovedBy = []string{"mallory"}
	in.Claim.Trust = signals.TrustListed
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrNotPermitted, final(t, err))
	var demanded incident.Approval
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.NoError(t, app.Details(&demanded))
	require.Equal(t, incident.ModeOne, demanded.Mode)
	capture := captureOfNode()
	capture.Claim = in.Claim
	_, err = run[activities.Capture](b, a.CreateCapture, capture)
	require.Equal(t, activities.ErrNotPermitted, final(t, err))
	require.Empty(t, b.sysdig.Ledger())
	in.Claim.ApprovedBy = []string{"ann"}
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
}
