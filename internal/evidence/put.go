package evidence

import (
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
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"gocloud.dev/blob"
)

// bufferSize is how much is copied at a time.
const bufferSize = 128 << 10

// Sizes of a store that is not a file system, which takes an object in parts: a
// part is in memory until the store has it, those on their way and the one that
// is being filled. S3 takes no part under 5 MiB, nor more than 10,000 of one
// object: about 49 GiB.
const (
	partSize      = 5 << 20
	partsOnTheWay = 2
)

// abortTimeout is how long is tried to tell S3 to forget the parts of an object
// that will not be complete.
const abortTimeout = 10 * time.Second

// Put stores what r gives under key and returns its size and hash, both of the
// bytes as they were stored. The memory it takes does not depend on the size.
// When anything fails, including r or ctx, the object does not appear, and one of
// the same key stays as it was; but where the store took the last part and its
// answer was lost, the object is there, and complete.
func (s *Store) Put(ctx context.Context, key, contentType string, r io.Reader) (File, error) {
	file, err := s.put(ctx, key, contentType, r)
	if err != nil {
		return File{}, fmt.Errorf("store evidence %q: %w", key, err)
	}
	return file, nil
}

func (s *Store) put(ctx context.Context, key, contentType string, r io.Reader) (File, error) {
	if temporary(key) {
		return File{}, errReserved
	}
	size := bufferSize
	if small, ok := r.(interface{ Len() int }); ok {
		size = max(1, min(size, small.Len()))
	}
	// A writer whose context has ended when it is closed drops what it got.
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	var local *os.File
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		// Named, always: to guess it the writer would hold bytes back.
		ContentType:    cmp.Or(contentType, "application/octet-stream"),
		BufferSize:     partSize,
		MaxConcurrency: partsOnTheWay,
		BeforeWrite: func(as func(any) bool) error {
			as(&local)
			s.bound(as)
			return nil
		},
	})
	if err != nil {
		return File{}, err
	}
	hash := sha256.New()
	// Both ends are wrapped so that the buffer, and no shortcut between their
	// types, decides how much is in memory.
	written, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, hash)},
		&contextReader{ctx, r}, make([]byte, size))
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

// bound makes S3's writer keep to a part's size from the first byte, where it
// would hold 16 MiB before it begins with parts, and makes it tell S3 to forget
// an upload also when it is given up because its context has ended. The driver
// has no option for either; it hands out its client for such changes.
func (s *Store) bound(as func(any) bool) {
	var client *transfermanager.Client
	if s.s3 == nil || !as(&client) {
		return
	}
	*client = *transfermanager.New(s.s3, func(o *transfermanager.Options) {
		o.PartSizeBytes = partSize
		o.MultipartUploadThreshold = partSize
		o.Concurrency = partsOnTheWay
		o.FailTimeout = abortTimeout
		o.RequestChecksumCalculation = s.s3.Options().RequestChecksumCalculation
	})
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
