// Package journal keeps messages on disk until somebody else has taken them: a
// queue that survives kill -9. What Append has accepted is there after a crash;
// what it has refused is not there at all. Messages of one key leave in the
// order in which they came. The package does not know what a message says, and
// does not deliver it.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// fileName is the database in the journal's directory.
const fileName = "journal.db"

// messages is the one bucket of the database: sequence number -> record.
var messages = []byte("messages")

// How long Open waits for another process to let go of the database, and Append
// for others to share its fsync.
const (
	lockTimeout = 5 * time.Second
	gather      = 2 * time.Millisecond
)

// ErrFull says that the journal holds as much as it may.
var ErrFull = errors.New("the journal is full")

// Message is what is kept.
type Message struct {
	// Key tells apart what may leave in any order.
	Key string
	// At is when the message was appended.
	At   time.Time
	Body []byte

	sequence uint64
	size     int64
}

// record is a message on disk.
type record struct {
	Key  string          `json:"key"`
	At   time.Time       `json:"at"`
	Body json.RawMessage `json:"body"`
}

// Journal is a queue on disk. It is safe for concurrent use by one process; a
// second process cannot open it.
type Journal struct {
	db    *bolt.DB
	limit int64

	mu sync.Mutex
	// depth and bytes count the messages, keys those of each key.
	depth int
	bytes int64
	keys  map[string]int
	// gone are messages that were removed, but that the disk could not forget
	// yet: removing needs room for a moment, too. After a crash they are there
	// again.
	gone map[uint64]struct{}
	// err is why the last Append failed, nil when it did not.
	err error
	// arrived is closed, and replaced, when messages are appended.
	arrived chan struct{}
}

// Open opens the journal in a directory, which is created if need be. It will
// hold at most limit bytes of messages.
func Open(dir string, limit int64) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	file := filepath.Join(dir, fileName)
	db, err := bolt.Open(file, 0o600, &bolt.Options{
		Timeout:      lockTimeout,
		FreelistType: bolt.FreelistMapType, // many messages come and go
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open journal %s: another process has it: want a directory for each starter", file)
	}
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", file, err)
	}
	db.MaxBatchDelay = gather
	j := &Journal{
		db: db, limit: limit, keys: map[string]int{}, gone: map[uint64]struct{}{}, arrived: make(chan struct{}),
	}
	if err := errors.Join(j.load(), syncDir(dir)); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", file, errors.Join(err, db.Close()))
	}
	return j, nil
}

// load reads what an earlier process left. It writes only into a new journal:
// one on a full disk must open, too.
func (j *Journal) load() error {
	empty := false
	err := j.db.View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(messages)
		if bucket == nil {
			empty = true
			return nil
		}
		return bucket.ForEach(func(k, v []byte) error {
			m, err := decode(k, v)
			if err != nil {
				return err
			}
			j.count(m.Key, 1, m.size)
			return nil
		})
	})
	if err != nil || !empty {
		return err
	}
	return j.db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(messages)
		return err
	})
}

// syncDir makes a new file's name as durable as its content.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close closes the journal. What is in it stays.
func (j *Journal) Close() error {
	if err := j.db.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
