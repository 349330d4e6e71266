package signals_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"firebreak/signals"
)

func raw(data string) converter.RawValue {
	return converter.NewRawValue(&commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(data)})
}

func TestADecisionIsReadAsItWasTyped(t *testing.T) {
	t.Parallel()
	d, err := signals.DecodeDecision(raw(` {"analyst":" ann ","reason":"confirmed\n","request":"9cb5aa86463c"} `))
	require.NoError(t, err)
	require.Equal(t, signals.Decision{Analyst: "ann", Reason: "confirmed", Request: "9cb5aa86463c"}, d)
}

func TestABadDecisionSaysWhatIsWrongAndWhatIsAccepted(t *testing.T) {
	t.Parallel()
	const want = `: want {"analyst":"ann","reason":"confirmed"}`
	for data, message := range map[string]string{
		``:                                  "no data" + want,
		`null`:                              "data is null" + want,
		`"approve"`:                         `data is a string, "approve"` + want,
		`-1.5`:                              "data is a number, -1.5" + want,
		`[{}]`:                              "data is an array" + want,
		`false`:                             "data is false" + want,
		`yes`:                               "data is not JSON, yes" + want,
		`{"analyst":{}}`:                    `field "analyst" is a object` + want,
		`{"analyst":"ann","approved":true}`: `unknown field "approved"` + want,
		`{"analyst":"ann"`:                  "unexpected EOF" + want,
		`{"analyst":"ann"} {}`:              `more data after the object: want just {"analyst":"ann","reason":"confirmed"}`,
		`{}`:                                `field "analyst" is missing or empty: want the name of who decides`,
		`{"analyst":"  "}`:                  `field "analyst" is missing or empty: want the name of who decides`,
	} {
		t.Run(data, func(t *testing.T) {
			t.Parallel()
			_, err := signals.DecodeDecision(raw(data))
			require.EqualError(t, err, message)
		})
	}
	_, err := signals.DecodeDecision(converter.RawValue{})
	require.EqualError(t, err, "no data"+want)
	_, err = signals.DecodeDecision(converter.NewRawValue(&commonpb.Payload{
		Metadata: map[string][]byte{"encoding": []byte("binary/encrypted")}, Data: []byte("{}"),
	}))
	require.EqualError(t, err, "data is encrypted, and the key that it names does not open it"+want)
}

func TestAnInstructionSaysWhoAndWhy(t *testing.T) {
	t.Parallel()
	i, err := signals.DecodeInstruction(raw(` {"analyst":" ann ","reason":" a false alarm\n"} `))
	require.NoError(t, err)
	require.Equal(t, signals.Instruction{Analyst: "ann", Reason: "a false alarm"}, i)
	const want = `: want {"analyst":"ann","reason":"a false alarm"}`
	for data, message := range map[string]string{
		``:                                   "no data" + want,
		`"freeze"`:                           `data is a string, "freeze"` + want,
		`{"analyst":"ann","why":"x"}`:        `unknown field "why"` + want,
		`{"reason":"x"}`:                     `field "analyst" is missing or empty: want the name of who decides`,
		`{"analyst":" ","reason":"x"}`:       `field "analyst" is missing or empty: want the name of who decides`,
		`{"analyst":"ann"}`:                  `field "reason" is missing or empty: want why, for the war room`,
		`{"analyst":"ann","reason":"\t \n"}`: `field "reason" is missing or empty: want why, for the war room`,
		`{"analyst":"` + strings.Repeat("a", 5000) + `","reason":"x"}`: `field "analyst" has 5000 bytes: want at most 128`,
	} {
		i, err := signals.DecodeInstruction(raw(data))
		require.EqualError(t, err, message)
		require.Zero(t, i)
	}
}

func TestAnAmendmentTakesTextAndNumbers(t *testing.T) {
	t.Parallel()
	a, err := signals.DecodeAmendment(raw(`{"analyst":"ann","fields":{"process.pid":9007199254740993,"host.id":" h "}}`))
	require.NoError(t, err)
	require.Equal(t, map[string]signals.Scalar{"process.pid": "9007199254740993", "host.id": "h"}, a.Fields)
	for _, value := range []string{"true", "null", "[]", "{}"} {
		_, err := signals.DecodeAmendment(raw(`{"analyst":"ann","fields":{"host.id":` + value + `}}`))
		require.ErrorContains(t, err, "want a string or a number", value)
	}
}

func TestANewerStarterMaySendMoreThanIsKnown(t *testing.T) {
	t.Parallel()
	batch, err := signals.DecodeEvents(raw(`{"events":[{"id":"event-1","severity":0,"new":1}],"duplicates":2,"new":{}}`))
	require.NoError(t, err)
	require.Equal(t, 2, batch.Duplicates)
	require.Equal(t, "event-1", batch.Events[0].ID)
}

func FuzzNoPayloadPanics(f *testing.F) {
	for _, data := range []string{``, `{`, `{"analyst":"ann"}`, `{"fields":{"a":1}}`, `{"events":[{}]}`, `"x"`} {
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data string) {
		_, _ = signals.DecodeDecision(raw(data))
		_, _ = signals.DecodeInstruction(raw(data))
		_, _ = signals.DecodeNote(raw(data))
		_, _ = signals.DecodeAmendment(raw(data))
		_, _ = signals.DecodeEvents(raw(data))
	})
}
