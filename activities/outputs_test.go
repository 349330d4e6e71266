package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
)

func TestURLsAmongOutputsAreStoredWithoutWhatSignsThem(t *testing.T) {
	t.Parallel()
	const signed, bare = "https://user:planted@bucket.s3.amazonaws.com/logs.gz?X-Amz-Signature=planted", "https://bucket.s3.amazonaws.com/logs.gz"
	require.Equal(t, map[string]any{
		"url": bare, "text": "logs are at " + bare + " for an hour", "lines": []any{bare, int64(7)},
		"nested": map[string]any{"json": `{"url":"` + bare + `"}`}, "path": "/tmp/a?b=c", "done": true, "mail": "ann@example.com",
	}, activities.Unsigned(map[string]any{
		"url": signed, "text": "logs are at " + signed + " for an hour", "lines": []any{signed + "#planted", int64(7)},
		"nested": map[string]any{"json": `{"url":"` + signed + `"}`}, "path": "/tmp/a?b=c", "done": true, "mail": "ann@example.com",
	}))
}
