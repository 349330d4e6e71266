package incident_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
)

const minerID = "18000000000000000000000000000001"

// outcomes are the recognised events of a body by ID, and the number of the others.
func outcomes(t *testing.T, body string) (ids []string, unrecognised int) {
	t.Helper()
	events, err := incident.Parse([]byte(body))
	require.NoError(t, err)
	for i := range events {
		require.True(t, json.Valid(events[i].Raw))
		if events[i].Adapter == "" {
			unrecognised++
		} else {
			ids = append(ids, events[i].Incident.ID)
		}
	}
	return ids, unrecognised
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// zip is gzip of a text.
func zip(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

// logHeaders are headers that log daemons and runtimes write before a message.
func logHeaders() map[string]string {
	return map[string]string{
		"RFC 3164":                        "<134>Aug  7 13:49:16 node-1 falco[1]: ",
		"RFC 3164 without priority":       "Aug 17 13:49:16 node-1 falco[4711]: ",
		"RFC 3164 without a process":      "<134>Aug  7 13:49:16 node_1.example.com falco: ",
		"RFC 3164 with a year":            "<134>Aug  7 2024 13:49:16 10.0.0.1 falco: ",
		"RFC 3164 without a host":         "<134>Aug  7 13:49:16 falco[1]: ",
		"RFC 3164 without a tag":          "<134>Aug  7 13:49:16 node-1 ",
		"RFC 3164 without a blank":        "<134>Aug  7 13:49:16 node-1 falco:",
		"RFC 3164 with an IPv6 address":   "<134>Aug  7 13:49:16 fe80::1%eth0 falco: ",
		"RFC 3339 time":                   "<2>2024-08-07T13:49:16Z a72f9a747cf8 Falco[1]: ",
		"RFC 3339 time without priority":  "2024-08-07T13:49:16.123456+02:00 node-1 sysdig-agent: ",
		"byte order mark first":           "\ufeff<134>Aug  7 13:49:16 node-1 falco: ",
		"RFC 5424":                        "<165>1 2024-08-07T13:49:16.003Z node-1 falco 1 ID47 - ",
		"RFC 5424 without priority":       "1 2024-08-07T13:49:16.003Z node-1 falco 1 ID47 - ",
		"RFC 5424 of nil values":          "<165>1 - - - - - - ",
		"RFC 5424 with a byte order mark": "<165>1 2024-08-07T13:49:16Z node-1 falco - - - \ufeff",
		"RFC 5424 with structured data":   `<165>1 2024-08-07T13:49:16Z node-1 falco - - [a@1 k="v" l="x \"y\" \] \\ {"][b@2] `,
		"RFC 5424 with data and a mark":   `<165>1 2024-08-07T13:49:16Z node-1 falco - - [timeQuality tzKnown="1"] ` + "\ufeff",
		"RFC 5424 with JSON in its data":  `<165>1 2024-08-07T13:49:16Z node-1 falco - - [a@1 k="{\"rule\":1}"] `,
		"CRI":                             "2016-10-06T00:17:09.669794202Z stdout F ",
		"CRI of another stream":           "2016-10-06T00:17:09.669794202+02:00 stderr F ",
		"CRI with further tags":           "2016-10-06T00:17:09.669794202Z stdout F:other ",
	}
}

func TestMessageBehindLogHeader(t *testing.T) {
	t.Parallel()
	event := miner(t)
	want := *one(t, []byte(event))
	for name, header := range logHeaders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, key := range []string{"message", "log", "full_log", "event.original", "rawEvent"} {
				events, err := incident.Parse([]byte(`{"` + key + `":` + quoted(header+event+"\n") + `}`))
				require.NoError(t, err)
				require.Len(t, events, 1)
				require.Equal(t, "sysdig-forwarder", events[0].Adapter, key)
				require.Empty(t, cmp.Diff(want, events[0].Incident))
			}
			events, err := incident.Parse([]byte(header + event + "\r\n\n" + header + `{"type":"command","agentId":1}`))
			require.NoError(t, err)
			require.Len(t, events, 2)
			require.Empty(t, cmp.Diff(want, events[0].Incident))
			require.JSONEq(t, event, string(events[0].Raw))
			require.NotEmpty(t, events[1].Ignored)
		})
	}
}

func TestLogLinesMayBePlainJSON(t *testing.T) {
	t.Parallel()
	ids, unrecognised := outcomes(t, "<2>Aug  7 13:49:16 n falco: {\"x\":1}\n"+miner(t)+"\n")
	require.Equal(t, []string{minerID}, ids)
	require.Equal(t, 1, unrecognised)
}

// Text around JSON is a log header only in its exact form, at the very beginning,
// with one value behind it. Everything else can be written by an attacker who
// chooses a command line.
func TestPlantedMessageIsNotReadBehindOtherText(t *testing.T) {
	t.Parallel()
	event := miner(t)
	const header = "<134>Aug  7 13:49:16 node-1 falco[1]: "
	for name, text := range map[string]string{
		"two values":                     header + event + event,
		"two lines":                      header + event + "\n" + event,
		"a value and text":               header + event + " done",
		"text before the header":         "x " + header + event,
		"a blank before the header":      " " + header + event,
		"text before JSON":               header + "run " + event,
		"a quoted value":                 header + "'" + event + "'",
		"JSON as JSON text":              header + quoted(event),
		"two headers":                    header + header + event,
		"only a time":                    "2024-08-07T13:49:16Z " + event,
		"a time and a word":              "2024-08-07T13:49:16Z exec " + event,
		"a time and a command":           "2024-08-07T13:49:16Z ran curl -d " + event,
		"a time and a sentence":          "Aug  7 13:49:16 node-1 user ran: " + event,
		"a command behind the tag":       "Aug  7 13:49:16 node-1 sudo: bob : COMMAND=/bin/echo " + event,
		"a word behind the tag":          "Aug  7 13:49:16 sudo: bob: " + event,
		"a word behind tag and priority": "<13>Aug  7 13:49:16 sudo: bob: " + event,
		"no time":                        "<134>node-1 falco: " + event,
		"no month":                       "<134>Xyz  7 13:49:16 node-1 falco: " + event,
		"a priority alone":               "<134>" + event,
		"RFC 5424 with a field less":     "<165>1 2024-08-07T13:49:16Z node-1 falco - - " + event,
		"RFC 5424 with open data":        `<165>1 2024-08-07T13:49:16Z node-1 falco - - [a@1 k="v" ` + event,
		"JSON in structured data":        `<165>1 2024-08-07T13:49:16Z node-1 falco - - [a@1 k=` + quoted(event) + `] text`,
		"CRI of no stream":               "2016-10-06T00:17:09.669794202Z stdin F " + event,
		"CRI without tags":               "2016-10-06T00:17:09.669794202Z stdout " + event,
		"text that nests too deep":       header + `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `,"event":` + event + `}`,
		"JSON of a text that is a line":  header + `{"cmdline":` + quoted(header+event) + `}`,
	} {
		ids, unrecognised := outcomes(t, `{"message":`+quoted(text)+`}`)
		require.Empty(t, ids, name)
		require.Equal(t, 1, unrecognised, name)
	}
	ids, _ := outcomes(t, `{"message":`+quoted(header+`{"type":"command","agentId":1,"message":`+event+`}`)+`}`)
	require.Equal(t, []string{""}, ids, "a recognised message is not searched")
	ids, unrecognised := outcomes(t, `{"cmdline":`+quoted(header+event)+`}`)
	require.Empty(t, ids, "a key of no wrapper")
	require.Equal(t, 1, unrecognised)
}

func TestLineThatIsNoMessageIsRefusedWithItsByte(t *testing.T) {
	t.Parallel()
	const header = "<134>Aug  7 13:49:16 node-1 falco: "
	for body, offset := range map[string]int{
		header + `{"a":1} x`:                         len(header) + 7,
		header + `{"a":1}` + "\n" + header + "text":  len(header) + 8,
		"\n" + header + `{"a":1}` + "\n\n" + `{"b":`: len(header) + 15,
		header + `[{"a":1}]`:                         len(header),
		header + `{"a":1}{"b":1}`:                    len(header) + 7,
		"\xef\xbb\xbf" + header + `{"a":}`:           len(header) + 8,
		header + `{"a":` + strings.Repeat("[", 1001): len(header) + 5 + 999,
	} {
		_, err := incident.Parse([]byte(body))
		var malformed *incident.MalformedError
		require.ErrorAs(t, err, &malformed, "%.80s", body)
		require.EqualValues(t, offset, malformed.Offset, "%.80s: %s", body, malformed.Reason)
	}
}

// envelopes of base64, with a place for the text.
func encodedEnvelopes() map[string]string {
	return map[string]string{
		"Pub/Sub push":             `{"message":{"data":%s,"messageId":"1","publishTime":"t"},"subscription":"s"}`,
		"Pub/Sub push, snake case": `{"message":{"data":%s,"message_id":"1","publish_time":"t"},"subscription":"s"}`,
		"Pub/Sub pull":             `{"receivedMessages":[{"ackId":"a","message":{"data":%s,"messageId":"1"}}]}`,
		"Firehose endpoint":        `{"requestId":"r","timestamp":1,"records":[{"data":%s}]}`,
		"Firehose function":        `{"invocationId":"i","deliveryStreamArn":"a","records":[{"recordId":"1","approximateArrivalTimestamp":1,"data":%s}]}`,
		"Kinesis records":          `{"Records":[{"Data":%s,"PartitionKey":"k","SequenceNumber":"1"}],"NextShardIterator":"n"}`,
		"Kinesis record":           `{"Data":%s,"PartitionKey":"k","SequenceNumber":"1"}`,
		"Lambda of Kinesis":        `{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"k","sequenceNumber":"1","data":%s},"eventSource":"aws:kinesis"}]}`,
		"Lambda of CloudWatch":     `{"awslogs":{"data":%s}}`,
		"Event Hubs trigger":       `[{"ContentData":%s,"Properties":{},"SystemProperties":{"SequenceNumber":1}}]`,
		"Event Hubs binary":        `{"ContentData":{"$content-type":"application/octet-stream","$content":%s},"SystemProperties":{}}`,
		"Event Hubs capture":       `{"SequenceNumber":1,"Offset":"2","EnqueuedTimeUtc":"t","SystemProperties":{},"Properties":{},"Body":%s}`,
		"CloudEvents":              `{"specversion":"1.0","type":"t","source":"s","id":"i","data_base64":%s}`,
	}
}

func TestEncodedDataOfKnownEnvelopes(t *testing.T) {
	t.Parallel()
	event := miner(t)
	other := strings.ReplaceAll(event, minerID, "18000000000000000000000000000002")
	logs := `{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":1,"message":` + quoted(event) + `}]}`
	for name, envelope := range encodedEnvelopes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for form, text := range map[string]string{
				"JSON":               encode(event),
				"JSON and a break":   encode(event + "\n"),
				"an array":           encode("[" + event + "]"),
				"gzip":               encode(zip(t, event)),
				"lines twice":        encode(event + "\n" + event),
				"a line of a log":    encode("<134>Aug  7 13:49:16 node-1 falco: " + event),
				"CloudWatch Logs":    encode(zip(t, logs)),
				"plain, not encoded": event,
			} {
				ids, unrecognised := outcomes(t, fmt.Sprintf(envelope, quoted(text)))
				if form == "plain, not encoded" && strings.Contains(envelope, "$content") || form == "plain, not encoded" && name == "CloudEvents" {
					continue
				}
				require.Equal(t, []string{minerID}, ids, form)
				require.Zero(t, unrecognised, form)
			}
			ids, _ := outcomes(t, fmt.Sprintf(envelope, quoted(encode(zip(t, event+"\n"+other+"\n")))))
			require.Len(t, ids, 2)
			for form, text := range map[string]string{
				"text":               encode("hello"),
				"base64 of base64":   encode(encode(event)),
				"gzip of gzip":       encode(zip(t, zip(t, event))),
				"JSON and more":      encode(event + " more"),
				"base64 and more":    encode(event) + "!",
				"base64 in a text":   "data: " + encode(event),
				"cut base64":         encode(event)[:41],
				"cut gzip":           encode(zip(t, event)[:100]),
				"binary":             encode("\x00\x01\xff"),
				"JSON of other kind": encode(`{"a":1}`),
				"a key of its own":   encode(`{"cmdline":` + quoted(event) + `}`),
				"too deep":           encode(`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `,"event":` + event + `}`),
				"a bomb":             encode(zip(t, event+strings.Repeat(" ", 9<<20))),
				"JSON text of JSON":  encode(quoted(event)),
			} {
				ids, unrecognised := outcomes(t, fmt.Sprintf(envelope, quoted(text)))
				require.Empty(t, ids, form)
				require.Equal(t, 1, unrecognised, form)
			}
		})
	}
}

func TestBase64ElsewhereStaysText(t *testing.T) {
	t.Parallel()
	event := miner(t)
	for name, body := range map[string]string{
		"data of no envelope":         `{"data":` + quoted(encode(event)) + `}`,
		"a message":                   `{"message":` + quoted(encode(event)) + `}`,
		"an event":                    `{"event":{"original":` + quoted(encode(event)) + `}}`,
		"body of no event hub":        `{"body":` + quoted(encode(event)) + `,"messageId":"1"}`,
		"a list":                      `{"records":[` + quoted(encode(event)) + `]}`,
		"inside a recognised message": `{"type":"command","agentId":1,"message":{"data":` + quoted(encode(event)) + `,"messageId":"1"}}`,
		"under a key of no wrapper":   `{"note":{"data":` + quoted(encode(event)) + `,"messageId":"1"}}`,
	} {
		events, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		require.Len(t, events, 1, name)
		require.NotEqual(t, minerID, events[0].Incident.ID, name)
	}
}

// Nested envelopes are read as deep as texts are, and no deeper.
func TestEncodedEnvelopesNestWithinLimit(t *testing.T) {
	t.Parallel()
	nested := func(times int) string {
		text := miner(t)
		for range times {
			text = `{"message":{"data":` + quoted(encode(text)) + `,"messageId":"1"}}`
		}
		return text
	}
	for times, found := range map[int]bool{1: true, 4: true, 5: false, 12: false} {
		ids, _ := outcomes(t, nested(times))
		require.Equal(t, found, len(ids) == 1, times)
	}
}

// The limit is one for the whole body, so that many small bombs are as harmless as
// one.
func TestExpandedSizeIsLimitedPerBody(t *testing.T) {
	t.Parallel()
	bomb := `{"records":[{"data":` + quoted(encode(zip(t, miner(t)+strings.Repeat(" ", 3<<20)))) + `}]}` + "\n"
	ids, unrecognised := outcomes(t, strings.Repeat(bomb, 5))
	require.Len(t, ids, 2)
	require.Equal(t, 3, unrecognised)
	ids, unrecognised = outcomes(t, `{"records":[{"data":`+quoted(encode(zip(t, strings.Repeat(" ", 9<<20))))+`},{"data":`+quoted(encode(miner(t)))+`}]}`)
	require.Equal(t, []string{minerID}, ids, "a bomb hides nothing")
	require.Equal(t, 1, unrecognised)
}

// A record, level or key that is not read must not be lost because another is.
func TestDocumentReadInPartIsKeptWhole(t *testing.T) {
	t.Parallel()
	event := miner(t)
	ml := string(payload(t, "event-miner-ml.json"))
	for name, body := range map[string]string{
		"a record of text":      `{"records":[{"data":` + quoted(encode(event)) + `},{"data":` + quoted(encode("text")) + `}]}`,
		"a line of a record":    `{"records":[{"data":` + quoted(encode(event+"\n"+`{"a":1}`)) + `}]}`,
		"a record of no base64": `{"records":[{"data":` + quoted(encode(event)) + `},{"data":"###"}]}`,
		"a level too deep":      `{"event":` + event + `,"alert":` + strings.Repeat(`{"data":`, 33) + ml + strings.Repeat("}", 33) + `}`,
		"a text too deep":       `{"event":` + event + `,"message":` + quoted(`{"message":`+quoted(`{"message":`+quoted(`{"message":`+quoted(`{"message":`+quoted(ml)+`}`)+`}`)+`}`)+`}`) + `}`,
		"a key of no wrapper":   `{"event":` + event + `,"evidence":[{"copy":` + ml + `}]}`,
	} {
		events, err := incident.Parse([]byte(body))
		require.NoError(t, err)
		require.Len(t, events, 2, name)
		require.Equal(t, minerID, events[0].Incident.ID, name)
		require.Empty(t, events[1].Adapter, name)
		require.Equal(t, body, string(events[1].Raw), name)
	}
	for name, body := range map[string]string{
		"a record without data":                 `{"records":[{"data":` + quoted(encode(event)) + `},{"data":""}]}`,
		"a record that is there twice":          `{"records":[{"data":` + quoted(encode(event)) + `},{"data":` + quoted(encode(event)) + `}]}`,
		"the same message under another key":    `{"event":` + event + `,"copy":` + event + `}`,
		"a text that only looks like a message": `{"event":` + event + `,"cmdline":` + quoted(ml) + `}`,
		"every encoding of one message": `{"event":` + event + `,"message":` + quoted(event) + `,"log":` + quoted("2016-10-06T00:17:09Z stdout F "+event) +
			`,"records":[{"data":` + quoted(encode(zip(t, event))) + `}],"body":{"stringValue":` + quoted(event) + `}}`,
	} {
		ids, unrecognised := outcomes(t, body)
		require.Equal(t, []string{minerID}, ids, name)
		require.Zero(t, unrecognised, name)
	}
}

// Envelopes as their products' documentation has them, with a place for the event
// as JSON text.
func TestEnvelopesByDocumentation(t *testing.T) {
	t.Parallel()
	event := miner(t)
	for name, envelope := range map[string]string{
		"Graylog notification": `{"event_definition_id":"1","event":{"id":"2","message":"Miner","source":"graylog","fields":{}},
			"backlog":[{"index":"graylog_0","id":"3","timestamp":"t","source":"node-1","message":%s,"fields":{"level":2}}]}`,
		"GELF":                    `{"version":"1.1","host":"node-1","short_message":%s,"level":2,"_container":"falco"}`,
		"GELF, full message":      `{"version":"1.1","host":"node-1","short_message":"Falco","full_message":%s}`,
		"Loki push":               `{"streams":[{"stream":{"app":"falco"},"values":[["1720031001000000000",%s]]}]}`,
		"Loki query":              `{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["1720031001000000000",%s]]}]}}`,
		"Watcher payload":         `{"hits":{"total":1,"hits":[{"_index":"falco","_id":"1","_source":{"message":%s}}]}}`,
		"Watcher context":         `{"ctx":{"watch_id":"w","payload":{"hits":{"hits":[{"_source":{"event":{"original":%s}}}]}}}}`,
		"Sumo Logic results":      `{"name":"Miner","ResultsJson":[{"_raw":%s}]}`,
		"Azure Monitor":           azureMonitor("RawData"),
		"Azure Monitor, flat":     `{"schemaId":"azureMonitorCommonAlertSchema","data":{"alertContext":{"SearchResults":{"tables":[{"columns":[{"name":"Raw_Data"}],"rows":[[%s]]}]}}}}`,
		"Sentinel custom details": `{"object":{"properties":{"alerts":[{"properties":{"additionalData":{"Custom Details":{"Raw Event":[%s]}}}}]}}}`,
		"OTLP":                    `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":%s}}]}]}]}`,
		"OTLP, snake case":        `{"resource_logs":[{"scope_logs":[{"log_records":[{"body":{"string_value":%s}}]}]}]}`,
		"OTLP, a list":            `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":%s}]}}}]}]}]}`,
		"OTLP, a map":             `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[{"key":"log","value":{"stringValue":%s}}]}}}]}]}]}`,
		"CloudWatch Logs":         `{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":1,"message":%s}]}`,
		"Firehose of plain logs":  `{"requestId":"r","timestamp":1,"records":[{"data":{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","message":%s}]}}]}`,
		"SQS in a function":       `{"Records":[{"messageId":"1","body":%s,"eventSource":"aws:sqs"}]}`,
		"SNS in a function":       `{"Records":[{"EventSource":"aws:sns","Sns":{"Type":"Notification","Message":%s}}]}`,
		"Cloud Logging":           `{"insertId":"1","resource":{"type":"k8s_container"},"logName":"l","timestamp":"t","textPayload":%s}`,
		"Cloud Logging, parsed":   `{"insertId":"1","logName":"l","jsonPayload":{"message":%s}}`,
		"ContainerLogV2":          `{"tables":[{"name":"PrimaryResult","columns":[{"name":"PodName"},{"name":"LogMessage"}],"rows":[["falco-1",%s]]}]}`,
		"ContainerLog":            `{"Computer":"node-1","ContainerID":"c","LogEntry":%s,"LogEntrySource":"stdout"}`,
		"Docker for Splunk":       `{"time":"1","host":"node-1","event":{"line":%s,"source":"stdout","tag":"t"}}`,
		"QRadar payload":          `{"offense":{"id":1},"events":[{"utf8_payload":%s}]}`,
		"EventBridge":             `{"version":"0","detail-type":"t","source":"s","detail":{"message":%s}}`,
	} {
		ids, unrecognised := outcomes(t, fmt.Sprintf(envelope, quoted(event)))
		require.Equal(t, []string{minerID}, ids, name)
		require.Zero(t, unrecognised, name)
	}
}

// azureMonitor is a log alert of the common alert schema with a row of two columns.
func azureMonitor(column string) string {
	return `{"schemaId":"azureMonitorCommonAlertSchema","data":{"essentials":{"alertId":"a","signalType":"Log"},"alertContext":{
		"SearchQuery":"Falco_CL","ResultCount":1,"IncludedSearchResults":"True","SearchResults":{"tables":[{"name":"PrimaryResult",
		"columns":[{"name":"TimeGenerated","type":"datetime"},{"name":"` + column + `","type":"string"}],
		"rows":[["2024-07-03T18:23:22Z",%s]]}],"dataSources":[]}}}}`
}

// The names of columns and keys decide, wherever they stand.
func TestOtherColumnsAndKeysAreNotSearched(t *testing.T) {
	t.Parallel()
	event := miner(t)
	for name, envelope := range map[string]string{
		"a column of commands":       azureMonitor("CommandLine"),
		"an attribute of OTLP":       `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"},"attributes":[{"key":"message","value":{"stringValue":%s}}]}]}]}]}`,
		"a key of an OTLP map":       `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[{"key":"cmdline","value":{"stringValue":%s}}]}}}]}]}]}`,
		"a custom detail":            `{"object":{"properties":{"alerts":[{"properties":{"additionalData":{"Custom Details":{"CommandLine":[%s]}}}}]}}}`,
		"a label of an alert":        `{"alerts":[{"labels":{"cmdline":%s}}]}`,
		"a label of a Loki stream":   `{"streams":[{"stream":{"message":%s},"values":[["1","text"]]}]}`,
		"a field of a Graylog alert": `{"event":{"fields":{"cmdline":%s}}}`,
	} {
		ids, unrecognised := outcomes(t, fmt.Sprintf(envelope, quoted(event)))
		require.Empty(t, ids, name)
		require.Equal(t, 1, unrecognised, name)
	}
}

func TestOTLPMapIsTheMessage(t *testing.T) {
	t.Parallel()
	ids, _ := outcomes(t, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[
		{"key":"id","value":{"stringValue":"7"}},{"key":"type","value":{"stringValue":"policy"}},{"key":"originator","value":{"stringValue":"policy"}},
		{"key":"severity","value":{"intValue":"2"}},{"key":"content","value":{"kvlistValue":{"values":[{"key":"ruleName","value":{"stringValue":"r"}}]}}}
	]}}}]}]}]}`)
	require.Equal(t, []string{"7"}, ids)
}

func TestKeysCompareWithoutCaseAndSeparators(t *testing.T) {
	t.Parallel()
	event := quoted(miner(t))
	for _, key := range []string{
		"Custom Details", "Custom  Details", "custom_details", "custom-details", "CUSTOM.DETAILS", "@custom details", "customDetails",
		"_Custom-Details.", "Custom\tDetails", "Custom\u00a0Details",
	} {
		for _, inner := range []string{"Raw Event", "raw.event", "RAW_EVENT", "rawEvent", "@raw-event"} {
			ids, unrecognised := outcomes(t, `{`+quoted(key)+`:`+quoted(`{`+quoted(inner)+`:[`+event+`]}`)+`}`)
			require.Equal(t, []string{minerID}, ids, "%s, %s", key, inner)
			require.Zero(t, unrecognised)
		}
	}
	ids, _ := outcomes(t, `{"Custom/Details":`+event+`}`)
	require.Empty(t, ids)
}
