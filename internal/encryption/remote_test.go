package encryption_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"firebreak/internal/encryption"
)

// The path of a codec server may be the secret that lets in, and Temporal keeps in
// the clear why a task was handed back.
func TestNobodyIsToldTheEndpointOfACodecServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "cannot POST "+r.URL.Path, http.StatusNotFound)
	}))
	defer server.Close()
	sealed := encode(t, open(t, newFile(t)), "x")
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:1/p-hunter2":        "connection refused",
		"http://ann:hunter2@127.0.0.1:1/x":    "connection refused",
		server.URL + "/p-hunter2":             "Not Found: cannot POST /…/decode",
		"http://127.0.0.1:1/p-hunter2/\x7f/x": "invalid control character",
	} {
		f := &frontend{activityTask: &workflowservice.PollActivityTaskQueueResponse{TaskToken: []byte("a"), Input: payloads(sealed)}}
		_, err := connect(t, f, encryption.Remote(endpoint, "", "n")).WorkflowService().PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{})
		require.NoError(t, err)
		require.Contains(t, f.failedActivity.GetFailure().GetMessage(), want)
		require.NotContains(t, f.failedActivity.String(), "hunter2")
	}
}
