package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/evidence"
	"firebreak/internal/sysdig/sysdigtest"
)

// captures is where captures are created.
const captures = "/api/v1/captures"

// The first worker dies while Sysdig, which has begun the capture, has not
// answered yet. The next one must find it by its name.
func TestACaptureThatWasAcceptedBeforeTheWorkerDiedIsAdopted(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	f := install(t, shared, routes, sysdigtest.Options{CaptureSize: size, UploadRate: 1 << 30})
	f.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: captures, Times: 1, Latency: time.Minute})
	i := f.killDuring(f.openCapture, "CAPTURE", captures)
	f.worker()
	i.captured(size)
	require.Equal(t, 1, f.sysdig.Requests(http.MethodPost, captures))
}

func TestACaptureThatIsUnderWaySurvivesAKilledWorker(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	f := install(t, shared, routes, sysdigtest.Options{Step: 2 * time.Second, CaptureSize: size})
	first := f.worker()
	i := f.openCapture()
	i.awaitRequest("CAPTURE")
	i.approve()
	f.await("the capture is polled", func() bool { return f.sysdig.Requests(http.MethodGet, captures+"/*") >= 2 })
	first.kill()
	require.Zero(t, f.sysdig.Requests(http.MethodGet, captures+"/*/download"), "the worker was killed too late")
	f.worker()
	i.captured(size)
}

// The worker dies while it writes the capture into the evidence store. What is
// left of it must not be taken for evidence.
func TestADownloadThatDiedWithTheWorkerIsBegunAnew(t *testing.T) {
	t.Parallel()
	const size = 256 << 20
	f := install(t, shared, routes, sysdigtest.Options{CaptureSize: size, UploadRate: 1 << 30})
	first := f.worker()
	i := f.openCapture()
	i.awaitRequest("CAPTURE")
	i.approve()
	dir := filepath.Join(f.evidenceDir, filepath.FromSlash(evidence.Prefix(i.WorkflowID, i.RunID)))
	f.await("a part of the capture is written", func() bool { return written(dir, ".tmp") > 1<<20 })
	first.kill()
	left := written(dir, ".tmp")
	require.Positive(t, left, "the worker was killed too late")
	require.Less(t, left, int64(size))
	require.Zero(t, written(dir, ".scap"), "a part is not the capture")

	f.worker()
	i.captured(size)
	require.Equal(t, left, written(dir, ".tmp"), "what was left is still there, and captured has found no such evidence")
}

// written is the size of the largest file of a folder whose name has a suffix.
func written(dir, suffix string) int64 {
	entries, _ := os.ReadDir(dir) // absent until the first file
	var largest int64
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasSuffix(entry.Name(), suffix) {
			largest = max(largest, info.Size())
		}
	}
	return largest
}
