package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/dev/internal/resident"
	"firebreak/dev/internal/s3server"
	"firebreak/internal/evidence"
	"firebreak/internal/sysdig/sysdigtest"
)

// inS3 keeps the evidence of workers that are started from now on in a real S3
// server.
func (f *installation) inS3() *s3server.Server {
	f.t.Helper()
	s, err := s3server.Start(f.ctx)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, s.Stop()) })
	f.args = append(f.args, "--evidence-url", s.EvidenceURL())
	f.env = append(f.env, s3server.Environ()...)
	// The store in this process finds them here; every process that a test starts
	// has an environment of its own.
	for _, variable := range s3server.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		require.NoError(f.t, os.Setenv(name, value))
	}
	require.NoError(f.t, f.evidence.Close())
	f.evidence, err = evidence.Open(f.ctx, s.EvidenceURL())
	require.NoError(f.t, err)
	return s
}

// largeCapture is the size of a capture of which a worker may grow by
// mostGrowth.
const (
	largeCapture = 500 << 20
	mostGrowth   = 32 << 20
)

func TestALargeCaptureTakesTheWorkerLittleMemory(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"file", "S3"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			f := install(t, shared, routes, sysdigtest.Options{CaptureSize: largeCapture, UploadRate: 1 << 30})
			if store == "S3" {
				f.inS3()
			}
			worker := f.worker()
			i := f.openCapture()
			i.awaitRequest("CAPTURE")
			before, err := resident.Now(worker.cmd.Process.Pid)
			require.NoError(t, err)
			i.approve()
			i.captured(largeCapture)
			peak, err := resident.Peak(worker.cmd.Process.Pid)
			require.NoError(t, err)
			t.Logf("%d MiB before, %d KiB more at its peak", before>>20, (peak-before)>>10)
			require.LessOrEqual(t, peak-before, int64(mostGrowth))
		})
	}
}

// The worker dies while it uploads the capture to S3. What S3 has of it is no
// object; the next worker begins anew.
func TestAnUploadThatDiedWithTheWorkerIsBegunAnew(t *testing.T) {
	t.Parallel()
	f := install(t, shared, routes, sysdigtest.Options{CaptureSize: largeCapture, UploadRate: 1 << 30})
	s3 := f.inS3()
	first := f.worker()
	i := f.openCapture()
	i.awaitRequest("CAPTURE")
	i.approve()
	f.await("some parts are stored", func() bool { return parts(s3) > 3 })
	first.kill()
	prefix := evidence.Prefix(i.WorkflowID, i.RunID)
	stored, err := f.evidence.List(f.ctx, prefix)
	require.NoError(t, err)
	require.Empty(t, stored, "some parts are not the capture")
	require.Positive(t, parts(s3), "the worker was killed too late")

	f.worker()
	i.captured(largeCapture)
	done := f.run(firebreak(), append([]string{"evidence", "verify", i.WorkflowID}, f.evidenceArgs()...)...)
	require.Zero(t, done.code, done.stderr)
	require.Contains(t, done.stdout, ".scap: 524288000 bytes, SHA-256 ")
}

// evidenceArgs are the flags of commands that read the evidence store.
func (f *installation) evidenceArgs() []string {
	var args []string
	for n, arg := range f.args {
		if arg == "--evidence-url" {
			args = []string{arg, f.args[n+1]} // the last one counts
		}
	}
	return append(args, "--config", f.config)
}

// parts is how many parts of objects that are not complete the S3 server has.
func parts(s *s3server.Server) int {
	n := 0
	_ = filepath.WalkDir(filepath.Join(s.Bucket(), ".sgwtmp"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil // absent until the first part
	})
	return n
}
