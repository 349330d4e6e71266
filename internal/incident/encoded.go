package incident

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"slices"
)

// maxExpanded bounds the bytes that the compressed texts of one body expand to,
// together.
const maxExpanded = 8 << 20

// encodedKey is a key of an envelope whose value is base64. Beside it the envelope
// has one of the given other keys, or it lies in an array under one of the given
// keys. All keys are plain (see plainKey).
type encodedKey struct {
	key            string
	beside, within []string
}

// encodedKeys are those of the envelopes that are known. No other text is taken for
// base64.
var encodedKeys = []encodedKey{
	// Google Pub/Sub: the message of a push, or of a pull.
	{key: "data", beside: []string{"messageid", "publishtime"}},
	// Amazon Data Firehose: its requests to an HTTP endpoint and to a function.
	{key: "data", within: []string{"records"}},
	// Amazon Kinesis: its records, also in the events of a function.
	{key: "data", beside: []string{"sequencenumber", "partitionkey"}},
	// Amazon CloudWatch Logs: a subscription's event of a function.
	{key: "data", within: []string{"awslogs"}},
	// Azure Event Hubs: the trigger of a logic app, and a captured event.
	{key: "contentdata", beside: []string{"systemproperties", "properties", "contenttype", "sequencenumber"}},
	{key: "body", beside: []string{"enqueuedtimeutc", "systemproperties", "offset"}},
	// Azure Logic Apps: content that is no JSON.
	{key: "$content", beside: []string{"$contenttype"}},
	// CloudEvents: data that is no JSON.
	{key: "database64", beside: []string{"specversion"}},
}

// encodedIn returns the keys of o whose values are base64. parent is the plain key
// under which o was found, itself or in an array.
func encodedIn(o object, parent string) []string {
	var plain, found []string
	for k := range o {
		plain = append(plain, plainKey(k))
	}
	for k, v := range o {
		if text, is := v.(string); !is || text == "" {
			continue
		}
		name := plainKey(k)
		if slices.ContainsFunc(encodedKeys, func(e encodedKey) bool {
			return e.key == name && (slices.Contains(e.within, parent) ||
				slices.ContainsFunc(e.beside, func(other string) bool { return slices.Contains(plain, other) }))
		}) {
			found = append(found, k)
		}
	}
	slices.Sort(found)
	return found
}

// expander decodes base64, and decompresses within the limit of a body.
type expander struct {
	left int64
	// z is used for every text, because each reader has a large buffer.
	z gzip.Reader
}

// decode returns the text that s encodes, decompressed if it is gzip. It fails if
// s is anything but standard base64 of text or of gzip, or over the limit.
func (e *expander) decode(s string) (string, bool) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", false
	}
	if !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		return string(raw), true
	}
	if err := e.z.Reset(bytes.NewReader(raw)); err != nil {
		return "", false
	}
	expanded, err := io.ReadAll(io.LimitReader(&e.z, e.left+1))
	e.left -= int64(len(expanded))
	if err != nil || e.left < 0 {
		e.left = max(e.left, 0)
		return "", false
	}
	return string(expanded), true
}
