package incident

import (
	"strings"
	"unicode"
)

// wrapping are the keys under which senders put the messages that they pass on, as
// plainKey writes them. No other key is searched: in texts of people, commands and
// other systems anybody can plant a text that looks like a message and names a
// container to kill. For the same reason a text counts only if all of it is JSON,
// or a log header and JSON, and no message is searched for further messages. A
// sender whose envelope is not read yet needs its keys here, or in encodedKeys.
var wrapping = []string{
	// Splunk: the webhook alert action and the HTTP event collector.
	"result", "results", "raw", "event", "fields",
	// Elasticsearch, Watcher, Kibana and Elastic's integrations.
	"hits", "hit", "source", "original", "message", "messages", "sysdig", "falco", "alert", "alerts", "payload", "ctx",
	// Microsoft Sentinel (incident trigger and playbooks) and Azure Monitor (common alert schema).
	"object", "properties", "additionaldata", "customdetails", "extendedproperties", "alertcontext", "searchresults", "tables",
	"rawdata", "rawevent", "rawmessage", "value", "values", "row", "rows",
	// Azure Event Hubs and Logic Apps.
	"contentdata",
	// Amazon SNS, SQS, EventBridge, Kinesis, Firehose and CloudWatch Logs.
	"records", "record", "sns", "kinesis", "detail", "awslogs", "logevents",
	// Google Pub/Sub and Cloud Logging, and CloudEvents.
	"data", "receivedmessages", "jsonpayload", "textpayload",
	// OpenTelemetry (OTLP/HTTP logs).
	"resourcelogs", "scopelogs", "logrecords", "body",
	// Graylog: HTTP notifications and GELF.
	"backlog", "shortmessage", "fullmessage",
	// Loki: streams that Promtail and Alloy push.
	"streams",
	// Sumo Logic: the results among a webhook's variables.
	"resultsjson", "rawresultsjson", "aggregateresultsjson",
	// Container logs: Docker's drivers, Azure Monitor's tables ContainerLog and
	// ContainerLogV2, Fluent Bit; Logstash, Wazuh.
	"log", "line", "logentry", "logmessage", "logprocessed", "logs", "rawlog", "rawlogs", "fulllog", "eventoriginal",
	// QRadar and Chronicle playbooks, and those of other products: their authors
	// choose the shape.
	"offense", "finding", "findings", "incident", "notification", "attachment", "attachments", "document", "documents",
	"details", "eventdata", "events", "item", "items", "msg", "originalevent", "payloads", "utf8payload",
}

// originals are those of the wrapping keys that hold a message as it was
// received, beside what was made of it.
var originals = []string{"original", "originalevent", "eventoriginal", "raw", "rawdata", "rawevent", "rawlog", "rawmessage", "fulllog"}

// plainKey is a key without what senders vary: its case, and the characters
// between its words ("_", "-", "@", "." and blanks).
func plainKey(k string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-@.", r) || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, k))
}
