package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Append adds messages of one key, all or none. When it returns nil they are on
// disk; callers that come together share one fsync. Its errors wrap [ErrFull],
// or are the disk's.
func (j *Journal) Append(key string, bodies ...[]byte) error {
	err := j.append(key, bodies)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
	if err == nil {
		close(j.arrived)
		j.arrived = make(chan struct{})
	}
	return err
}

func (j *Journal) append(key string, bodies [][]byte) error {
	now := time.Now().UTC()
	values := make([][]byte, len(bodies))
	var size int64
	for i, body := range bodies {
		value, err := json.Marshal(record{Key: key, At: now, Body: body})
		if err != nil {
			return fmt.Errorf("append to journal: %w", err)
		}
		values[i] = value
		size += int64(len(value))
	}
	if err := j.reserve(key, len(bodies), size); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	err := j.db.Batch(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(messages)
		for _, value := range values {
			n, err := bucket.NextSequence()
			if err != nil {
				return err
			}
			if err := bucket.Put(number(n), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		j.count(key, -len(bodies), -size)
		return fmt.Errorf("append to journal: %w", err)
	}
	return nil
}

// reserve counts messages that are about to be appended, or says that there is
// no room for them.
func (j *Journal) reserve(key string, n int, size int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.bytes+size > j.limit {
		return fmt.Errorf("%w: %d of %d bytes are taken", ErrFull, j.bytes, j.limit)
	}
	j.countLocked(key, n, size)
	return nil
}

// count counts messages that came, or with negative numbers went.
func (j *Journal) count(key string, n int, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.countLocked(key, n, size)
}

func (j *Journal) countLocked(key string, n int, size int64) {
	j.depth += n
	j.bytes += size
	if j.keys[key] += n; j.keys[key] == 0 {
		delete(j.keys, key)
	}
}

// number is a sequence number as a key of the database, which sorts as numbers
// do.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
