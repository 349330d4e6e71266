package starter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"firebreak/signals"
)

// firehoseRequestID is the header that Amazon Data Firehose sends with every request
// to an HTTP endpoint.
const firehoseRequestID = "X-Amz-Firehose-Request-Id"

// maxFirehoseMessage bounds an error message to Firehose, in bytes. Firehose takes at
// most 8192 characters.
const maxFirehoseMessage = 8000

// firehose is a request of Amazon Data Firehose to an HTTP endpoint ("HTTP endpoint
// delivery request and response specifications" in its documentation). Firehose
// takes only status 200 with the ID of its request for success, and repeats the batch
// otherwise.
type firehose struct {
	// requestID is the request's ID as it was sent; "" for every other sender.
	requestID string
}

// recognise takes the ID of the request from the body, if that has Firehose's shape.
func (f *firehose) recognise(body []byte) {
	if !bytes.Contains(body, []byte(`"requestId"`)) {
		return
	}
	var request struct {
		RequestID string `json:"requestId"`
		Records   []struct {
			Data json.RawMessage `json:"data"`
		} `json:"records"`
	}
	if json.Unmarshal(body, &request) == nil && len(request.Records) > 0 && request.Records[0].Data != nil {
		f.requestID = cmp.Or(request.RequestID, f.requestID)
	}
}

// attributes are what the log says of the request.
func (f *firehose) attributes() []any {
	if f.requestID == "" {
		return nil
	}
	return []any{"firehose_request_id", signals.Clip(f.requestID, 128)}
}

// write answers the request, and returns the status. Firehose drops a batch that it
// gets 413 for, without a copy in its error bucket. Therefore it gets 400 instead: it
// repeats the batch and then writes it to the bucket.
func (f *firehose) write(w http.ResponseWriter, p *problem) int {
	answer := struct {
		RequestID    string `json:"requestId"`
		Timestamp    int64  `json:"timestamp"` // in milliseconds
		ErrorMessage string `json:"errorMessage,omitempty"`
	}{RequestID: f.requestID, Timestamp: time.Now().UnixMilli()}
	status := http.StatusOK
	if p != nil {
		status, answer.ErrorMessage = p.Status, signals.Clip(p.Detail, maxFirehoseMessage)
		if p.header[0] != "" {
			w.Header().Set(p.header[0], p.header[1])
		}
	}
	if status == http.StatusRequestEntityTooLarge {
		status = http.StatusBadRequest
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return status // texts always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the status is sent: nothing is left to do for a sender that went away
	return status
}
