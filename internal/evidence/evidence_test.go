package evidence_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"firebreak/internal/evidence"
)

// open opens a store below a directory that does not exist yet.
func open(t *testing.T) (*evidence.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "evidence")
	store, err := evidence.Open(t.Context(), "file://"+dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store, dir
}

// files lists every file on the disk, whatever the store says.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return found
}

func TestUnsupportedURLsAreRefusedByName(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"ftp://bucket":        `scheme "ftp" is not supported: want file:///directory, s3://bucket, gs://bucket or azblob://container`,
		"/var/lib/evidence":   `URL "/var/lib/evidence": want file:///directory`,
		"s3://bucket/folder":  `URL "s3://bucket/folder": want s3://NAME, and a folder of it as ?prefix=folder/`,
		"gs:///folder":        `want gs://NAME`,
		"s3://bucket?bogus=1": "bogus",
		"file:///x?bogus=yes": "bogus",
	} {
		_, err := evidence.Open(t.Context(), url)
		require.ErrorContains(t, err, want)
	}
}

func TestPrefixIsReadableAndOneDirectoryPerID(t *testing.T) {
	t.Parallel()
	require.Equal(t, "crypto-miner:node-1:6949e5f10829/run/", evidence.Prefix("crypto-miner:node-1:6949e5f10829", "run"))
	require.Equal(t, "a%2Fb%25/run/", evidence.Prefix("a/b%", "run"))
	seen := map[string]string{}
	for _, id := range []string{"", ".", "..", "%2E%", "a/b", "a%2Fb", "../x", strings.Repeat("h", 300), strings.Repeat("h", 301)} {
		prefix := evidence.Prefix(id, "run")
		require.Equal(t, 2, strings.Count(prefix, "/"), prefix)
		require.NotContains(t, seen, prefix, "%q and %q share a directory", id, seen[prefix])
		require.Less(t, len(prefix), 250)
		seen[prefix] = id
	}
}

func TestPutStoresUnderTheReadablePathAndHashes(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	key := evidence.Prefix("capture:node-1:host", "run-1") + "report.md"
	file, err := store.Put(t.Context(), key, "text/markdown", strings.NewReader("hello\n"))
	require.NoError(t, err)
	require.Equal(t, evidence.File{
		Name: "report.md", Size: 6,
		SHA256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
	}, file)
	require.Equal(t, []string{"capture:node-1:host/run-1/report.md"}, files(t, dir))

	r, err := store.Get(t.Context(), key)
	require.NoError(t, err)
	defer r.Close()
	body, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(body))
}

func TestAnInterruptedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	ctx, cancel := context.WithCancel(t.Context())
	for name, tc := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		want error
	}{
		"the reader fails":         {t.Context(), io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), iotest.ErrReader(lost)), lost},
		"the reader fails at once": {t.Context(), iotest.ErrReader(lost), lost},
		"the body is cut":          {t.Context(), io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		"the context ends while reading": {ctx, io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), readerFunc(func(p []byte) (int, error) {
			cancel()
			return copy(p, "more"), nil
		})), context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dir := open(t)
			_, err := store.Put(tc.ctx, "a/capture.scap", "", tc.r)
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, `store evidence "a/capture.scap"`)
			require.Empty(t, files(t, dir), "neither the object nor a temporary file may remain")
		})
	}
}

func TestAFailedPutLeavesTheOlderObject(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	_, err := store.Put(t.Context(), "a", "", strings.NewReader("old"))
	require.NoError(t, err)
	_, err = store.Put(t.Context(), "a", "", io.MultiReader(strings.NewReader("new"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	require.Error(t, err)
	body, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Equal(t, "old", string(body))
}

func TestPutStreamsWithBoundedMemory(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	store, dir := open(t)
	var before, during runtime.MemStats
	runtime.ReadMemStats(&before)
	want := sha256.New()
	left := int64(size)
	body := io.TeeReader(readerFunc(func(p []byte) (int, error) {
		if left == 0 {
			runtime.ReadMemStats(&during)
			return 0, io.EOF
		}
		n := int(min(int64(len(p)), left))
		binary.LittleEndian.PutUint64(p[:8], uint64(left)) // different content all along
		left -= int64(n)
		return n, nil
	}), want)
	file, err := store.Put(t.Context(), "big", "application/octet-stream", body)
	require.NoError(t, err)
	require.Equal(t, int64(size), file.Size)
	require.Equal(t, hex.EncodeToString(want.Sum(nil)), file.SHA256)
	info, err := os.Stat(filepath.Join(dir, "big"))
	require.NoError(t, err)
	require.Equal(t, int64(size), info.Size())
	require.Less(t, during.TotalAlloc-before.TotalAlloc, uint64(16<<20), "the whole body must not pass through the heap")
}

func TestCheckCaptureRefusesWhatIsNoCapture(t *testing.T) {
	t.Parallel()
	little := "\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1arest"
	big := "\x0a\x0d\x0d\x0a\x00\x00\x00\x1c\x1a\x2b\x3c\x4drest"
	for name, tc := range map[string]struct{ body, want string }{
		"a capture":                     {little, ""},
		"a capture in big endian":       {big, ""},
		"a compressed capture":          {"\x1f\x8b\x08rest", ""},
		"an error page":                 {"<!doctype html><html>502</html>", `begins with "<!doctype html><"`},
		"JSON":                          {`{"errors":[]}`, "want the section header"},
		"nothing":                       {"", "it is empty"},
		"a header that is cut":          {little[:10], "want the section header"},
		"a block without a magic":       {strings.Replace(little, "\x1a", "\x1b", 1), "want the section header"},
		"a magic without a block":       {"x" + little[1:], "want the section header"},
		"a block type in the other end": {"\x0a\x0d\x0a\x0d" + little[4:], "want the section header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := evidence.CheckCapture([]byte(tc.body))
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestUnfinishedFilesOfAKilledProcessAreNoEvidence(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	_, err := store.Put(t.Context(), "id/run/capture.scap", "", readerFunc(func([]byte) (int, error) {
		// What is on the disk now is what a process killed here would leave.
		left := files(t, dir)
		require.Len(t, left, 1)
		body, err := os.ReadFile(filepath.Join(dir, left[0]))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, left[0]+"copy.tmp"), body, 0o600))

		keys, err := store.List(t.Context(), "id/run/")
		require.NoError(t, err)
		require.Empty(t, keys)
		_, err = store.Get(t.Context(), left[0])
		require.ErrorContains(t, err, "unfinished")
		return 0, io.EOF
	}))
	require.NoError(t, err)
	require.Len(t, files(t, dir), 2)
	keys, err := store.List(t.Context(), "id/run/")
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.Equal(t, "id/run/capture.scap", keys[0].Key)
	_, err = store.Put(t.Context(), "id/run/x.tmp", "", strings.NewReader(""))
	require.ErrorContains(t, err, "unfinished")
}

func TestTheRunsOfAnIncidentAreListedLatestFirst(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	const id = "capture:node-1:host"
	for i, key := range []string{
		evidence.Prefix(id, "run-1") + "a.scap", evidence.Prefix(id, "run-2") + "b.scap", evidence.Prefix(id, "run-3") + "c.scap",
		evidence.Prefix(id, "run-1") + "report.md", evidence.Prefix(id+"2", "run-4") + "other.scap",
	} {
		_, err := store.Put(t.Context(), key, "", strings.NewReader(key))
		require.NoError(t, err)
		at := time.Unix(int64(1000*i), 0)
		require.NoError(t, os.Chtimes(filepath.Join(dir, key), at, at))
	}
	runs, err := store.Runs(t.Context(), id)
	require.NoError(t, err)
	var got []string
	for _, run := range runs {
		got = append(got, fmt.Sprint(run.ID, " ", len(run.Objects)))
	}
	require.Equal(t, []string{"run-1 2", "run-3 1", "run-2 1"}, got)
	require.EqualValues(t, len(runs[1].Objects[0].Key), runs[1].Objects[0].Size)

	none, err := store.Runs(t.Context(), "capture:node-9:host")
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestAManifestComesBackAndVerifies(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	const id, run = "capture:node-1:host", "run-1"
	file, err := store.Put(t.Context(), evidence.Prefix(id, run)+"capture.scap", "", strings.NewReader("content"))
	require.NoError(t, err)
	at := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	want := evidence.Manifest{
		WorkflowID: id, RunID: run, IncidentID: "event-1", Outcome: "captured", CreatedAt: at,
		Files: []evidence.Item{{File: file, CaptureID: "42", ApprovedBy: []string{"ann"}, StoredAt: at}},
	}
	_, err = store.WriteManifest(t.Context(), want)
	require.NoError(t, err)
	got, err := store.ReadManifest(t.Context(), id, run)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
	raw, err := os.ReadFile(filepath.Join(dir, id, run, "manifest.json"))
	require.NoError(t, err)
	for _, key := range []string{"workflow_id", "run_id", "outcome", "created_at", "files", "name", "size", "sha256", "capture_id", "approved_by", "stored_at"} {
		require.Contains(t, string(raw), `"`+key+`":`)
	}

	require.NoError(t, store.Verify(t.Context(), id, run, file))
	require.NoError(t, os.WriteFile(filepath.Join(dir, id, run, "capture.scap"), []byte("CONTENT"), 0o600))
	require.ErrorContains(t, store.Verify(t.Context(), id, run, file), `verify "capture.scap": 7 bytes, SHA-256`)
	require.NoError(t, os.Remove(filepath.Join(dir, id, run, "capture.scap")))
	require.Error(t, store.Verify(t.Context(), id, run, file))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
