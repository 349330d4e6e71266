// Package evidence keeps what an incident leaves behind: captures, reports and
// the manifest that says what they are and who approved them. A stored object
// is complete or absent, never partial, and carries the hash of the bytes as
// they arrived. The package knows neither Temporal nor Sysdig, and it never
// changes or deletes an object, except that storing one again replaces it.
package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file:// URLs
)

// Store is a place for evidence. It is safe for concurrent use.
type Store struct{ bucket *blob.Bucket }

// Open opens the store at a URL. file:///directory is supported: the directory
// is created if need be, and objects are ordinary files below it. An object is
// written under a temporary name in its own directory, which is the same
// volume, and then renamed: a process that is killed leaves a file ending in
// ".tmp" behind, which no method of Store reads or lists, and which may be
// deleted by hand.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("open evidence store: URL %q: want file:///directory", rawURL)
	}
	if u.Scheme != "file" {
		return nil, fmt.Errorf("open evidence store: scheme %q is not supported: want file:///directory", u.Scheme)
	}
	query := u.Query()
	for name, value := range map[string]string{"create_dir": "true", "metadata": "skip", "no_tmp_dir": "true"} {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	bucket, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("open evidence store: %w", err)
	}
	return &Store{bucket: bucket}, nil
}

// Close releases the store.
func (s *Store) Close() error {
	if err := s.bucket.Close(); err != nil {
		return fmt.Errorf("close evidence store: %w", err)
	}
	return nil
}

// maxDir is how long a workflow ID may be as a directory's name; file systems
// allow 255 bytes.
const maxDir = 200

// Prefix is where the evidence of a run of an incident is kept, ending in "/".
// A workflow ID stays as it is, colons included; only what would make it more
// than one directory is written as in URLs (a "/" as "%2F"), and an overlong
// one is cut and told apart by its hash.
func Prefix(workflowID, runID string) string {
	return directory(workflowID) + "/" + directory(runID) + "/"
}

func directory(id string) string {
	name := strings.NewReplacer("%", "%25", "/", "%2F", `\`, "%5C").Replace(id)
	if strings.Trim(name, ".") == "" { // "", "." and ".." are not names
		name = strings.ReplaceAll(name, ".", "%2E") + "%"
	}
	if len(name) > maxDir {
		sum := sha256.Sum256([]byte(id))
		name = strings.ToValidUTF8(name[:maxDir-17], "") + "~" + hex.EncodeToString(sum[:8])
	}
	return name
}

// File is a stored object.
type File struct {
	// Name is the last element of the object's key.
	Name string `json:"name"`
	Size int64  `json:"size"`
	// SHA256 is in hex.
	SHA256 string `json:"sha256"`
}

// errReserved is what keys that look like a temporary file meet.
var errReserved = errors.New(`names ending in ".tmp" are those of unfinished files`)

// temporary reports whether a key may be an unfinished file of a killed process.
func temporary(key string) bool { return strings.HasSuffix(key, ".tmp") }

// List returns the keys that begin with prefix, in order.
func (s *Store) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	for it := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		object, err := it.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return keys, nil
		case err != nil:
			return nil, fmt.Errorf("list evidence %q: %w", prefix, err)
		case !temporary(object.Key):
			keys = append(keys, object.Key)
		}
	}
}

// Get opens an object for reading; the caller closes it.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if temporary(key) {
		return nil, fmt.Errorf("read evidence %q: %w", key, errReserved)
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, fmt.Errorf("read evidence %q: %w", key, err)
	}
	return r, nil
}
