package incident_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

// limit is the starter's default for a body.
const limit = 1 << 20

// batch is about a MiB of forwarder events, each with an ID of its own.
func batch(t testing.TB) []byte {
	t.Helper()
	var events []map[string]any
	require.NoError(t, json.Unmarshal(payload(t, "forwarder-stratum-batch.json"), &events))
	var body bytes.Buffer
	for n := 0; body.Len() < limit-8<<10; n++ {
		events[0]["id"] = fmt.Sprintf("%032x", n)
		one, err := json.Marshal(events[0])
		require.NoError(t, err)
		body.Write(append(one, '\n'))
	}
	return body.Bytes()
}

// asText is a document with the body as a text.
func asText(t testing.TB, key string, body []byte) []byte {
	t.Helper()
	document, err := json.Marshal(map[string]any{"result": map[string]any{key: string(body)}})
	require.NoError(t, err)
	return document
}

// A body that was made to be expensive costs a few times its size, in time and
// in memory, and not its square. The bounds are far above what it takes, and
// far below a square. It is not parallel, for it counts what the whole process
// allocates.
func TestABodyMadeToBeExpensiveIsNot(t *testing.T) {
	many := func(format string, size int) string {
		var b strings.Builder
		for n := 0; b.Len() < size; n++ {
			if n > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, n)
		}
		return b.String()
	}
	nested := func(text string, times int) string {
		for range times {
			encoded, err := json.Marshal(map[string]string{"message": text})
			require.NoError(t, err)
			text = string(encoded)
		}
		return text
	}
	const half = limit / 2
	long := strings.Repeat("k", half/60)
	for name, body := range map[string]string{
		"dotted keys":                  `{` + many(`"content.fields.%d":"x"`, limit) + `}`,
		"dotted keys without end":      `{"` + strings.Repeat("a.", half) + `":1}`,
		"many columns":                 `{"a{}.x":[` + strings.Repeat("1,", half) + `1],` + many(`"a{}.c%d":1`, half) + `}`,
		"long keys around many labels": `{"type":"policy","originator":"x","content":{},"labels":` + strings.Repeat(`{"`+long+`":`, 60) + `{` + many(`"%d":"x"`, half) + `}` + strings.Repeat("}", 60) + `}`,
		"an array of numbers":          `{"data":[` + strings.Repeat("1,", half) + `1]}`,
		"an array of arrays":           `{"data":[` + many(`[{"data":[%d]}]`, limit) + `]}`,
		"texts in texts":               nested(`{"a":"`+strings.Repeat("x", limit/2)+`"}`, 6),
		"texts that are nearly JSON":   `{"data":[` + many(`"{\"data\":[%d}"`, limit) + `]}`,
		"more messages than are taken": `{"data":[` + many(`{"type":"command","agentId":%d}`, limit) + `]}`,
		"many policy events":           `{"alert":{},"state":"","entities":[{"policyEvents":[` + strings.Repeat("1,", half) + `1]}]}`,
		"a policy for every event":     `{"alert":{},"state":"","entities":[{"policies":[` + many(`{"id":%d}`, half) + `],"policyEvents":[` + many(`{"policyId":"none %d","severity":0,"containerId":"","ruleName":""}`, half) + `]}]}`,
		"dotted keys one in another":   strings.Repeat(`{"raw.event":`, 30) + `{}` + strings.Repeat("}", 30),
		"a long key around many":       `{"message` + strings.Repeat("_", half) + `":[` + strings.Repeat("{},", half/3) + `{}]}`,
		"a table of many rows":         `{"columns":[{"name":"a.b"}],"rows":[` + strings.Repeat("[1],", limit/4) + `[]]}`,
		"many compressed records":      `{"records":[` + strings.Repeat(`{"data":`+quoted(encode(zip(t, "{}")))+`},`, limit/60) + `{}]}`,
		"many bombs":                   `{"records":[` + strings.Repeat(`{"data":`+quoted(encode(zip(t, strings.Repeat(" ", limit))))+`},`, limit/1500) + `{}]}`,
		"many lines of a log":          strings.Repeat("<1>Aug  7 13:49:16 n t: {}\n", 20_000),
		"a header without end":         `{"message":` + quoted("<1>1 - - - - - "+strings.Repeat(`[a b="c"]`, limit/12)) + `}`,
		"many texts with headers":      `{"data":[` + strings.Repeat(quoted("<1>Aug  7 13:49:16 n t: {x")+",", limit/30) + `1]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := incident.Parse([]byte(body))
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		require.NoError(t, err, name)
		t.Logf("%s: %s and %d KiB for %d KiB", name, took, (after.TotalAlloc-before.TotalAlloc)>>10, len(body)>>10)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256*limit), name)
		require.Less(t, took, 10*time.Second, name)
	}
}

func BenchmarkParse(b *testing.B) {
	body := batch(b)
	for _, bench := range []struct {
		name string
		body []byte
	}{
		{"Forwarder", body},
		{"SplunkRaw", asText(b, "_raw", body)},
		{"Unknown", asText(b, "note", body)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			for b.Loop() {
				events, err := incident.Parse(bench.body)
				require.NoError(b, err)
				require.NotEmpty(b, events)
			}
		})
	}
}
