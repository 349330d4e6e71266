package starter

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"firebreak/internal/incident"
	"firebreak/signals"
)

// historian is a Temporal client that knows one history.
type historian struct {
	client.Client
	events []*history.HistoryEvent
}

func (h *historian) GetWorkflowHistory(context.Context, string, string, bool, enums.HistoryEventFilterType) client.HistoryEventIterator {
	return &iterator{h.events}
}

type iterator struct{ left []*history.HistoryEvent }

func (i *iterator) HasNext() bool { return len(i.left) > 0 }

func (i *iterator) Next() (*history.HistoryEvent, error) {
	event := i.left[0]
	i.left = i.left[1:]
	return event, nil
}

func TestWhatAClosedIncidentWasToldIsReadFromItsHistory(t *testing.T) {
	t.Parallel()
	payloads := func(v any) *common.Payloads {
		encoded, err := converter.GetDefaultDataConverter().ToPayloads(v)
		require.NoError(t, err)
		return encoded
	}
	signal := func(name string, input *common.Payloads) *history.HistoryEvent {
		return &history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &history.WorkflowExecutionSignaledEventAttributes{SignalName: name, Input: input},
		}}
	}
	f := signals.FingerprintOf("before it moved on")
	carried, err := json.Marshal(map[string]any{"seen": f[:]})
	require.NoError(t, err)
	h := &historian{events: []*history.HistoryEvent{
		{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{Input: payloads(signals.Input{Carried: carried})},
		}},
		signal(signals.Events, nil),
		signal(signals.Events, payloads("no batch")),
		signal(signals.Events, payloads(signals.EventBatch{Events: []incident.Incident{{ID: "1"}, {ID: "2"}}})),
		signal("another", payloads(signals.EventBatch{Events: []incident.Incident{{ID: "3"}}})),
		signal(signals.Events, payloads(signals.EventBatch{Events: []incident.Incident{{ID: "4"}}, Repeated: []signals.Repeat{{ID: "5", Times: 1}}})),
	}}
	told, err := temporal{h}.Told(t.Context(), "crypto-miner:a:b", "run", map[string]int{
		"before it moved on": 0, "2": 0, "3": 0, "4": 1, "5": 0, "never": 0,
	})
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"before it moved on": true, "2": true, "4": true}, told)
}
