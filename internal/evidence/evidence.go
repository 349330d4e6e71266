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
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/blob/s3blob"
)

// Store is a place for evidence. It is safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
	s3     *s3.Client // nil where the store is none of S3
}

// accepted is what a URL may be.
const accepted = "want file:///directory, s3://bucket, gs://bucket or azblob://container"

// Open opens the store at a URL:
//
//	file:///directory     ordinary files; the directory is created if need be
//	s3://bucket           S3, with the credentials of AWS's tools (AWS_ACCESS_KEY_ID and so on)
//	gs://bucket           Google Cloud Storage, with the application's default credentials
//	azblob://container    Azure, with AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_KEY or the default credentials
//
// ?prefix=folder/ keeps the evidence in a part of the bucket. A store that speaks
// S3 but is not Amazon's, like MinIO, is
// s3://bucket?endpoint=http://host:9000&use_path_style=true&region=us-east-1; the
// other parameters are those of gocloud.dev/blob/s3blob.URLOpener and
// gocloud.dev/aws.V2ConfigFromURLParams. A bucket must exist; it is first asked
// when something is stored or read.
//
// What a process leaves that is killed while it stores is no object: of file://
// a file ending in ".tmp" in the object's own directory, which no method of Store
// reads or lists and which may be deleted by hand; of S3 an incomplete multipart
// upload, which a lifecycle rule of the bucket removes.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	s, err := open(ctx, rawURL)
	if err != nil {
		return nil, fmt.Errorf("open evidence store: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, rawURL string) (*Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("URL %q: %s", rawURL, accepted)
	}
	switch u.Scheme {
	case fileblob.Scheme:
		// An object is written in its own directory, which is the same volume, and
		// then renamed.
		query := u.Query()
		for name, value := range map[string]string{"create_dir": "true", "metadata": "skip", "no_tmp_dir": "true"} {
			if !query.Has(name) {
				query.Set(name, value)
			}
		}
		u.RawQuery = query.Encode()
	case s3blob.Scheme, gcsblob.Scheme, azureblob.Scheme:
		// The drivers would ignore a path.
		if folder := strings.Trim(u.Path, "/"); u.Host == "" || folder != "" {
			return nil, fmt.Errorf("URL %q: want %s://NAME, and a folder of it as ?prefix=folder/", rawURL, u.Scheme)
		}
	default:
		return nil, fmt.Errorf("scheme %q is not supported: %s", u.Scheme, accepted)
	}
	s := &Store{}
	if s.bucket, err = blob.OpenBucket(ctx, u.String()); err != nil {
		return nil, err
	}
	s.bucket.As(&s.s3)
	return s, nil
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

// Object is what is stored under a key.
type Object struct {
	Key  string
	Size int64
	// StoredAt is the store's word.
	StoredAt time.Time
}

// List returns the objects whose keys begin with prefix, in the order of keys.
func (s *Store) List(ctx context.Context, prefix string) ([]Object, error) {
	var objects []Object
	for it := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		object, err := it.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("list evidence %q: %w", prefix, err)
		case !temporary(object.Key):
			objects = append(objects, Object{Key: object.Key, Size: object.Size, StoredAt: object.ModTime})
		}
	}
}

// Run is what is stored of one run of an incident.
type Run struct {
	ID string
	// Objects are in the order of keys; there is at least one.
	Objects []Object
}

// Runs returns the runs of a workflow ID of which something is stored, the one
// that something was stored of last first.
func (s *Store) Runs(ctx context.Context, workflowID string) ([]Run, error) {
	prefix := directory(workflowID) + "/"
	objects, err := s.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, o := range objects {
		// A run's ID is a UUID, which is its directory's name.
		id, _, ok := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/")
		switch last := len(runs) - 1; {
		case !ok: // nothing of ours
		case last >= 0 && runs[last].ID == id:
			runs[last].Objects = append(runs[last].Objects, o)
		default:
			runs = append(runs, Run{ID: id, Objects: []Object{o}})
		}
	}
	slices.SortStableFunc(runs, func(a, b Run) int { return b.storedAt().Compare(a.storedAt()) })
	return runs, nil
}

// storedAt is when something of the run was stored last.
func (r Run) storedAt() time.Time {
	return slices.MaxFunc(r.Objects, func(a, b Object) int { return a.StoredAt.Compare(b.StoredAt) }).StoredAt
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
