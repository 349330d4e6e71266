package journal_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFullDiskRefusesAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	j := open(t, dir, roomy)
	accepted := []string{}
	for n := 0; ; n++ {
		body := fmt.Sprintf(`"%d%s"`, n, strings.Repeat("x", 2000))
		if err := j.Append("a", []byte(body)); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			break
		}
		accepted = append(accepted, "a="+body)
	}
	require.NotEmpty(t, accepted)
	require.ErrorIs(t, j.Err(), syscall.ENOSPC)
	require.Equal(t, accepted, bodies(t, j))
	stats, err := j.Stats()
	require.NoError(t, err)
	require.Equal(t, len(accepted), stats.Depth, "what was refused is not counted")
	require.NoError(t, j.Close())

	j = open(t, dir, roomy)
	require.Equal(t, accepted, bodies(t, j), "nothing is half-written")
	// What is removed is gone, even if the full disk has no room to say so.
	head, err := j.Head(len(accepted)-1, roomy, nil)
	require.NoError(t, err)
	_ = j.Remove(head)
	require.Equal(t, accepted[len(accepted)-1:], bodies(t, j))
	require.NoError(t, j.Append("a", []byte(`1`)), "there is room again")
}
