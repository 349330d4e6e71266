//go:build unix

package encryption

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a new file the owner and the group of the one that it replaces:
// whoever reads that by them would else be shut out.
func keepOwner(file *os.File, was fs.FileInfo) error {
	is, err := file.Stat()
	if err != nil {
		return err
	}
	now, known := is.Sys().(*syscall.Stat_t)
	before, knownBefore := was.Sys().(*syscall.Stat_t)
	if !known || !knownBefore || now.Uid == before.Uid && now.Gid == before.Gid {
		return nil
	}
	if err := file.Chown(int(before.Uid), int(before.Gid)); err != nil {
		return fmt.Errorf("keep user %d and group %d of the file: %w; want to be run by its owner, or root", before.Uid, before.Gid, err)
	}
	return nil
}
