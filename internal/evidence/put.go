package evidence

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"gocloud.dev/blob"
)

// headSize is how many leading bytes a check gets to see.
const headSize = 512

// bufferSize is how much of an object is in memory at once, at most.
const bufferSize = 128 << 10

// Put stores what r gives under key and returns its size and hash, both of the
// bytes as they were stored. The memory it takes does not depend on the size.
// When check is given, it sees the first 512 bytes, or fewer if there are no
// more, and its error refuses the object. When anything fails, including r or
// ctx, the object does not appear, and one of the same key stays as it was.
func (s *Store) Put(ctx context.Context, key, contentType string, r io.Reader, check func(head []byte) error) (File, error) {
	file, err := s.put(ctx, key, contentType, r, check)
	if err != nil {
		return File{}, fmt.Errorf("store evidence %q: %w", key, err)
	}
	return file, nil
}

func (s *Store) put(ctx context.Context, key, contentType string, r io.Reader, check func(head []byte) error) (File, error) {
	if temporary(key) {
		return File{}, errReserved
	}
	size := bufferSize
	if small, ok := r.(interface{ Len() int }); ok {
		size = max(headSize, min(size, small.Len()))
	}
	buffered := bufio.NewReaderSize(r, size)
	if check != nil {
		head, err := buffered.Peek(headSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return File{}, err
		}
		if err := check(head); err != nil {
			return File{}, err
		}
	}
	// A writer whose context has ended when it is closed drops what it got.
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	var local *os.File
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		// Named, always: to guess it the writer would hold bytes back.
		ContentType: cmp.Or(contentType, "application/octet-stream"),
		BeforeWrite: func(as func(any) bool) error { as(&local); return nil },
	})
	if err != nil {
		return File{}, err
	}
	hash := sha256.New()
	// Both ends are wrapped so that the buffer, and no shortcut between their
	// types, decides how much is in memory.
	written, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, hash)},
		&contextReader{ctx, buffered}, make([]byte, size))
	if err == nil {
		err = syncFile(local)
	}
	if err != nil {
		abort()
	}
	if closed := w.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = syncDirectory(local)
	}
	if err != nil {
		return File{}, err
	}
	return File{Name: path.Base(key), Size: written, SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// contextReader ends a copy between two reads when its context has ended: a
// reader need not watch it.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// syncFile puts a file's bytes on the disk before its name appears, so that a power
// cut cannot leave an object that is named but empty.
func syncFile(local *os.File) error {
	if local == nil { // not a file:// store
		return nil
	}
	return local.Sync()
}

// syncDirectory puts the file's new name on the disk.
func syncDirectory(local *os.File) error {
	if local == nil {
		return nil
	}
	dir, err := os.Open(filepath.Dir(local.Name()))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
