package starter_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"firebreak/starter"
)

// deliver sends a request to a webhook through a real server and returns the status.
func deliver(t *testing.T, w *webhook, method, body string, header http.Header) int {
	t.Helper()
	server := httptest.NewServer(w)
	defer server.Close()
	var content io.Reader = strings.NewReader(body)
	if header.Get("Transfer-Encoding") != "" {
		content = io.MultiReader(content) // of unknown length
		header.Del("Transfer-Encoding")
	}
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/v1/events/sysdig", content)
	require.NoError(t, err)
	r.Header = header
	r.Header.Set("Authorization", "Bearer "+secret)
	response, err := server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

func TestFormsOfOneRequest(t *testing.T) {
	t.Parallel()
	one := event("1", "Miner", "6949e5f10829", 2)
	var wide bytes.Buffer
	for _, unit := range utf16.Encode([]rune("\ufeff" + one)) {
		wide.Write([]byte{byte(unit), byte(unit >> 8)})
	}
	cloudEvent := `{"specversion":"1.0","type":"falco","source":"s","id":"i","datacontenttype":"application/json","data":` + one + `}`
	for name, tc := range map[string]struct {
		method, body string
		header       http.Header
		want         int
	}{
		"JSON with a charset":       {"POST", one, http.Header{"Content-Type": {"application/json; charset=utf-8"}}, 202},
		"NDJSON":                    {"POST", one + "\n", http.Header{"Content-Type": {"application/x-ndjson"}}, 202},
		"text":                      {"POST", one, http.Header{"Content-Type": {"text/plain; charset=UTF-8"}}, 202},
		"a line of a log":           {"POST", "<2>Aug  7 13:49:16 n falco: " + strings.ReplaceAll(one, "\n\t\t", ""), http.Header{"Content-Type": {"text/plain"}}, 202},
		"no type":                   {"POST", one, http.Header{}, 202},
		"structured CloudEvents":    {"POST", cloudEvent, http.Header{"Content-Type": {"application/cloudevents+json"}}, 202},
		"a batch of CloudEvents":    {"POST", array(cloudEvent), http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, 202},
		"binary CloudEvents":        {"POST", one, http.Header{"Content-Type": {"application/json"}, "Ce-Id": {"1"}, "Ce-Specversion": {"1.0"}}, 202},
		"another suffix of JSON":    {"POST", one, http.Header{"Content-Type": {"application/vnd.example+json"}}, 202},
		"gzip":                      {"POST", compress(t, one), http.Header{"Content-Encoding": {"gzip"}}, 202},
		"chunked":                   {"POST", one, http.Header{"Transfer-Encoding": {"chunked"}}, 202},
		"expecting to continue":     {"POST", one, http.Header{"Expect": {"100-continue"}}, 202},
		"a form":                    {"POST", one, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 415},
		"bytes":                     {"POST", one, http.Header{"Content-Type": {"application/octet-stream"}}, 415},
		"deflate":                   {"POST", one, http.Header{"Content-Encoding": {"deflate"}}, 415},
		"zstd":                      {"POST", one, http.Header{"Content-Encoding": {"zstd"}}, 415},
		"br":                        {"POST", one, http.Header{"Content-Encoding": {"br"}}, 415},
		"gzip that is not declared": {"POST", compress(t, one), http.Header{}, 400},
		"UTF-16":                    {"POST", wide.String(), http.Header{"Content-Type": {"application/json; charset=utf-16"}}, 400},
		"PUT":                       {"PUT", one, http.Header{}, 405},
		"GET":                       {"GET", "", http.Header{}, 405},
		"HEAD":                      {"HEAD", "", http.Header{}, 405},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t)
			require.Equal(t, tc.want, deliver(t, w, tc.method, tc.body, tc.header))
			if tc.want == http.StatusAccepted {
				require.Equal(t, []string{"1"}, w.temporal.toldTo("crypto-miner:node-1:6949e5f10829"))
			} else {
				require.Empty(t, w.temporal.calls)
			}
		})
	}
}

// batch is a request of Firehose with the given records.
func batch(records ...string) string {
	encoded := make([]string, len(records))
	for i, r := range records {
		encoded[i] = fmt.Sprintf(`{"data":%q}`, base64.StdEncoding.EncodeToString([]byte(r)))
	}
	return `{"requestId":"ed4acda5-034f-9f42-bba1-f29aea6d7d8f","timestamp":1578090901599,"records":[` + strings.Join(encoded, ",") + `]}`
}

// hosed is an answer to Firehose: the only type, a length, and the ID as it was sent.
func hosed(t *testing.T, recorder *httptest.ResponseRecorder, status int) (message string) {
	t.Helper()
	require.Equal(t, status, recorder.Code, recorder.Body)
	require.Equal(t, "application/json", recorder.Header().Get("Content-Type"))
	require.Equal(t, fmt.Sprint(recorder.Body.Len()), recorder.Header().Get("Content-Length"))
	require.Empty(t, recorder.Header().Get("Content-Encoding"))
	var answer map[string]any
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &answer))
	require.Equal(t, "ed4acda5-034f-9f42-bba1-f29aea6d7d8f", answer["requestId"])
	at := time.UnixMilli(int64(answer["timestamp"].(float64)))
	require.WithinDuration(t, time.Now(), at, time.Hour, "in milliseconds")
	message, failed := answer["errorMessage"].(string)
	require.Equal(t, status != http.StatusOK, failed)
	return message
}

func TestFirehoseGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	one, two := event("1", "Miner", "6949e5f10829", 2), event("2", "Miner", "aaaaaaaaaaaa", 2)
	id := func(r *http.Request) {
		r.Header.Set("X-Amz-Firehose-Request-Id", "ed4acda5-034f-9f42-bba1-f29aea6d7d8f")
	}
	for name, change := range map[string]func(*http.Request){"with its header": id, "by the body alone": func(*http.Request) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t)
			hosed(t, w.post(t, batch(one, two), change), http.StatusOK)
			require.Equal(t, []string{"1"}, w.temporal.toldTo("crypto-miner:node-1:6949e5f10829"))
			require.Equal(t, []string{"2"}, w.temporal.toldTo("crypto-miner:node-1:aaaaaaaaaaaa"))
			hosed(t, w.post(t, batch(one, two), change), http.StatusOK)
			w.counted(t, "duplicate", 2)
			hosed(t, w.post(t, batch("hello"), change), http.StatusOK)
			w.counted(t, "quarantined", 1)
			require.Contains(t, w.metrics(t), `firebreak_webhook_requests_total{code="200",source="sysdig"} 3`)
		})
	}
}

func TestFirehoseGetsTheReasonOfAFailure(t *testing.T) {
	t.Parallel()
	one := event("1", "Miner", "6949e5f10829", 2)
	id := func(r *http.Request) {
		r.Header.Set("X-Amz-Firehose-Request-Id", "ed4acda5-034f-9f42-bba1-f29aea6d7d8f")
	}
	for name, tc := range map[string]struct {
		body   string
		status int
		says   string
		change func(*http.Request)
	}{
		"no secret":      {batch(one), 401, "expected", func(r *http.Request) { r.Header.Del("Authorization") }},
		"no such source": {batch(one), 404, "no source", func(r *http.Request) { r.URL.Path = "/v1/events/other" }},
		"malformed":      {batch(one)[1:], 400, "byte 0", func(*http.Request) {}},
		"an encoding":    {batch(one), 415, "expected gzip", func(r *http.Request) { r.Header.Set("Content-Encoding", "br") }},
		"a type":         {batch(one), 415, "expected application/json", func(r *http.Request) { r.Header.Set("Content-Type", strings.Repeat("x", 10_000)) }},
		"too large":      {batch(strings.Repeat(" ", 1<<20)), 400, "over the limit", func(*http.Request) {}},
		"another method": {batch(one), 405, "", func(r *http.Request) { r.Method = http.MethodPut }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWebhook(t)
			message := hosed(t, w.post(t, tc.body, id, tc.change), tc.status)
			require.LessOrEqual(t, len(message), 8192)
			if name != "no secret" && name != "a type" {
				require.Contains(t, message, tc.says)
			}
			require.Contains(t, w.log.String(), `"firehose_request_id":"ed4acda5-034f-9f42-bba1-f29aea6d7d8f"`)
			require.Empty(t, w.temporal.calls)
		})
	}
	w := newWebhook(t)
	w.temporal.failing(true)
	recorder := w.post(t, batch(one))
	require.Contains(t, hosed(t, recorder, http.StatusServiceUnavailable), "could be stored")
	require.NotEmpty(t, recorder.Header().Get("Retry-After"))

	w = newWebhook(t)
	w.quarantine.err = errors.New("disk full")
	hosed(t, w.post(t, batch("hello")), http.StatusServiceUnavailable)
}

func TestOtherSendersDoNotGetFirehosesAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no records":         `{"requestId":"1","timestamp":1}`,
		"empty records":      `{"requestId":"1","records":[]}`,
		"records of a kind":  `{"requestId":"1","records":[{"body":"x"}]}`,
		"an ID of a kind":    `{"requestId":1,"records":[{"data":""}]}`,
		"in an array":        `[` + batch("x") + `]`,
		"twice":              batch("x") + batch("y"),
		"records without ID": `{"records":[{"data":"eA=="}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accepted(t, newWebhook(t).post(t, body))
		})
	}
}

// The URL is chosen by the owner of the sender's topic, which may be an attacker.
func TestSubscriptionIsQuarantinedAndItsURLIsNotFetched(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer server.Close()
	w := newWebhook(t)
	body := fmt.Sprintf(`{"Type":"SubscriptionConfirmation","MessageId":"1","Token":"2336412f37","TopicArn":"arn:aws:sns:eu-west-1:111122223333:sysdig",
		"Message":"You have chosen to subscribe.","SubscribeURL":"%[1]s/?Action=ConfirmSubscription","SigningCertURL":"%[1]s/cert.pem"}`, server.URL)
	answer := accepted(t, w.post(t, body, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain; charset=UTF-8") }))
	require.Equal(t, starter.Answer{Received: 1, Opened: []starter.Reference{}, Joined: []starter.Reference{}, Quarantined: 1}, answer)
	require.Contains(t, w.log.String(), "objects quarantined")
	for _, kept := range w.quarantine.files {
		require.Contains(t, kept, server.URL+"/?Action=ConfirmSubscription")
	}
	require.Len(t, w.quarantine.files, 1)
	require.Zero(t, fetched.Load())
}
