//go:build unix

package encryption_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/encryption"
)

func TestAKeysetThatRootRotatesStaysItsReaders(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	path := newFile(t)
	require.NoError(t, os.Chown(path, 12345, 54321))
	_, err := encryption.Rotate(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.Equal(t, []uint32{12345, 54321}, []uint32{owner.Uid, owner.Gid}, "the service that reads it still can")
}
