package s3server_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/dev/internal/resident"
	"firebreak/internal/evidence"
)

const (
	// putVariable makes the test's binary store a large object in the store that
	// its value names, and nothing else: its memory is then that of storing.
	putVariable = "S3SERVER_TEST_PUT"
	large       = 500 << 20
	// most is how much larger a process may become by that.
	most = 32 << 20
)

// put is what such a process has done.
type put struct {
	File  evidence.File
	Grown int64
}

func putBig(url string) int {
	done, err := putLarge(context.Background(), url)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(done)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func putLarge(ctx context.Context, url string) (put, error) {
	store, err := evidence.Open(ctx, url)
	if err != nil {
		return put{}, err
	}
	defer store.Close()
	// What the first object takes is no matter of size.
	if _, err := store.Put(ctx, "small", "", body(1000)); err != nil {
		return put{}, err
	}
	before, err := resident.Now(os.Getpid())
	if err != nil {
		return put{}, err
	}
	file, err := store.Put(ctx, "large", "", body(large))
	if err != nil {
		return put{}, err
	}
	peak, err := resident.Peak(os.Getpid())
	return put{file, peak - before}, err
}

func TestALargeObjectTakesNoMoreMemoryThanItsParts(t *testing.T) {
	s, store := start(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), putVariable+"="+s.EvidenceURL())
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	require.NoError(t, err)
	var done put
	require.NoError(t, json.Unmarshal(output, &done))
	t.Logf("grown by %d KiB", done.Grown>>10)
	require.Less(t, done.Grown, int64(most))

	hash := sha256.New()
	_, err = io.Copy(hash, body(large))
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(hash.Sum(nil)), done.File.SHA256)
	objects, err := store.List(t.Context(), "large")
	require.NoError(t, err)
	require.Equal(t, int64(large), objects[0].Size)
}
