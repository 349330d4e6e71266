package e2e_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
)

// The evidence store is a file system of one page, until it is made larger.
func TestPageShowsThatTheEvidenceDiskIsFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	f := prepare(t, shared, minerRoute(`, approval: {mode: none}`), sysdigtest.Options{}, newHost())
	require.NoError(t, os.MkdirAll(f.evidenceDir, 0o700))
	if err := syscall.Mount("tmpfs", f.evidenceDir, "tmpfs", 0, "size=4k"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(f.evidenceDir, syscall.MNT_DETACH)) })
	f.starter()
	worker := f.worker()
	t.Cleanup(worker.kill)
	i := f.openMiner()
	i.requireRetrying("Store the report", "no space left on device")

	require.NoError(t, syscall.Mount("", f.evidenceDir, "", syscall.MS_REMOUNT, "size=4m"))
	page := i.contained()
	require.Empty(t, page.Retrying)
}
