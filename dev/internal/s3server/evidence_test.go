package s3server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/dev/internal/s3server"
	"firebreak/internal/evidence"
	"firebreak/internal/sysdig/sysdigtest"
)

// start starts a server, and opens an evidence store in its bucket.
func start(t *testing.T) (*s3server.Server, *evidence.Store) {
	t.Helper()
	s, err := s3server.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s, open(t, s.EvidenceURL())
}

func open(t *testing.T, url string) *evidence.Store {
	t.Helper()
	store, err := evidence.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// files lists every file in the bucket's folder, those of uploads that are not
// complete too.
func files(t *testing.T, s *s3server.Server) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(s.Bucket(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, strings.TrimPrefix(path, s.Bucket()+"/"))
		}
		return err
	}))
	return found
}

// objects lists every object in the bucket's folder.
func objects(t *testing.T, s *s3server.Server) []string {
	t.Helper()
	return slices.DeleteFunc(files(t, s), func(name string) bool { return strings.HasPrefix(name, ".sgwtmp/") })
}

// body is content of size bytes.
func body(size int64) *io.SectionReader { return sysdigtest.CaptureReader(7, size) }

// several is a size that S3 gets in several parts.
const several = 17<<20 + 5

func TestEvidenceInS3IsStoredListedAndVerified(t *testing.T) {
	t.Parallel()
	s, store := start(t)
	ctx := t.Context()
	const id, run = "capture:node-1:host", "0e4b1f0c-run"
	manifest := evidence.Manifest{WorkflowID: id, RunID: run, Outcome: "captured", CreatedAt: time.Unix(1, 0).UTC()}
	for _, f := range []struct {
		name string
		size int64
	}{{"c.scap", several}, {"nothing", 0}, {"one part", 5 << 20}, {"report.md", 100}} {
		file, err := store.Put(ctx, evidence.Prefix(id, run)+f.name, "", body(f.size))
		require.NoError(t, err)
		require.Equal(t, f.size, file.Size)
		manifest.Files = append(manifest.Files, evidence.Item{File: file, StoredAt: time.Unix(2, 0).UTC()})
	}
	_, err := store.WriteManifest(ctx, manifest)
	require.NoError(t, err)

	got, err := store.ReadManifest(ctx, id, run)
	require.NoError(t, err)
	require.Equal(t, manifest, got)
	for _, file := range got.Files {
		require.NoError(t, store.Verify(ctx, id, run, file.File))
	}
	runs, err := store.Runs(ctx, id)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.Equal(t, run, runs[0].ID)
	require.Len(t, runs[0].Objects, 5)
	require.Equal(t, int64(several), runs[0].Objects[0].Size)

	stored := filepath.Join(s.Bucket(), id, run, "c.scap")
	require.NoError(t, os.WriteFile(stored, []byte("changed"), 0o600))
	require.Error(t, store.Verify(ctx, id, run, got.Files[0].File))

	inside := open(t, s.EvidenceURL()+"&prefix=a/b/")
	_, err = inside.Put(ctx, "x", "", strings.NewReader("hello"))
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(s.Bucket(), "a", "b", "x"))
	_, err = store.Put(ctx, "x.tmp", "", strings.NewReader(""))
	require.ErrorContains(t, err, "unfinished")
}

func TestAnInterruptedPutLeavesNothingInS3(t *testing.T) {
	t.Parallel()
	s, store := start(t)
	var forgotten int32
	s.SetFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") {
			atomic.AddInt32(&forgotten, 1)
		}
		next.ServeHTTP(w, r)
	})
	lost := errors.New("connection lost")
	for name, size := range map[string]int64{"at once": 0, "in the first part": 1 << 20, "in the fourth": several} {
		_, err := store.Put(t.Context(), "c.scap", "", io.MultiReader(body(size), iotest.ErrReader(lost)))
		require.ErrorIs(t, err, lost, name)
		require.Empty(t, objects(t, s), name)

		ctx, cancel := context.WithCancel(t.Context())
		_, err = store.Put(ctx, "c.scap", "", io.MultiReader(body(size), readerFunc(func([]byte) (int, error) {
			cancel()
			return 1, nil
		})))
		require.ErrorIs(t, err, context.Canceled, name)
		require.Empty(t, objects(t, s), name)
	}
	require.EqualValues(t, 2, atomic.LoadInt32(&forgotten), "S3 is told to forget what was begun in parts")

	old, err := store.Put(t.Context(), "c.scap", "", body(several-1))
	require.NoError(t, err)
	_, err = store.Put(t.Context(), "c.scap", "", io.MultiReader(body(several), iotest.ErrReader(lost)))
	require.ErrorIs(t, err, lost)
	requireStored(t, s, store, old)
}

// requireStored checks that the bucket holds a file and nothing else.
func requireStored(t *testing.T, s *s3server.Server, store *evidence.Store, want evidence.File) {
	t.Helper()
	require.Equal(t, []string{want.Name}, objects(t, s))
	r, err := store.Get(t.Context(), want.Name)
	require.NoError(t, err)
	defer r.Close()
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	content, err := io.ReadAll(body(want.Size))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
}

// ofPart reports whether a request brings a part.
func ofPart(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
}

// reset breaks a connection in the middle of what the client sends.
func reset(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
	panic(http.ErrAbortHandler)
}

func unavailable(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusServiceUnavailable)
}

// once plays a fault with the n-th part only, and always with every part from
// then on.
func once(n int32, fault s3server.Fault) s3server.Fault {
	var parts atomic.Int32
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if ofPart(r) && parts.Add(1) == n {
			fault(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func always(n int32, fault s3server.Fault) s3server.Fault {
	var parts atomic.Int32
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if ofPart(r) && parts.Add(1) >= n {
			fault(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func TestAPartThatFailsOnceIsSentAgain(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]s3server.Fault{"503": unavailable, "reset": reset} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, store := start(t)
			s.SetFault(once(2, fault))
			file, err := store.Put(t.Context(), "c.scap", "", body(several))
			require.NoError(t, err)
			requireStored(t, s, store, file)
		})
	}
}

func TestAnObjectWhosePartsFailIsAbsentAndTheRetryStoresIt(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]s3server.Fault{"503": unavailable, "reset": reset} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, store := start(t)
			s.SetFault(always(3, fault))
			_, err := store.Put(t.Context(), "c.scap", "", body(several))
			require.Error(t, err)
			require.Empty(t, objects(t, s))
			s.SetFault(nil)
			file, err := store.Put(t.Context(), "c.scap", "", body(several))
			require.NoError(t, err)
			requireStored(t, s, store, file)
		})
	}
}

func TestAnObjectIsCompleteOrAbsentWhenTheAnswerToTheLastRequestIsLost(t *testing.T) {
	t.Parallel()
	s, store := start(t)
	var lost atomic.Bool
	s.SetFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && lost.CompareAndSwap(false, true) {
			next.ServeHTTP(&lostAnswer{header: http.Header{}}, r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
	// It may be taken for a failure: that of a retry, whose upload is no more.
	_, _ = store.Put(t.Context(), "c.scap", "", body(several))
	require.True(t, lost.Load())
	require.Contains(t, files(t, s), "c.scap")
	file, err := store.Put(t.Context(), "c.scap", "", body(several))
	require.NoError(t, err)
	requireStored(t, s, store, file)
}

// lostAnswer is an answer that nobody gets.
type lostAnswer struct{ header http.Header }

func (l *lostAnswer) Header() http.Header         { return l.header }
func (l *lostAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (l *lostAnswer) WriteHeader(int)             {}

func TestAServerThatIsKilledWhileItStoresHasNoPartOfTheObject(t *testing.T) {
	t.Parallel()
	s, store := start(t)
	_, err := store.Put(t.Context(), "c.scap", "", io.MultiReader(body(several), readerFunc(func([]byte) (int, error) {
		require.Eventually(t, func() bool { return len(files(t, s)) > 0 }, time.Minute, time.Millisecond, "no part is stored")
		s.Kill()
		return 0, io.EOF
	})))
	require.Error(t, err)
	require.Empty(t, objects(t, s))
	require.NotEmpty(t, files(t, s), "it was killed too late")
	require.NoError(t, s.Run(t.Context()))
	keys, err := store.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, keys)

	file, err := store.Put(t.Context(), "c.scap", "", body(several))
	require.NoError(t, err)
	keys, err = store.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.Equal(t, file.Size, keys[0].Size)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
